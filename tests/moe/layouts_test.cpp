// The layouts of other kernels, against their definitions written out.

#include <hence/moe/layouts.hpp>

#include <doctest/doctest.h>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

namespace moe = hence::moe;
using hence::view;

struct sorted_slots {
  std::int64_t tokens, k, experts;
  std::vector<std::int32_t> ids;
  std::vector<std::int64_t> offsets, order, position, aligned, aligned_position;
  moe::permutation p;
  sorted_slots(std::vector<std::int32_t> from, std::int64_t slots, std::int64_t e,
               std::int64_t align)
      : tokens(static_cast<std::int64_t>(from.size()) / slots),
        k(slots),
        experts(e),
        ids(std::move(from)),
        offsets(static_cast<std::size_t>(e + 1)),
        order(ids.size()),
        position(order),
        aligned(offsets),
        aligned_position(order),
        p{offsets, order, view<std::int64_t, 2>(position.data(), tokens, k), aligned,
          view<std::int64_t, 2>(aligned_position.data(), tokens, k)} {
    moe::permute(view<const std::int32_t, 2>(ids.data(), tokens, k), experts, align, p);
  }
};

std::vector<std::int32_t> random_ids(std::int64_t tokens, std::int64_t k, std::int64_t experts) {
  std::mt19937 random(5);
  std::vector<std::int32_t> ids;
  for (std::int64_t t = 0; t < tokens; ++t) {
    std::vector<bool> has(static_cast<std::size_t>(experts), false);
    for (std::int64_t j = 0; j < k; ++j) {
      const auto e = random() % static_cast<unsigned>(experts);
      ids.push_back(has[e] ? -1 : static_cast<std::int32_t>(e));
      has[e] = true;
    }
  }
  return ids;
}

TEST_CASE("DeepGEMM contiguous: m_indices by its own loop") {
  sorted_slots s(random_ids(60, 3, 7), 3, 7, 16);
  std::vector<std::int32_t> got(static_cast<std::size_t>(s.aligned.back()), 77), want(got);
  moe::row_experts(s.p, view<std::int32_t>(got));
  std::size_t start = 0;
  for (std::int32_t e = 0; e < 7; ++e) {
    std::size_t actual = 0;
    for (const auto id : s.ids) actual += id == e;
    const std::size_t padded = (actual + 15) / 16 * 16;
    for (std::size_t i = 0; i < padded; ++i) want[start + i] = i < actual ? e : -1;
    start += padded;
  }
  CHECK(start == got.size());
  CHECK(got == want);
  for (std::size_t i = 0; i < s.ids.size(); ++i)  // a slot's row is of the slot's expert
    if (s.ids[i] >= 0) CHECK(got[static_cast<std::size_t>(s.aligned_position[i])] == s.ids[i]);
}

TEST_CASE("DeepGEMM masked: a matrix of rows an expert") {
  sorted_slots s({2, 0, 2, -1, 2, 0}, 2, 4, 1);
  std::vector<std::int64_t> got(6, 77);
  moe::masked_positions(s.p, 5, view<std::int64_t, 2>(got.data(), 3, 2));
  CHECK(got == std::vector<std::int64_t>{10, 0, 11, -1, 12, 1});
}

TEST_CASE("Megatron: for every expert the tokens that its map holds") {
  sorted_slots s(random_ids(60, 3, 7), 3, 7, 1);
  std::vector<std::int64_t> got(static_cast<std::size_t>(s.offsets.back())), want;
  moe::row_tokens(s.p, 3, view<std::int64_t>(got));
  for (std::int32_t e = 0; e < 7; ++e)
    for (std::size_t t = 0; t < 60; ++t)
      for (std::size_t j = 0; j < 3; ++j)
        if (s.ids[3 * t + j] == e) want.push_back(static_cast<std::int64_t>(t));
  CHECK(got == want);
}

