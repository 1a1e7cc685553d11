// docs/evaluate.md: its code compiles and does what the page says.

#include <hence/evaluate.hpp>
#include <hence/reward.hpp>

#include <doctest/doctest.h>
#include <cstdint>
#include <string_view>
#include <vector>

TEST_CASE("a benchmark's figures") {
#include "evaluate_2.inc"
  CHECK(pass == doctest::Approx(1 - 1.0 / 6));  // of four, two correct: 1 - C(2, 2) / C(4, 2)
  CHECK(consensus.winner == 0);
  CHECK(consensus.correct == 1.0);
  CHECK(sure.low < 0.5);
  CHECK(sure.high > 0.5);
}
