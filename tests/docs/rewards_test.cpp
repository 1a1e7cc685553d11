// docs/rewards.md: its code compiles and does what the page says.

#include <hence/evaluate.hpp>
#include <hence/reward.hpp>

#include <doctest/doctest.h>
#include <cstdint>
#include <string_view>
#include <vector>

namespace {

double total_of(std::string_view response) {
#include "rewards_1.inc"
  return total;
}

}  // namespace

TEST_CASE("the rewards of a response") {
  CHECK(total_of("<think>so it is a half</think><answer>\\boxed{0.5}</answer>") == 3.0);
  CHECK(total_of("<think>so it is a third</think><answer>1/3</answer>") == 2.0);
  CHECK(total_of("the answer is 0.5") == 0.0);
  CHECK(total_of("<think>\u6240\u4EE5 half</think> 0.5") == 0.0);
}

TEST_CASE("a benchmark's figures") {
#include "rewards_2.inc"
  CHECK(pass == doctest::Approx(1 - 1.0 / 6));  // of four, two correct: 1 - C(2, 2) / C(4, 2)
  CHECK(consensus.winner == 0);
  CHECK(consensus.correct == 1.0);
  CHECK(sure.low < 0.5);
  CHECK(sure.high > 0.5);
}
