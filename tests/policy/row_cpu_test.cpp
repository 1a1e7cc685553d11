#include "compositions.hpp"

#include <doctest/doctest.h>

#include <limits>

namespace {

using fixture::form;
using fixture::run;
using fixture::same_bits;
namespace aggregate = hence::aggregate;
namespace clip = hence::clip;
namespace kl = hence::kl;
namespace ratio = hence::ratio;

/// cpu against reference<float>, to the bit, in the layout that is copied least and most.
template <class Loss> void check_same(const Loss& loss, const fixture::description& d) {
  const auto expected = run(hence::reference<float>{}, loss, d);
  CHECK(same_bits(expected, run(hence::cpu{}, loss, d)));
  CHECK(same_bits(expected, run(hence::cpu{}, loss, d, form::holes, hence::over_this_call, 4)));
}
template <class F> void each_loss(F&& f) {
  f(hence::policy_loss{ratio::token{}, clip::two_sided{0.75f, 1.25f}, kl::k3{0.0625f},
                       aggregate::token_mean{}});
  f(hence::policy_loss{ratio::sequence{ratio::log_clamp{-0.02f, 0.02f}},
                       clip::two_sided{0.9f, 1.1f}, kl::k3{0.0625f},
                       aggregate::sequence_mean_token_mean{}});
  f(hence::policy_loss{ratio::sequence{}, clip::cispo{0.75f, 1.25f}, kl::none{},
                       aggregate::constant{1000}});
  f(hence::policy_loss{ratio::sequence{}, fixture::token_rule, kl::k2{0.0625f},
                       aggregate::token_mean{}});
}

constexpr std::size_t lengths[] = {0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 1023, 1024, 1025, 3000};

}  // namespace

TEST_CASE("rows around the pack's and the block's length have the reference's bits") {
  fixture::dice random(1);
  for (const std::size_t n : lengths)
    for (const double live : {1.0, 0.7, 0.01, 0.0}) {
      CAPTURE(n);
      CAPTURE(live);
      const auto d = fixture::random_batch(random, {n}, {.live = live});
      each_loss([&](const auto& loss) { check_same(loss, d); });
    }
}

TEST_CASE("so do rows with roles and with advantages of their tokens") {
  fixture::dice random(2);
  for (const std::size_t n : lengths)
    for (const bool roles : {false, true})
      for (const double live : {1.0, 0.6}) {
        const auto d =
            fixture::random_batch(random, {n}, {.live = live, .per_token = true, .roles = roles});
        each_loss([&](const auto& loss) { check_same(loss, d); });
      }
}

TEST_CASE("so do batches of many rows, one of them long") {
  fixture::dice random(3);
  std::vector<std::size_t> many{3000, 0, 1, 1024, 1025, 16};
  for (int i = 0; i < 60; ++i) many.push_back(random.below(70));
  for (const bool roles : {false, true}) {
    const auto d = fixture::random_batch(random, many, {.live = 0.8, .roles = roles});
    each_loss([&](const auto& loss) { check_same(loss, d); });
  }
}

TEST_CASE("so do log-probs of every magnitude") {
  fixture::dice random(4);
  for (int k = 0; k < 40; ++k) {
    auto d = fixture::random_batch(random, {50, 17, 5}, {.per_token = true});
    for (auto& r : d.rows)
      for (auto& p : r.at) {
        const auto any = [&] {
          return static_cast<float>(random.between(-2, 2) * std::exp2(random.between(-40, 9)));
        };
        p.logp = any(), p.old = any(), p.ref = any(), p.advantage = any();
      }
    each_loss([&](const auto& loss) { check_same(loss, d); });
  }
}

TEST_CASE("packed lengths: gathered tokens give what they give alone") {
  // 40 live tokens among 3000 dead ones, and the same 40 by themselves
  fixture::dice random(5);
  const auto d = fixture::random_batch(random, {3000}, {.live = 0.0133});
  each_loss([&](const auto& loss) {
    CHECK(same_bits(run(hence::cpu{}, loss, d), run(hence::cpu{}, loss, d, form::compacted)));
  });
}

TEST_CASE("a run of live tokens between dead ones has the bits of the run alone") {
  fixture::dice random(6);
  for (const std::size_t longest : {5u, 40u, 1100u}) {
    const auto d = fixture::random_batch(random, {longest, longest / 2, 1, 0, longest - 1},
                                         {.per_token = longest == 40});
    each_loss([&](const auto& loss) {
      const auto expected = run(hence::cpu{}, loss, d, form::compacted);
      for (const form f : {form::left, form::right})
        CHECK(same_bits(expected, run(hence::cpu{}, loss, d, f)));
    });
  }
}

TEST_CASE("one input that is not finite, wherever it is, though a clip may hide it") {
  fixture::dice random(7);
  const auto clean = fixture::random_batch(random, {1040}, {.per_token = true});
  const float inf = std::numeric_limits<float>::infinity();
  for (const float bad : {inf, -inf, std::numeric_limits<float>::quiet_NaN()})
    for (const std::size_t t : {0u, 17u, 1023u, 1039u})
      for (int which = 0; which < 4; ++which) {
        auto d = clean;
        auto& p = d.rows[0].at[t];
        (which == 0 ? p.logp : which == 1 ? p.old : which == 2 ? p.ref : p.advantage) = bad;
        each_loss([&](const auto& loss) { check_same(loss, d); });
      }
}

TEST_CASE("terms of every size in one row, so that guesses of their size fail") {
  fixture::dice random(8);
  auto d = fixture::random_batch(random, std::vector<std::size_t>(40, 100));
  for (std::size_t i = 0; i < d.rows.size(); ++i)
    d.rows[i].advantage *= i % 3 == 0 ? 0.0 : std::exp2(static_cast<double>(i % 20) - 10);
  each_loss([&](const auto& loss) { check_same(loss, d); });
}
