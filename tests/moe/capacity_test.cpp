// Capacities as three frameworks round them, and dropping against sorting.

#include <hence/moe/capacity.hpp>

#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

namespace moe = hence::moe;
using hence::view;

TEST_CASE("three roundings of one factor") {
  // T = 10, k = 2, E = 8, factor 1.25: 3.125
  CHECK(moe::capacity_ceil{1.25}(10, 2, 8) == 4);
  CHECK(moe::capacity_floor{1.25}(10, 2, 8) == 3);
  CHECK(moe::capacity_of_tokens{1.25}(10, 2, 8) == 4);  // 2 floor(1.25 2)
  CHECK(moe::capacity_ceil{1.0}(8, 2, 8) == 2);
  CHECK(moe::capacity_ceil{1.0}(0, 2, 8) == 0);
  CHECK(moe::capacity_of_tokens{0.5}(9, 3, 4) == 3);  // 3 floor(0.5 3)
  CHECK(moe::capacity_of_tokens{1.0}(8, 2, 4) == 4);  // 2 ceil(8/4)
  CHECK(moe::capacity_ceil{16777216}(1, 1, 1) == 16777216);
  CHECK(moe::capacity_of_tokens{1.0}(9, 3, INT64_MAX) == 3);
  CHECK(moe::capacity_of_tokens{16777216}(std::int64_t{1} << 38, 1, 1) == std::int64_t{1} << 62);
  CHECK(moe::capacity_ceil{16777216}(std::int64_t{1} << 36, 4, 1) == std::int64_t{1} << 62);
  CHECK(moe::capacity_ceil{0}(10, 2, 8) == 0);
  // megablocks divides first: int(factor * (top_k * tokens / num_experts))
  CHECK(moe::capacity_floor{1.2}(155, 1, 6) == 30);
}

