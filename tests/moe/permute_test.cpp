// The permutation against sorting, its layouts, and what it refuses.

#include <hence/moe/permute.hpp>

#include <doctest/doctest.h>
#include <algorithm>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

namespace moe = hence::moe;
using hence::view;

struct sorted {
  std::int64_t tokens, k, experts, count = 0;
  std::vector<std::int64_t> offsets, order, position, aligned_offsets, aligned_position;
  moe::permutation out;
  sorted(std::int64_t t, std::int64_t slots, std::int64_t e)
      : tokens(t),
        k(slots),
        experts(e),
        offsets(static_cast<std::size_t>(e + 1), 77),
        order(static_cast<std::size_t>(t * slots), 77),
        position(order),
        aligned_offsets(offsets),
        aligned_position(order),
        out{offsets, order, view<std::int64_t, 2>(position.data(), t, slots), aligned_offsets,
            view<std::int64_t, 2>(aligned_position.data(), t, slots)} {}
  template <class Id> void run(const std::vector<Id>& ids, std::int64_t align) {
    count = moe::permute(view<const Id, 2>(ids.data(), tokens, k), experts, align, out);
  }
};

template <class Id>
void check(std::int64_t tokens, std::int64_t k, std::int64_t experts, std::int64_t align) {
  std::mt19937 random(static_cast<unsigned>(tokens + k + experts));
  std::vector<Id> ids;
  for (std::int64_t i = 0; i < tokens * k; ++i)
    ids.push_back(static_cast<Id>(
        static_cast<std::int64_t>(random() % static_cast<unsigned>(experts + 1)) - 1));
  sorted s(tokens, k, experts);
  s.run(ids, align);
  std::vector<std::int64_t> want;
  for (std::int64_t i = 0; i < tokens * k; ++i)
    if (ids[static_cast<std::size_t>(i)] >= 0) want.push_back(i);
  std::sort(want.begin(), want.end(), [&](std::int64_t a, std::int64_t b) {
    const auto x = ids[static_cast<std::size_t>(a)], y = ids[static_cast<std::size_t>(b)];
    return x < y || (x == y && a < b);
  });
  REQUIRE(s.count == static_cast<std::int64_t>(want.size()));
  CHECK(std::equal(want.begin(), want.end(), s.order.begin()));
  std::int64_t aligned = 0;
  for (std::int64_t e = 0; e < experts; ++e) {
    const auto i = static_cast<std::size_t>(e);
    const auto n = std::count(ids.begin(), ids.end(), static_cast<Id>(e));
    CHECK(s.offsets[i + 1] - s.offsets[i] == n);
    CHECK(s.aligned_offsets[i] == aligned);
    aligned += (n + align - 1) / align * align;
  }
  CHECK(s.offsets[0] == 0);
  CHECK(s.aligned_offsets.back() == aligned);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0) {
      CHECK(s.position[i] == -1);
      CHECK(s.aligned_position[i] == -1);
      continue;
    }
    const auto e = static_cast<std::size_t>(ids[i]);
    REQUIRE(s.order[static_cast<std::size_t>(s.position[i])] == static_cast<std::int64_t>(i));
    CHECK(s.aligned_position[i] - s.aligned_offsets[e] == s.position[i] - s.offsets[e]);
  }
}

TEST_CASE("as sorting by (expert, slot)") {
  check<std::int32_t>(0, 2, 4, 16);
  check<std::int32_t>(1, 1, 1, 1);
  check<std::int32_t>(50, 3, 7, 1);
  check<std::int8_t>(50, 3, 127, 8);
  check<std::int64_t>(301, 8, 64, 128);
  check<std::int32_t>(9, 3, 2, std::int64_t{1} << 32);  // the most that there may be
  check<std::int16_t>(40, 4, 1000, 16);                 // most experts have no token
}

TEST_CASE("vLLM's layout of blocks") {
  const std::vector<std::int32_t> ids{2, 0, 2, -1, 2, 0};  // 3 tokens of 2 slots
  sorted s(3, 2, 4);
  s.run(ids, 2);
  CHECK(s.aligned_offsets == std::vector<std::int64_t>{0, 2, 2, 6, 6});
  std::vector<std::int64_t> slots(6), block(3);
  moe::aligned_slots(s.out, 2, 6, slots, block);
  CHECK(slots == std::vector<std::int64_t>{1, 5, 0, 2, 4, 6});
  CHECK(block == std::vector<std::int64_t>{0, 2, 2});
}

