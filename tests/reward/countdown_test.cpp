#include <hence/reward/countdown.hpp>

#include <doctest/doctest.h>
#include <string>
#include <vector>

namespace reward = hence::reward;
using reward::countdown_fault;
using reward::usage;

namespace {

countdown_fault judge(std::string_view s, std::vector<std::int64_t> numbers, std::int64_t target,
                      usage rule = usage::all_once) {
  return reward::check_countdown(s, numbers, target, rule);
}

}  // namespace

TEST_CASE("solutions") {
  CHECK(judge("8 / (3 - 8 / 3)", {3, 3, 8, 8}, 24) == countdown_fault::none);
  CHECK(judge(" (1+2)*3 ", {3, 2, 1}, 9) == countdown_fault::none);
  CHECK(judge("6 \u00D7 7 \u2212 2", {6, 7, 2}, 40) == countdown_fault::none);
}

TEST_CASE("what is wrong, each with its reason") {
  CHECK(judge("1+2", {1, 2}, 4) == countdown_fault::wrong_value);
  CHECK(judge("1/2", {1, 2}, 0) == countdown_fault::wrong_value);
  CHECK(judge("1+1", {1, 2}, 2) == countdown_fault::wrong_numbers);
  CHECK(judge("1+3", {1, 2}, 4) == countdown_fault::wrong_numbers);
  CHECK(judge("12", {1, 2}, 12) == countdown_fault::wrong_numbers);
  CHECK(judge("1", {1, 2}, 1) == countdown_fault::wrong_numbers);
  CHECK(judge("1", {1, 2}, 1, usage::at_most_once) == countdown_fault::none);
  CHECK(judge("1+1", {1, 2}, 2, usage::at_most_once) == countdown_fault::wrong_numbers);
  CHECK(judge("1/(2-2)", {1, 2, 2}, 0) == countdown_fault::division_by_zero);
  for (const char* s :
       {"", "1+2=3", "3", "1+2;", "1**2", "1//2", "__import__('os')", "1+2#", "1 2", "1,2", "1.0+2",
        "1e0+2", "(1+2", "1+2)", "1^2", "2(1)", "int(1)+2", "1+\uFF12"})
    CHECK_MESSAGE((judge(s, {1, 2}, 3) == countdown_fault::syntax) == (std::string(s) != "3"),
                  std::string(s));
  CHECK(judge("3", {1, 2}, 3) == countdown_fault::wrong_numbers);
  CHECK(judge(std::string(300, '(') + "1", {1}, 1) == countdown_fault::too_long);
  CHECK(judge(std::string(40, '(') + "1", {1}, 1) == countdown_fault::too_long);
  std::string big = "9223372036854775807";
  CHECK(judge(big + "*" + big + "*" + big,
              {9223372036854775807, 9223372036854775807, 9223372036854775807},
              1) == countdown_fault::overflow);
  std::string many = "0";
  for (int i = 1; i < 64; ++i) many += "+0";
  CHECK(judge(many, std::vector<std::int64_t>(64, 0), 0) == countdown_fault::none);
  many += "+0";
  CHECK(judge(many, std::vector<std::int64_t>(64, 0), 0) == countdown_fault::too_long);
}

TEST_CASE("bad numbers are refused") {
  CHECK_THROWS_WITH(judge("1", std::vector<std::int64_t>(65, 1), 1),
                    "hence: numbers has 65 entries, expected at most 64");
  CHECK_THROWS_WITH(judge("1", {1, -2}, 1), "hence: numbers[1] is -2, expected 0 or more");
}

TEST_CASE("what lies behind the numbers is none of them") {
  const std::int64_t more[] = {1, 2, -7, 3};
  const hence::view<const std::int64_t> two(more, 2);
  CHECK(reward::check_countdown("1+2", two, 3, usage::all_once) == countdown_fault::none);
  CHECK(reward::check_countdown("3", hence::view<const std::int64_t>(more + 1, 1), 3,
                                usage::at_most_once) == countdown_fault::wrong_numbers);
}
