#include <hence/evaluate/dynamic.hpp>

#include <doctest/doctest.h>
#include <limits>
#include <vector>

namespace evaluate = hence::evaluate;
using bytes = std::vector<std::uint8_t>;

TEST_CASE("groups that differ stay, the others are counted by kind") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> metric{0, 1, 0, 0, 1, 1, 0.5f, 0.5f, nan, 1, 1, 0, 1e-7f};
  const std::vector<std::int64_t> groups{0, 2, 4, 6, 8, 10, 11, 11, 13};
  bytes keep(8, 7);
  evaluate::refill state{.wanted = 4};
  evaluate::keep_informative(metric, groups, 1e-6f, {0, 1}, keep, state);
  CHECK(keep == bytes{1, 0, 0, 0, 0, 0, 0, 0});
  CHECK(state.generated == 8);
  CHECK(state.kept == 1);
  CHECK(state.all_low == 2);
  CHECK(state.all_high == 2);
  CHECK(state.constant == 2);
  CHECK(state.broken == 1);
  CHECK(state.kept + state.all_low + state.all_high + state.constant + state.broken ==
        state.generated);
}

TEST_CASE("without a tolerance the range's ends are too hard and too easy") {
  const std::vector<float> metric{0, 0, 1, 1, 0.5f, 0.5f};
  const std::vector<std::int64_t> groups{0, 2, 4, 6};
  bytes keep(3, 7);
  evaluate::refill state;
  evaluate::keep_informative(metric, groups, 0, {0, 1}, keep, state);
  CHECK(state.all_low == 1);
  CHECK(state.all_high == 1);
  CHECK(state.constant == 1);
  evaluate::refill narrow;  // a range of one number
  evaluate::keep_informative(metric, groups, 0, {0.5f, 0.5f}, keep, narrow);
  CHECK(narrow.all_low == 2);
  CHECK(narrow.all_high == 1);
}

TEST_CASE("how many groups to draw next") {
  evaluate::refill r{.wanted = 32};
  CHECK(r.missing() == 32);
  CHECK(r.surplus() == 0);
  CHECK(r.next(64) == 64);  // nothing known yet
  r.generated = 64, r.kept = 16;
  CHECK(r.next(1000) == 64);  // 16 are missing at a rate of one in four
  CHECK(r.next(20) == 20);
  r.generated = 70, r.kept = 31;
  CHECK(r.next(1000) == 3);  // ceil(70 / 31)
  r.kept = 40;
  CHECK(r.next(1000) == 0);
  CHECK(r.missing() == 0);
  CHECK(r.surplus() == 8);
}

TEST_CASE("metrics in any order; an empty group is constant wherever the range lies") {
  const std::vector<float> metric{1, 0, 0.5f, 0, 1};
  const std::vector<std::int64_t> groups{0, 2, 2, 5};
  for (const evaluate::metric_range range : {evaluate::metric_range{-1, 0}, {0, 1}, {5, 6}}) {
    bytes keep(3, 7);
    evaluate::refill state;
    evaluate::keep_informative(metric, groups, 0, range, keep, state);
    CHECK(keep == bytes{1, 0, 1});
    CHECK(state.constant == 1);
    CHECK(state.kept == 2);
  }
}

TEST_CASE("the difficulty filter") {
  const evaluate::difficulty_filter f{0.25, 0.75};
  CHECK(f(1, 4));
  CHECK(f(3, 4));
  CHECK_FALSE(f(0, 4));
  CHECK_FALSE(f(4, 4));
  CHECK_FALSE(f(0, 0));
  CHECK(evaluate::difficulty_filter{0.5, 1}(1, 1));
  CHECK(evaluate::difficulty_filter{0.5, 0.5}(1, 2));
  CHECK(evaluate::refill{}.missing() == 0);
}

TEST_CASE("what does not fit is refused") {
  const std::vector<float> metric{0, 1};
  const std::vector<std::int64_t> two{0, 2}, one{0, 1};
  bytes keep(1, 7), more(2);
  evaluate::refill state;
  CHECK_THROWS_WITH(evaluate::keep_informative(metric, two, 0, {0, 1}, more, state),
                    "hence: cu_groups has 2 entries, keep describes 2 groups");
  CHECK_THROWS_WITH(evaluate::keep_informative(metric, one, 0, {0, 1}, keep, state),
                    "hence: cu_groups does not ascend from 0 to 2, the number of metrics");
  const std::vector<std::int64_t> falling{0, 2, 1, 2};
  bytes three(3, 7);
  CHECK_THROWS_WITH(evaluate::keep_informative(metric, falling, 0, {0, 1}, three, state),
                    "hence: cu_groups does not ascend from 0 to 2, the number of metrics");
  CHECK_THROWS_WITH(evaluate::keep_informative(metric, two, -1, {0, 1}, keep, state),
                    "hence: tolerance is -1, expected 0 or more");
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK_THROWS_WITH(evaluate::keep_informative(metric, two, infinity, {0, 1}, keep, state),
                    "hence: tolerance is inf, expected 0 or more");
  CHECK_THROWS_WITH(
      evaluate::keep_informative(metric, two, infinity - infinity, {0, 1}, keep, state),
      "hence: tolerance is nan, expected 0 or more");
  CHECK_THROWS_WITH(evaluate::keep_informative(metric, two, 0, {1, 0}, keep, state),
                    "hence: range.lowest is 1, expected at most range.highest, which is 0");
  CHECK_THROWS_WITH(
      evaluate::keep_informative(metric, two, 0, {infinity - infinity, 0}, keep, state),
      "hence: range.lowest is nan, expected at most range.highest, which is 0");
  CHECK_THROWS_WITH((evaluate::difficulty_filter{0.9, 0.1}(1, 2)),
                    "hence: low is 0.9, expected at most high, which is 0.1");
  CHECK_THROWS_WITH((evaluate::difficulty_filter{0.1, 0.9}(3, 2)),
                    "hence: correct is 3, expected 0 to samples, which is 2");
  CHECK_THROWS_WITH((evaluate::difficulty_filter{0.1, 0.9}(-1, 2)),
                    "hence: correct is -1, expected 0 to samples, which is 2");
  CHECK(keep[0] == 7);
  CHECK(state.generated == 0);
}