TEST_CASE("a layout of blocks that permute did not write is refused") {
  const std::vector<std::int32_t> ids{2, 0, 2, -1, 2, 0};
  sorted s(3, 2, 4);
  s.run(ids, 2);
  std::vector<std::int64_t> slots(6, 77), block(3, 77);
  const auto refusal = [&](const moe::permutation& p, std::int64_t align) -> std::string {
    try {
      moe::aligned_slots(p, align, 6, slots, block);
    } catch (const std::invalid_argument& e) {
      CHECK(slots[0] == 77);
      return e.what();
    }
    return "";
  };
  CHECK(refusal({}, 2) == "hence: offsets has 0 entries, expected one more than the experts");
  CHECK(refusal(s.out, 4) == "hence: aligned_offsets[1] is 2, expected a multiple of 4");
  auto changed = s.out;
  std::vector<std::int64_t> aligned = s.aligned_offsets;
  aligned[3] = 4;  // expert 2 has three rows
  changed.aligned_offsets = aligned;
  CHECK(refusal(changed, 2) == "hence: aligned_offsets[3] is 4, expected at least 5");
  aligned = s.aligned_offsets;
  aligned[4] = 4;  // the end of all
  CHECK(refusal(changed, 2) == "hence: aligned_offsets[4] is 4, expected at least 6");
  changed = s.out;
  changed.order.extent[0] = 4;
  CHECK(refusal(changed, 2) == "hence: order has 4 entries, expected at least 5");
  CHECK(refusal(s.out, 0) == "hence: align is 0, expected 1 or more");
  changed = s.out;
  changed.offsets.data = nullptr;
  CHECK(refusal(changed, 2) == "hence: offsets has 5 entries, expected one more than the experts");
  std::vector<std::int64_t> offsets = s.offsets;
  offsets[0] = 1;
  changed.offsets = offsets;
  CHECK(refusal(changed, 2) == "hence: offsets[0] is 1, expected 0");
  CHECK(refusal(s.out, 2).empty());
  const auto with_blocks = slots;
  moe::aligned_slots(s.out, 2, 6, slots);  // without block_expert
  CHECK(slots == with_blocks);
  s.run(ids, 1);
  slots.resize(5);
  moe::aligned_slots(s.out, 1, 6, slots);
  CHECK(std::equal(slots.begin(), slots.end(), s.order.begin()));
}

TEST_CASE("what is refused, before anything is written") {
  const auto refusal = [](std::vector<std::int32_t> ids, std::int64_t experts, std::int64_t align,
                          auto change) -> std::string {
    sorted s(2, 2, 4);
    change(s);
    try {
      moe::permute(view<const std::int32_t, 2>(ids.data(), 2, 2), experts, align, s.out);
    } catch (const std::invalid_argument& e) {
      CHECK(s.offsets[0] == 77);
      CHECK(s.order[0] == 77);
      return e.what();
    }
    return "";
  };
  const auto nothing = [](sorted&) {};
  CHECK(refusal({0, 1, 2, 3}, 4, 1, nothing).empty());
  CHECK(refusal({0, 1, 4, 3}, 4, 1, nothing) == "hence: ids[1, 0] is 4, expected -1 to 3");
  CHECK(refusal({0, -2, 1, 3}, 4, 1, nothing) == "hence: ids[0, 1] is -2, expected -1 to 3");
  CHECK(refusal({-2, -2, 1, 3}, 4, 1, nothing) == "hence: ids[0, 0] is -2, expected -1 to 3");
  CHECK(refusal({0, 1, 9, 9}, 4, 1, nothing) == "hence: ids[1, 0] is 9, expected -1 to 3");
  CHECK(refusal({-1, 4, 2, 3}, 4, 1, nothing) == "hence: ids[0, 1] is 4, expected -1 to 3");
  CHECK(refusal({0, 1, 2, 3}, 4, INT64_MAX, nothing) ==
        "hence: align is 9223372036854775807, expected at most 4294967296");
  CHECK(refusal({0, 1, 2, 3}, 0, 1, nothing) == "hence: experts is 0, expected 1 or more");
  CHECK(refusal({0, 4, 2, 3}, 4, 1, nothing) == "hence: ids[0, 1] is 4, expected -1 to 3");
  sorted none(2, 1, 4);
  try {
    moe::permute(view<const std::int32_t, 2>(nullptr, 2, 0), 4, 1, none.out);
    FAIL("was not refused");
  } catch (const std::invalid_argument& e) {
    CHECK(std::string(e.what()) == "hence: ids has 0 slots a token, expected 1 or more");
  }
  CHECK(refusal({0, 1, 2, 3}, 4, 0, nothing) == "hence: align is 0, expected 1 or more");
  CHECK(refusal({0, 1, 2, 3}, 5, 1, nothing) == "hence: offsets has 5 entries, expected 6");
  CHECK(refusal({0, 1, 2, 3}, 4, 1, [](sorted& s) { s.out.order.extent[0] = 3; }) ==
        "hence: order has 3 entries, expected at least 4");
  CHECK(refusal({0, 1, 2, 3}, 4, 1, [](sorted& s) { s.out.position.extent[1] = 3; }) ==
        "hence: position has shape [2, 3], expected [2, 2]");
  CHECK(refusal({0, 1, 2, 3}, 4, 1, [](sorted& s) { s.out.aligned_offsets = {}; }) ==
        "hence: aligned_offsets is null, expected 5 entries beside aligned_position");
  CHECK(refusal({0, 1, 2, 3}, 4, 1, [](sorted& s) { s.out.order = s.position; }) ==
        "hence: position overlaps order, expected separate arrays");
}

}  // namespace
