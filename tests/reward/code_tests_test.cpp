#include <hence/reward/code_tests.hpp>

#include <doctest/doctest.h>

namespace reward = hence::reward;
using reward::verdicts;

TEST_CASE("all passed, or the share") {
  int runs = 0;
  const auto below = [&](std::int64_t n) {
    return [&runs, n](std::int64_t i) { return ++runs, i < n; };
  };
  CHECK(reward::test_reward(verdicts::all_passed, 4, below(4)) == 1);
  CHECK(runs == 4);
  CHECK(reward::test_reward(verdicts::all_passed, 4, below(1)) == 0);
  CHECK(runs == 6);  // stopped at the second
  CHECK(reward::test_reward(verdicts::share, 4, below(1)) == 0.25);
  CHECK(runs == 10);
  CHECK(reward::test_reward(verdicts::share, 4, below(0)) == 0);
}

TEST_CASE("one test is enough") {
  CHECK(reward::test_reward(verdicts::share, 1, [](std::int64_t) { return true; }) == 1);
  CHECK(reward::test_reward(verdicts::all_passed, 1, [](std::int64_t) { return false; }) == 0);
}

TEST_CASE("no test is no success") {
  CHECK_THROWS_WITH(reward::test_reward(verdicts::share, 0, [](std::int64_t) { return true; }),
                    "hence: cases is 0, expected 1 or more");
}
