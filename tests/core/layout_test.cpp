#include <hence/core/layout.hpp>

#include <doctest/doctest.h>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using hence::counts;
using hence::padded;
using hence::ragged;
using hence::view;
using hence::detail::count_nonzero;
using layout = hence::detail::layout;

view<const std::uint8_t, 2> matrix(const std::vector<std::uint8_t>& m, std::int64_t rows,
                                   std::int64_t width, std::int64_t stride) {
  return {m.data(), rows, width, stride};
}
counts counts_of(std::int64_t rows, std::int64_t filled, std::int64_t tokens, std::int64_t policy,
                 std::int64_t kl, std::int64_t metric) {
  counts c;
  c.rows = rows, c.non_empty_rows = filled, c.tokens = tokens;
  c.policy_tokens = policy, c.kl_tokens = kl, c.metric_tokens = metric;
  return c;
}
template <class F> std::string refusal_of(F&& f) {
  try {
    f();
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("counting without masks, with one, and with roles") {
  const std::vector<std::int64_t> cu{0, 3, 3, 7};
  const std::vector<std::uint8_t> response{1, 0, 255, 1, 1, 0, 2}, policy{1, 1, 0, 1, 1, 1, 0},
      kl{0, 1, 0, 0, 1, 1, 0}, dead(7, 0);
  CHECK(hence::count(ragged{cu, {}}) == counts_of(3, 2, 7, 7, 7, 7));
  ragged b{cu, {}};
  b.mask.response = response;
  CHECK(hence::count(b) == counts_of(3, 2, 5, 5, 5, 5));
  b.mask.policy = policy;
  CHECK(hence::count(b) == counts_of(3, 2, 5, 3, 5, 5));
  b.mask.kl = kl;
  b.mask.metric = dead;
  CHECK(hence::count(b) == counts_of(3, 2, 5, 3, 1, 0));
  b.mask.response = {};
  CHECK(hence::count(b) == counts_of(3, 2, 7, 5, 3, 0));
  b.mask.response = dead;
  CHECK(hence::count(b) == counts_of(3, 0, 0, 0, 0, 0));
}

TEST_CASE("counting a padded batch leaves the gap between rows alone") {
  const std::vector<std::uint8_t> m{1, 0, 1, 9, 9, 0, 0, 0, 9, 9, 1, 1, 1, 9, 9};
  padded b{3, 3, {}};
  CHECK(hence::count(b) == counts_of(3, 3, 9, 9, 9, 9));
  b.mask.response = matrix(m, 3, 3, 5);
  CHECK(hence::count(b) == counts_of(3, 2, 5, 5, 5, 5));
  b.mask.kl = matrix(m, 3, 3, 5);
  CHECK(hence::count(b) == counts_of(3, 2, 5, 5, 5, 5));
}

TEST_CASE("empty batches count to nothing") {
  const std::vector<std::int64_t> zero{0}, zeros{0, 0, 0};
  CHECK(hence::count(ragged{zero, {}}) == counts{});
  CHECK(hence::count(ragged{zeros, {}}) == counts_of(2, 0, 0, 0, 0, 0));
  CHECK(hence::count(padded{0, 5, {}}) == counts{});
  CHECK(hence::count(padded{5, 0, {}}) == counts_of(5, 0, 0, 0, 0, 0));
}

TEST_CASE("counting refuses what a loss would refuse") {
  const std::vector<std::int64_t> late{1, 3}, down{0, 3, 2};
  const std::vector<std::int32_t> narrow{0, -1};
  CHECK(refusal_of([&] { hence::count(ragged{}); }) ==
        "hence: cu_seqlens is empty, expected rows + 1 entries from 0");
  CHECK(refusal_of([&] { hence::count(ragged{late, {}}); }) ==
        "hence: cu_seqlens[0] is 1, expected 0 (boundaries, not lengths)");
  CHECK(refusal_of([&] { hence::count(ragged{down, {}}); }) ==
        "hence: cu_seqlens[2] is 2, expected at least its predecessor 3");
  CHECK(refusal_of([&] { hence::count(ragged{narrow, {}}); }) ==
        "hence: cu_seqlens[1] is -1, expected at least its predecessor 0");
  CHECK(refusal_of([&] { hence::count(padded{-2, 1, {}}); }) ==
        "hence: padded.rows is -2, expected 0 or more");
  const std::vector<std::int64_t> two_tokens{0, 2};
  const std::vector<std::uint8_t> forgotten;
  CHECK(refusal_of([&] { hence::count(ragged{two_tokens, {.response = forgotten}}); }) ==
        "hence: mask.response is null, expected 2 tokens");
  CHECK(refusal_of([&] { hence::count(padded{2, 3, {.kl = matrix(forgotten, 2, 3, 3)}}); }) ==
        "hence: mask.kl is null, expected 6 tokens");
  CHECK(hence::count(padded{2, 0, {.kl = matrix(forgotten, 2, 0, 0)}}).rows == 2);
  CHECK(refusal_of([&] { hence::count(padded{INT64_MAX, 2, {}}); }) ==
        "hence: padded.rows x padded.width = 9223372036854775807 x 2 overflows");
}

TEST_CASE("count_nonzero against a loop: every length, alignment and byte") {
  std::mt19937 engine(1);
  std::vector<std::uint8_t> m(600);
  for (int k = 0; k < 300; ++k) {
    for (auto& b : m) b = engine() % 3 == 0 ? 0 : static_cast<std::uint8_t>(engine());
    const std::size_t at = engine() % 9, n = engine() % 560;
    std::int64_t expected = 0;
    for (std::size_t i = 0; i < n; ++i) expected += m[at + i] != 0;
    CHECK(count_nonzero(m.data() + at, static_cast<std::int64_t>(n)) == expected);
  }
  for (int byte = 0; byte < 256; ++byte) {
    const std::vector<std::uint8_t> same(24, static_cast<std::uint8_t>(byte));
    CHECK(count_nonzero(same.data(), 24) == (byte ? 24 : 0));
  }
}

TEST_CASE("rows, lengths and tokens of both layouts") {
  const std::vector<std::int32_t> cu{0, 2, 2, 9};
  const layout a = ragged{cu, {}};
  CHECK(a.rows == 3);
  CHECK(a.tokens() == 9);
  CHECK(a.length(0) == 2);
  CHECK(a.length(1) == 0);
  CHECK(a.length(2) == 7);
  float x[64];
  CHECK(a.row(hence::per_token<float>(view<float>(x, 9)), 2) == x + 2);
  CHECK(a.row(hence::per_token<float>(), 2) == nullptr);
  const layout b = padded{3, 4, {}};
  CHECK(b.tokens() == 12);
  CHECK(b.length(2) == 4);
  CHECK(b.row(hence::per_token<float>(view<float, 2>(x, 3, 4, 9)), 2) == x + 18);
  const layout large = padded{std::int64_t{1} << 20, std::int64_t{1} << 20, {}};
  CHECK(large.tokens() == std::int64_t{1} << 40);
}

TEST_CASE("chunks partition the rows, whatever the lengths") {
  std::mt19937 engine(2);
  const auto check = [](const layout& b, std::int64_t chunks) {
    CHECK(b.chunk_begin(0, chunks) == 0);
    CHECK(b.chunk_begin(chunks, chunks) == b.rows);
    for (std::int64_t c = 0; c < chunks; ++c)
      CHECK(b.chunk_begin(c, chunks) <= b.chunk_begin(c + 1, chunks));
  };
  for (int k = 0; k < 100; ++k) {
    std::vector<std::int64_t> cu{0};
    const std::size_t rows = 1 + engine() % 50;
    for (std::size_t i = 0; i < rows; ++i)
      cu.push_back(cu.back() +
                   (engine() % 4 == 0 ? 0 : static_cast<std::int64_t>(engine() % 2000)));
    for (const std::int64_t chunks : {1, 2, 3, 7, 50, 64}) {
      check(ragged{cu, {}}, chunks);
      check(padded{static_cast<std::int64_t>(rows), 77, {}}, chunks);
    }
  }
  // and they are about equal where rows are
  std::vector<std::int64_t> even;
  for (std::int64_t i = 0; i <= 1000; ++i) even.push_back(i * 10);
  const layout b = ragged{even, {}};
  for (std::int64_t c = 0; c < 8; ++c) CHECK(b.chunk_begin(c + 1, 8) - b.chunk_begin(c, 8) == 125);
  // 2^62 tokens do not overflow
  const layout large = padded{std::int64_t{1} << 40, std::int64_t{1} << 19, {}};
  CHECK(large.chunk_begin(128, 256) == std::int64_t{1} << 39);
}

TEST_CASE("the masks of a row: absent ones fall back") {
  const std::vector<std::int64_t> cu{0, 2, 4};
  const std::vector<std::uint8_t> m{1, 0, 0, 1};
  ragged r{cu, {}};
  CHECK(layout(r).masks_of(1).all_live());
  r.mask.response = m;
  const auto only = layout(r).masks_of(1);
  CHECK(!only.all_live());
  CHECK(only.one_role());
  CHECK(!only.live(0));
  CHECK(only.live(1));
  CHECK(only.policy_live(0));
  r.mask.policy = m;
  CHECK(!layout(r).masks_of(0).one_role());
  CHECK(!layout(r).masks_of(0).policy_live(1));
  CHECK(layout(r).masks_of(0).metric_live(1));
}

TEST_CASE("a row is all live without masks, and has one role without those of roles") {
  const std::uint8_t live = 1;
  hence::detail::row_masks none, response, policy, kl, metric;
  response.response = &live, policy.policy = &live, kl.kl = &live, metric.metric = &live;
  CHECK((none.all_live() && none.one_role()));
  CHECK((!response.all_live() && response.one_role()));
  for (const auto& m : {policy, kl, metric}) {
    CHECK(!m.all_live());
    CHECK(!m.one_role());
  }
}