TEST_CASE("capacities that are no number of tokens are refused") {
  const auto refusal = [](auto capacity, std::int64_t experts) -> std::string {
    try {
      capacity(10, 2, experts);
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "";
  };
  const auto each = [&](double factor, std::int64_t experts, const std::string& want) {
    CHECK(refusal(moe::capacity_ceil{factor}, experts) == want);
    CHECK(refusal(moe::capacity_floor{factor}, experts) == want);
    CHECK(refusal(moe::capacity_of_tokens{factor}, experts) == want);
  };
  each(__builtin_nan(""), 8, "hence: capacity.factor is nan, expected 0 to 16777216");
  each(-1, 8, "hence: capacity.factor is -1, expected 0 to 16777216");
  each(__builtin_inf(), 8, "hence: capacity.factor is inf, expected 0 to 16777216");
  each(1, 0,
       "hence: capacity of 10 tokens, k = 2, experts = 0, expected 0 or more tokens and 1 or more "
       "of the others");
  each(1, 8, "");
  const auto of = [&](std::int64_t tokens, std::int64_t k) {
    return refusal([&](auto, auto, auto e) { moe::capacity_ceil{1}(tokens, k, e); }, 8);
  };
  CHECK(of(-1, 2).starts_with("hence: capacity of -1 tokens, k = 2,"));
  CHECK(of(1, 0).starts_with("hence: capacity of 1 tokens, k = 0,"));
  CHECK(of((std::int64_t{1} << 37) + 1, 2) ==
        "hence: capacity of 137438953473 tokens, k = 2, expected at most 274877906944 slots");
  CHECK(of(std::int64_t{1} << 37, 2).empty());
}

struct dropped {
  std::vector<std::int32_t> ids;
  std::vector<float> weights;
  std::vector<std::int64_t> load;
  moe::drop_counts counts;
};

template <class Drop>
dropped run(const std::vector<std::int32_t>& ids, const std::vector<float>& weights, std::int64_t k,
            std::int64_t experts, std::int64_t capacity, Drop drop) {
  const auto tokens = static_cast<std::int64_t>(ids.size()) / k;
  std::vector<std::int64_t> offsets(static_cast<std::size_t>(experts + 1)), order(ids.size());
  dropped out{std::vector<std::int32_t>(ids.size(), 77),
              std::vector<float>(ids.size(), 77.0f),
              std::vector<std::int64_t>(static_cast<std::size_t>(experts), 77),
              {}};
  moe::capacity_arrays<float> a;
  a.ids = view<const std::int32_t, 2>(ids.data(), tokens, k);
  a.weights = view<const float, 2>(weights.data(), tokens, k);
  a.sorted.offsets = offsets;
  a.sorted.order = order;
  a.kept_ids = view<std::int32_t, 2>(out.ids.data(), tokens, k);
  a.kept_weights = view<float, 2>(out.weights.data(), tokens, k);
  a.load = out.load;
  moe::permute(a.ids, experts, 1, a.sorted);
  out.counts = moe::apply_capacity(capacity, drop, a);
  return out;
}

TEST_CASE("against sorting, with many equal weights") {
  std::mt19937 random(3);
  constexpr std::int64_t tokens = 200, k = 3, experts = 7;
  std::vector<std::int32_t> ids;
  std::vector<float> weights;
  for (int t = 0; t < tokens; ++t) {
    std::vector<std::int32_t> row(experts);
    for (int e = 0; e < experts; ++e) row[static_cast<std::size_t>(e)] = e;
    std::shuffle(row.begin(), row.end(), random);
    if (t % 5 == 0) row[1] = -1;
    for (std::size_t j = 0; j < k; ++j) {
      ids.push_back(row[j]);
      weights.push_back(row[j] < 0 ? 0.0f : static_cast<float>(random() % 9) * 0.125f - 0.25f);
    }
  }
  for (const std::int64_t capacity : {0, 1, 40, 85, 90, 1000})
    for (const bool by_weight : {false, true}) {
      const auto got = by_weight ? run(ids, weights, k, experts, capacity, moe::drop_by_weight{})
                                 : run(ids, weights, k, experts, capacity, moe::drop_by_position{});
      std::int64_t kept = 0, filled = 0;
      for (std::int32_t e = 0; e < experts; ++e) {
        std::vector<std::size_t> slots;
        for (std::size_t i = 0; i < ids.size(); ++i)
          if (ids[i] == e) slots.push_back(i);
        filled += static_cast<std::int64_t>(slots.size());
        if (by_weight)
          std::sort(slots.begin(), slots.end(), [&](std::size_t a, std::size_t b) {
            return weights[a] > weights[b] || (weights[a] == weights[b] && a < b);
          });
        for (std::size_t i = 0; i < slots.size(); ++i) {
          const bool keeps = static_cast<std::int64_t>(i) < capacity;
          REQUIRE(got.ids[slots[i]] == (keeps ? e : -1));
          REQUIRE(got.weights[slots[i]] == (keeps ? weights[slots[i]] : 0.0f));
        }
        const auto most = std::min(capacity, static_cast<std::int64_t>(slots.size()));
        CHECK(got.load[static_cast<std::size_t>(e)] == most);
        kept += most;
      }
      for (std::size_t i = 0; i < ids.size(); ++i)
        if (ids[i] < 0) CHECK(got.ids[i] == -1);
      CHECK(got.counts.kept == kept);
      CHECK(got.counts.dropped == filled - kept);
    }
}

TEST_CASE("counts of calls add up") {
  moe::drop_counts a, b;
  a.kept = 1, a.dropped = 2, b.kept = 30, b.dropped = 40;
  a += b;
  CHECK(a.kept == 31);
  CHECK(a.dropped == 42);
}

TEST_CASE("a dropped slot's cotangent is 0") {
  const std::vector<std::int32_t> kept{0, -1, 2, -1};
  std::vector<float> grad{1, 2, 3, 4};
  moe::capacity_backward(view<const std::int32_t, 2>(kept.data(), 2, 2),
                         view<float, 2>(grad.data(), 2, 2));
  CHECK(grad == std::vector<float>{1, 0, 3, 0});
}

TEST_CASE("no token; a permutation of other ids is refused") {
  CHECK(run({}, {}, 2, 3, 4, moe::drop_by_weight{}).counts.kept == 0);
  const std::vector<std::int32_t> ids{1, 0, -1, 1};
  const std::vector<float> weights{1, 2, 0, 3};
  std::vector<std::int64_t> offsets(3), order(4);
  std::vector<std::int32_t> kept_ids(4, 77);
  std::vector<float> kept(4, 77.0f);
  moe::capacity_arrays<float> a;
  a.ids = view<const std::int32_t, 2>(ids.data(), 2, 2);
  a.weights = view<const float, 2>(weights.data(), 2, 2);
  a.sorted.offsets = offsets;
  a.sorted.order = order;
  a.kept_ids = view<std::int32_t, 2>(kept_ids.data(), 2, 2);
  a.kept_weights = view<float, 2>(kept.data(), 2, 2);
  moe::permute(a.ids, 2, 1, a.sorted);
  const auto refusal = [&]() -> std::string {
    try {
      moe::apply_capacity(1, moe::drop_by_position{}, a);
    } catch (const std::invalid_argument& e) {
      CHECK(kept_ids[0] == 77);
      return e.what();
    }
    return "";
  };
  order[2] = 2;
  CHECK(refusal() == "hence: order[2] is slot 2, which ids gives to expert -1, expected 1");
  order[2] = 4;
  CHECK(refusal() == "hence: order[2] is 4, expected 0 to 3");
  order[2] = 3;
  offsets[2] = 2;
  CHECK(refusal() == "hence: sorted.offsets ends at 2, expected the 3 slots that ids fills");
  offsets[2] = 3;
  CHECK(refusal().empty());
  CHECK(kept_ids == std::vector<std::int32_t>{1, 0, -1, -1});
}

TEST_CASE("refused") {
  try {
    run({0, 1}, {1, 1}, 1, 2, -1, moe::drop_by_weight{});
    FAIL("was not refused");
  } catch (const std::invalid_argument& e) {
    CHECK(std::string(e.what()) == "hence: capacity is -1, expected 0 or more");
  }
}

}  // namespace