TEST_CASE("no token") {
  sorted_slots s({}, 2, 3, 4);
  moe::row_experts(s.p, view<std::int32_t>(nullptr, 0));
  moe::row_tokens(s.p, 2, view<std::int32_t>(nullptr, 0));
  moe::masked_positions(s.p, 0, view<std::int64_t, 2>(nullptr, 0, 2));
  CHECK(s.offsets.back() == 0);
}

TEST_CASE("what is refused, before anything is written") {
  sorted_slots s({2, 0, 2, -1, 2, 0}, 2, 4, 4);
  std::vector<std::int64_t> out(8, 77);
  const auto refusal = [&](auto f) -> std::string {
    try {
      f();
    } catch (const std::invalid_argument& e) {
      CHECK(out[0] == 77);
      return e.what();
    }
    return "";
  };
  CHECK(refusal([&] { moe::masked_positions(s.p, 2, view<std::int64_t, 2>(out.data(), 3, 2)); }) ==
        "hence: expert 2 has 3 rows, expected at most 2");
  CHECK(refusal([&] { moe::masked_positions(s.p, 3, view<std::int64_t, 2>(out.data(), 2, 2)); }) ==
        "hence: out has shape [2, 2], expected room for the 5 slots of the permutation");
  CHECK(refusal([&] { moe::row_experts(s.p, view<std::int64_t>(out.data(), 7)); }) ==
        "hence: out has 7 entries, expected 8");
  CHECK(refusal([&] { moe::row_tokens(s.p, 2, view<std::int64_t>(out.data(), 4)); }) ==
        "hence: out has 4 entries, expected 5");
  // 200 tokens of one slot: their last is no int8_t
  sorted_slots many(std::vector<std::int32_t>(200, 0), 1, 1, 1);
  std::vector<std::int8_t> narrow(200, 77);
  CHECK(refusal([&] { moe::row_tokens(many.p, 1, view<std::int8_t>(narrow)); }) ==
        "hence: order[128] is of token 128, which the type of out does not hold");
  CHECK(narrow[0] == 77);
  // a permutation that permute did not write
  CHECK(refusal([&] { moe::row_experts(moe::permutation{}, view<std::int64_t>(out.data(), 0)); }) ==
        "hence: offsets has 0 entries, expected one more than the experts");
  CHECK(refusal([&] { moe::row_tokens(moe::permutation{}, 2, view<std::int64_t>(out)); }) ==
        "hence: offsets has 0 entries, expected one more than the experts");
  CHECK(refusal([&] { moe::masked_positions(moe::permutation{}, 3, view<std::int64_t, 2>()); }) ==
        "hence: offsets has 0 entries, expected one more than the experts");
  auto other = s.p;
  std::vector<std::int64_t> order = s.order;
  other.order = order;
  order[1] = 6;
  CHECK(refusal([&] {
          moe::masked_positions(other, 3, view<std::int64_t, 2>(out.data(), 3, 2));
        }) == "hence: order[1] is 6, expected 0 to 5");
  order[1] = -1;
  CHECK(refusal([&] {
          moe::row_tokens(other, 2, view<std::int64_t>(out.data(), 5));
        }).starts_with("hence: order[1] is -1, expected 0 to "));
  std::vector<std::int64_t> offsets = s.offsets;
  other.offsets = offsets;
  offsets[2] = 9;
  CHECK(refusal([&] { moe::row_tokens(other, 2, view<std::int64_t>(out.data(), 5)); }) ==
        "hence: offsets[3] is 5, expected at least 9");
  other = s.p;
  std::vector<std::int64_t> aligned = s.aligned;
  other.aligned_offsets = aligned;
  aligned[1] = 1;
  CHECK(refusal([&] { moe::row_experts(other, view<std::int64_t>(out.data(), 8)); }) ==
        "hence: aligned_offsets[1] is 1, expected at least 2");
  CHECK(refusal([&] { moe::row_tokens(s.p, 0, view<std::int64_t>(out.data(), 5)); }) ==
        "hence: k is 0, expected 1 or more");
}

}  // namespace
