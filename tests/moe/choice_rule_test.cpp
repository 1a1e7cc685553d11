// The roundings of a count of tokens, by their definitions, and the sum of counts.

#include <hence/moe/choice_rule.hpp>

#include <doctest/doctest.h>

namespace {

namespace moe = hence::moe;

TEST_CASE("the next multiple below, above, the nearest with halves up") {
  CHECK(moe::round_down{}(7, 4) == 4);
  CHECK(moe::round_up{}(5, 4) == 8);
  CHECK(moe::round_nearest{}(6, 4) == 8);
  CHECK(moe::round_nearest{}(5, 4) == 4);
  CHECK(moe::round_nearest{}(4, 3) == 3);
  CHECK(moe::round_nearest{}(5, 3) == 6);
  for (std::int64_t tile = 1; tile < 9; ++tile)
    for (std::int64_t n = 0; n < 40; ++n) {
      const std::int64_t low = moe::round_down{}(n, tile), high = moe::round_up{}(n, tile),
                         near = moe::round_nearest{}(n, tile);
      CHECK((low % tile == 0 && low <= n && n < low + tile));
      CHECK((high % tile == 0 && n <= high && high < n + tile));
      CHECK((near == low || near == high));
      CHECK(2 * (near > n ? near - n : n - near) <= tile);
      if (2 * (n - low) == tile) CHECK(near == high);
    }
}

TEST_CASE("counts of calls add up, each to itself") {
  moe::choice_counts a, b;
  a.rows = 1, a.nan_rows = 2, a.infinite_rows = 3, a.untaken_rows = 4;
  a.taken = 5, a.dropped = 6, a.added = 7, a.removed = 8;
  b.rows = 10, b.nan_rows = 20, b.infinite_rows = 30, b.untaken_rows = 40;
  b.taken = 50, b.dropped = 60, b.added = 70, b.removed = 80;
  a += b;
  CHECK(a.rows == 11);
  CHECK(a.nan_rows == 22);
  CHECK(a.infinite_rows == 33);
  CHECK(a.untaken_rows == 44);
  CHECK(a.taken == 55);
  CHECK(a.dropped == 66);
  CHECK(a.added == 77);
  CHECK(a.removed == 88);
}

TEST_CASE("a number is no rounding") {
  CHECK(moe::token_rounding<moe::round_up>);
  CHECK(!moe::token_rounding<double>);
}

}  // namespace
