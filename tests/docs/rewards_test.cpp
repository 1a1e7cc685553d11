// docs/rewards.md: its code compiles and does what the page says.

#include <hence/reward.hpp>

#include <doctest/doctest.h>
#include <string_view>

namespace {

double total_of(std::string_view response) {
#include "rewards_2.inc"
  return total;
}

}  // namespace

TEST_CASE("the rewards of a response") {
  CHECK(total_of("<think>so it is a half</think><answer>\\boxed{0.5}</answer>") == 3.0);
  CHECK(total_of("<think>so it is a third</think><answer>1/3</answer>") == 2.0);
  CHECK(total_of("the answer is 0.5") == 0.0);
  CHECK(total_of("<think>\u6240\u4EE5 half</think> 0.5") == 0.0);
}
