#include <hence/core/random.hpp>

#include <doctest/doctest.h>

#include <set>
#include <tuple>

using hence::draw;
using hence::philox;

namespace {

using words = std::tuple<std::uint32_t, std::uint32_t, std::uint32_t, std::uint32_t>;
constexpr words at(std::uint64_t seed, draw place) {
  const auto w = philox(seed, place);
  return {w.word[0], w.word[1], w.word[2], w.word[3]};
}

}  // namespace

TEST_CASE("philox: the known answers of Random123's philox4x32-10") {
  static_assert(at(0, {}) == words(0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8));
  CHECK(at(~std::uint64_t{0}, {~0u, ~0u, ~std::uint64_t{0}}) ==
        words(0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd));
  CHECK(at(0x299f31d0a4093822u, {0x243f6a88, 0x85a308d3, 0x0370734413198a2eu}) ==
        words(0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1));
}

TEST_CASE("philox: each part of the place and each half of the seed counts") {
  std::set<words> seen;
  for (std::uint32_t token : {0u, 1u, 1u << 31}) {
    for (std::uint32_t step : {0u, 1u, 1u << 31}) {
      for (std::uint64_t sequence : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 32}) {
        for (std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 32}) {
          seen.insert(at(seed, {.token = token, .step = step, .sequence = sequence}));
        }
      }
    }
  }
  CHECK(seen.size() == 81);
}

TEST_CASE("uniform: 24 bits in [0, 1)") {
  static_assert(hence::uniform(0) == 0 && hence::uniform(255) == 0 &&
                hence::uniform(256) == 0x1p-24f);
  CHECK(hence::uniform(0xffffffffu) == 1 - 0x1p-24f);
  CHECK(hence::uniform(0x80000000u) == 0.5f);
}

TEST_CASE("philox: uniform in 64 bins, in each word, and free of correlation between neighbours") {
  constexpr int draws = 1 << 16, bins = 64;
  for (int word = 0; word < 4; ++word) {
    int count[bins] = {};
    double product = 0, last = 0.5;
    for (int i = 0; i < draws; ++i) {
      const auto w = philox(7, {.token = static_cast<std::uint32_t>(i), .sequence = 3});
      const double u = static_cast<double>(hence::uniform(w.word[word]));
      ++count[static_cast<int>(u * bins)];
      product += (u - 0.5) * (last - 0.5);
      last = u;
    }
    double chi2 = 0;
    const double expected = double{draws} / bins;
    for (const int n : count) chi2 += (n - expected) * (n - expected) / expected;
    CHECK(chi2 > 25);  // 63 degrees of freedom: 1e-5 on either side
    CHECK(chi2 < 120);
    CHECK(product / draws * 12 < 4.5 / 256);
    CHECK(product / draws * 12 > -4.5 / 256);
  }
}
