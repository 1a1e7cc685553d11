#include <hence/policy/clip.hpp>
#include <hence/policy/row_metrics.hpp>

#include <doctest/doctest.h>

#include <limits>
#include <random>
#include <vector>

namespace {

using hence::native_isa;
using metrics = hence::policy_metrics<float>;
constexpr hence::clip::two_sided<float> rule{0.8f, 1.25f};
constexpr std::size_t padded = 1040;

struct block {
  std::vector<float> ratio, advantage;
  int n;
};
block random_block(int n, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  block b{std::vector<float>(padded), std::vector<float>(padded), n};
  for (int i = 0; i < n; ++i) {
    b.ratio[std::size_t(i)] = 1 + 0.5f * uniform(random);
    b.advantage[std::size_t(i)] = i % 7 == 0 ? 0.0f : uniform(random);
  }
  return b;
}

/// The block's notes against plain counting; `step` 0 takes the first advantage for all.
void check(const block& b, int step) {
  metrics m;
  std::vector<float> advantage = b.advantage;
  if (step == 0) advantage.assign(padded, b.advantage[0]);
  hence::detail::note_ratios<native_isa>(m, rule, b.ratio.data(), advantage.data(), step, b.n);
  std::int64_t low = 0, high = 0;
  hence::exact_sum sum;
  float largest = 0;
  for (std::size_t i = 0; i < std::size_t(b.n); ++i) {
    const float r = b.ratio[i], a = advantage[i];
    low += r < 0.8f && a < 0, high += r > 1.25f && a > 0;
    sum.add(r);
    if (!(r <= largest) && largest == largest) largest = r;
  }
  CHECK(m.tokens == b.n);
  CHECK(m.clipped_low == low);
  CHECK(m.clipped_high == high);
  CHECK((m.max_ratio == largest || (m.max_ratio != m.max_ratio && largest != largest)));
  const double got = m.ratios.value(), expected = sum.value();
  CHECK((got == expected || (got != got && expected != expected)));
}

}  // namespace

TEST_CASE("ratios of a block: sum, largest, clipped") {
  for (const int n : {0, 1, 15, 16, 17, 100, 1024})
    for (unsigned seed = 1; seed < 4; ++seed) check(random_block(n, seed), 1);
  for (unsigned seed = 1; seed < 9; ++seed)
    for (const int n : {16, 1024}) check(random_block(n, seed), 0);
}

TEST_CASE("a ratio that is 0, huge, infinite or NaN") {
  using f = std::numeric_limits<float>;
  for (const float special : {0.0f, 1e30f, f::infinity(), f::quiet_NaN(), f::min()})
    for (const std::size_t at : {0u, 5u, 40u}) {
      auto b = random_block(64, 5);
      b.ratio[at] = special;
      check(b, 1);
    }
}

TEST_CASE("only metric tokens with the term count") {
  hence::detail::block_scratch s;
  for (int i = 0; i < 5; ++i) {
    s.ratio[i] = s.advantage[i] = static_cast<float>(i + 1), s.kl[i] = static_cast<float>(10 * i);
    s.metric_live[i] = i != 0, s.policy_live[i] = i != 2, s.kl_live[i] = i >= 3;
  }
  const auto tokens = hence::detail::select_metric_tokens<native_isa>(s, 5);
  CHECK((tokens.policy == 3 && tokens.kl == 2));
  CHECK((s.ratio[0] == 2 && s.ratio[1] == 4 && s.ratio[2] == 5 && s.advantage[2] == 5));
  CHECK((s.kl[0] == 30 && s.kl[1] == 40));
  for (int i = 3; i % hence::pack<float>::lanes != 0; ++i) CHECK(s.ratio[i] == 0.0f);
  metrics m;
  hence::detail::note_kls<native_isa>(m, s.kl, tokens.kl);
  CHECK((m.kl_tokens == 2 && m.kls.value() == 70));
}
