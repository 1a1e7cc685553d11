#include <hence/reward/extract.hpp>

#include <doctest/doctest.h>
#include <string>

namespace reward = hence::reward;
namespace extract = hence::reward::extract;
using reward::extract_fault;
using reward::find_answer;

TEST_CASE("the last box, its braces balanced") {
  const auto box = [](std::string_view s) { return find_answer(extract::last_boxed{}, s); };
  CHECK(box("is \\boxed{5}.").answer == "5");
  CHECK(box("\\boxed{1} then \\boxed{ 2 }").answer == "2");
  CHECK(box("\\boxed{\\frac{1}{2}}").answer == "\\frac{1}{2}");
  CHECK(box("\\boxed{\\{1,2\\}}").answer == "\\{1,2\\}");
  CHECK(box("\\boxed {5}").answer == "5");
  CHECK(box("\\fbox{5}").answer == "5");
  CHECK(box("\\boxed{\\boxed{5}}").answer == "5");
  CHECK(box("5").fault == extract_fault::missing);
  CHECK(box("").fault == extract_fault::missing);
  CHECK(box("\\boxed 5").fault == extract_fault::missing);
  CHECK(box("\\boxed{5").fault == extract_fault::unbalanced);
  CHECK(box("\\boxed{1} \\boxed{5").fault == extract_fault::unbalanced);
  CHECK(box("\\boxed{5\\}").fault == extract_fault::unbalanced);
  CHECK(box("\\boxed{ }").fault == extract_fault::blank);
  CHECK(box("\\boxed{").fault == extract_fault::unbalanced);
  CHECK(box("\\boxed").fault == extract_fault::missing);
}

TEST_CASE("the only box") {
  const auto box = [](std::string_view s) { return find_answer(extract::only_boxed{}, s); };
  CHECK(box("\\boxed{5}").answer == "5");
  CHECK(box("\\boxed{5} so \\boxed{ 5 }").ok());
  CHECK(box("\\boxed{4} or \\boxed{5}").fault == extract_fault::several);
  CHECK(box("\\boxed{\\boxed{5}}").answer == "\\boxed{5}");
  CHECK(box("\\boxed{5} \\boxed{").fault == extract_fault::unbalanced);
  CHECK(box("x").fault == extract_fault::missing);
}

TEST_CASE("the whole text, and the box if there is one") {
  CHECK(find_answer(extract::whole{}, " 5 ").answer == "5");
  CHECK(find_answer(extract::whole{}, " ").fault == extract_fault::blank);
  CHECK(find_answer(extract::boxed_or_whole{}, " 5 ").answer == "5");
  CHECK(find_answer(extract::boxed_or_whole{}, "it is \\boxed{5}").answer == "5");
  CHECK(find_answer(extract::boxed_or_whole{}, "it is \\boxed{5").fault ==
        extract_fault::unbalanced);
}

TEST_CASE("a million boxes and braces in linear time") {
  std::string open, closed;
  for (int i = 0; i < 1000000; ++i) open += "\\boxed{", closed += "\\boxed{1}";
  CHECK(find_answer(extract::last_boxed{}, open).fault == extract_fault::unbalanced);
  CHECK(find_answer(extract::only_boxed{}, open).fault == extract_fault::unbalanced);
  CHECK(find_answer(extract::only_boxed{}, closed).ok());
  const std::string braces(1000000, '{');
  const std::string boxed = "\\boxed" + braces;
  CHECK(find_answer(extract::last_boxed{}, boxed).fault == extract_fault::unbalanced);
}

TEST_CASE("what begins like a box is none") {
  const auto only = [](std::string_view s) { return find_answer(extract::only_boxed{}, s); };
  CHECK(only("\\alpha \\boxed{5} \\boxedx{6}").answer == "5");
  CHECK(only("\\boxed").fault == extract_fault::missing);
  CHECK(only("\\boxed  {5}").answer == "5");
  CHECK(find_answer(extract::last_boxed{}, "\\boxed  {5} \\boxedx{6}").answer == "5");
  CHECK(find_answer(extract::last_boxed{}, "\\\\boxed{5}").answer == "5");
}

TEST_CASE("nothing behind the end of a text is read") {
  // the compiler lets nothing behind an array be read
  static constexpr char box[] = {'5', '\\', 'b', 'o', 'x', 'e', 'd'};
  static_assert(reward::find_answer(reward::extract::last_boxed{}, {box, 7}).fault ==
                reward::extract_fault::missing);
  static_assert(reward::find_answer(reward::extract::only_boxed{}, {box, 7}).fault ==
                reward::extract_fault::missing);
  static_assert(reward::find_answer(reward::extract::only_boxed{}, {box, 1}).fault ==
                reward::extract_fault::missing);
  static_assert(reward::find_answer(reward::extract::boxed_or_whole{}, {box, 1}).answer == "5");
}

TEST_CASE("what is built is found again") {
  for (const char* answer : {"5", "\\frac{1}{2}", "\\{1, 2\\}"}) {
    std::string room(reward::built_size(extract::last_boxed{}, answer), '\0');
    const std::string_view s = reward::build(extract::last_boxed{}, answer, room.data());
    CHECK(s.size() == room.size());
    CHECK(s == "\\boxed{" + std::string(answer) + "}");
    CHECK(find_answer(extract::last_boxed{}, s).answer == answer);
    CHECK(find_answer(extract::only_boxed{}, s).answer == answer);
  }
}
