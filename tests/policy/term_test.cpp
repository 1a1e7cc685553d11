#include "compositions.hpp"

#include <doctest/doctest.h>
#include <limits>

namespace {

using hence::detail::every_token;
using hence::detail::term_of;
using hence::detail::token_inputs;
using V = hence::num<double>;
constexpr double inf = std::numeric_limits<double>::infinity();

const hence::policy_loss ppo{hence::ratio::token{}, hence::clip::two_sided{0.75, 1.25},
                             hence::kl::k3{0.5}, hence::aggregate::token_mean{}};
const hence::policy_loss cispo{hence::ratio::token{}, hence::clip::cispo{0.75, 1.25},
                               hence::kl::none{}, hence::aggregate::token_mean{}};

token_inputs<V> inputs() {
  return {.logp = -1.0,
          .anchor = -1.125,
          .reference = -1.5,
          .advantage = 2.0,
          .score = 0.0,
          .log_ratio = 0.125};
}

/// Sees every member of the token, and says what it saw.
struct spy {
  mutable double seen[6] = {};
  auto operator()(const auto& t) const {
    const double now[] = {t.ratio.value.v, t.log_ratio.value.v, t.logp.value.v,
                          t.anchor.v,      t.advantage.v,       t.score.v};
    for (int i = 0; i < 6; ++i) seen[i] = now[i];
    return t.ratio * t.advantage;
  }
};
/// Takes both forms; the pair is preferred.
struct both_forms {
  auto operator()(const auto& r, const auto& a) const { return -(r * a); }
  auto operator()(const auto& t) const { return t.ratio * 1000; }
};

}  // namespace

TEST_CASE("a token's loss is the surrogate plus coef times the KL, with both partials") {
  const auto out = term_of(ppo, inputs(), every_token{}, every_token{});
  const double r = std::exp(0.125), k3 = std::exp(-0.5) - 0.5;
  CHECK(out.value.v == doctest::Approx(-2 * r + 0.5 * k3).epsilon(1e-15));
  CHECK(out.pooled.v == doctest::Approx(-2 * r).epsilon(1e-15));
  CHECK(out.own.v == doctest::Approx(0.5 * (1 - std::exp(-0.5))).epsilon(1e-15));
  CHECK(out.ratio.v == doctest::Approx(r).epsilon(1e-15));
  CHECK(out.kl.v == doctest::Approx(k3).epsilon(1e-15));  // before its coefficient
}

TEST_CASE("a rule of one argument sees the token as it is") {
  const hence::policy_loss loss{hence::ratio::token{hence::ratio::log_clamp{-1.0, 0.0625}}, spy{},
                                hence::kl::none{}, hence::aggregate::token_mean{}};
  auto in = inputs();
  in.score = 7.0;
  const auto out = term_of(loss, in, true, true);
  const double expected[] = {std::exp(0.0625), 0.0625, -1, -1.125, 2, 7};
  for (int i = 0; i < 6; ++i) CHECK(loss.surrogate.seen[i] == expected[i]);
  CHECK(out.pooled.v == 0);  // beyond the log clamp
  CHECK(out.ratio.v == std::exp(0.0625));
}

TEST_CASE("a rule with both forms is called with the pair") {
  const hence::policy_loss loss{hence::ratio::token{}, both_forms{}, hence::kl::none{},
                                hence::aggregate::token_mean{}};
  CHECK(term_of(loss, inputs(), true, true).value.v == doctest::Approx(-2 * std::exp(0.125)));
}

TEST_CASE("a partial that no path reaches is not even computed") {
  CHECK(std::is_same_v<decltype(term_of(cispo, inputs(), true, true).pooled), hence::zero>);
  CHECK(std::is_same_v<decltype(term_of(cispo, inputs(), every_token{}, every_token{}).pooled),
                       hence::zero>);
  const hence::policy_loss no_kl{hence::ratio::token{}, hence::clip::two_sided{0.75, 1.25},
                                 hence::kl::none{}, hence::aggregate::token_mean{}};
  CHECK(std::is_same_v<decltype(term_of(no_kl, inputs(), every_token{}, every_token{}).own),
                       hence::zero>);
}

TEST_CASE("a term whose role is dead is 0 with gradient 0, though it would be infinite") {
  auto in = inputs();
  in.log_ratio = 5000.0;  // r = inf
  in.advantage = -1.0;
  const auto policy_dead = term_of(ppo, in, false, true);
  const double k3 = std::exp(-0.5) - 0.5;
  CHECK(policy_dead.value.v == doctest::Approx(0.5 * k3));
  CHECK(policy_dead.pooled.v == 0);
  CHECK(policy_dead.own.v == doctest::Approx(0.5 * (1 - std::exp(-0.5))));
  const auto kl_dead = term_of(ppo, inputs(), true, false);
  CHECK(kl_dead.value.v == doctest::Approx(-2 * std::exp(0.125)));
  CHECK(kl_dead.own.v == 0);
  CHECK(kl_dead.kl.v == 0);
  const auto dead = term_of(ppo, inputs(), false, false);
  CHECK(dead.value.v == 0);
  CHECK(dead.pooled.v == 0);
  CHECK(dead.own.v == 0);
}

TEST_CASE("every input that is not finite makes the value NaN") {
  for (const double bad : {inf, -inf, std::nan("")}) {
    auto in = inputs();
    in.log_ratio = bad;
    CHECK(std::isnan(term_of(ppo, in, true, true).value.v));
    CHECK(std::isnan(term_of(cispo, in, true, true).value.v));
    in = inputs();
    in.advantage = bad;
    CHECK(std::isnan(term_of(ppo, in, true, true).value.v));
    in = inputs();
    in.reference = bad;
    CHECK(std::isnan(term_of(ppo, in, true, true).value.v));
    CHECK(!std::isnan(term_of(cispo, in, true, true).value.v));  // not an input of it
  }
}

TEST_CASE("where A = 0 the policy term and its gradient are 0, whatever the ratio") {
  for (const double log_ratio : {0.0, 0.5, 100.0, 5000.0, -5000.0}) {
    auto in = inputs();
    in.advantage = 0.0;
    in.log_ratio = log_ratio;
    const auto a = term_of(cispo, in, true, true);
    CHECK(a.value.v == 0);
    CHECK(a.own.v == 0);
    const auto b = term_of(ppo, in, true, false);
    CHECK(b.value.v == 0);
    CHECK(b.pooled.v == 0);
    CHECK(b.ratio.v == std::exp(log_ratio));  // the metrics see the true ratio
  }
}
