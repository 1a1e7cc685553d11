#include <hence/policy/correction_vetoed.hpp>
#include <hence/policy/shrink_mask.hpp>
#include <hence/policy/surrogate_score.hpp>

#include "family_checks.hpp"

#include <limits>
#include <stdexcept>

namespace {

using family::mode;
using fixture::check_family;
namespace c = hence::correction;
namespace ratio = hence::ratio;

template <class S, class Correction> auto with(const Correction& correct) {
  return hence::policy_loss{ratio::token{}, hence::clip::two_sided{S(0.75), S(1.25)},
                            hence::kl::k3{S(0.5)}, hence::aggregate::token_mean{}, correct};
}
family::spec corrected(family::correction at, mode by, double low, double high, bool kl_too) {
  return {.kl = family::estimator::k3,
          .coef = 0.5,
          .correct = at,
          .by = by,
          .weight_low = low,
          .weight_high = high,
          .veto_low = 0.921875,
          .veto_high = 1.078125,
          .kl_too = kl_too};
}
template <class S, class R> auto vetoed(const R& r) {
  return c::vetoed{r, S(0.921875), S(1.078125)};
}

}  // namespace

TEST_CASE("token weights, and a veto of the whole row") {
  check_family(
      corrected(family::correction::token, mode::truncate, 0, 1.03125, false), []<class S>() {
        return with<S>(vetoed<S>(
            c::rollout{c::token_level{}, c::truncate{S(0), S(1.03125)}, c::policy_only{}}));
      });
  check_family(
      corrected(family::correction::token, mode::mask, 0.96875, 1.03125, true), []<class S>() {
        return with<S>(vetoed<S>(
            c::rollout{c::token_level{}, c::mask{S(0.96875), S(1.03125)}, c::policy_and_kl{}}));
      });
}

TEST_CASE("row weights, and a veto") {
  check_family(
      corrected(family::correction::sequence, mode::truncate, 0, 1.0625, true), []<class S>() {
        return with<S>(vetoed<S>(
            c::rollout{c::sequence_level{}, c::truncate{S(0), S(1.0625)}, c::policy_and_kl{}}));
      });
  check_family(corrected(family::correction::geometric, mode::reject, 0.984375, 1.03125, false),
               []<class S>() {
                 return with<S>(vetoed<S>(c::rollout{
                     c::geometric_level{}, c::reject{S(0.984375), S(1.03125)}, c::policy_only{}}));
               });
}

TEST_CASE("VESPO takes the vetoed weight, 0, into its own") {
  for (const bool tokens : {true, false}) {
    family::spec s;
    s.surrogate = family::rule::vespo;
    s.a = 2, s.b = 3, s.c = 3, s.d = 2;
    s.correct = tokens ? family::correction::token : family::correction::sequence;
    s.by = mode::truncate, s.weight_low = 0, s.weight_high = 2;
    s.veto_low = 0.921875, s.veto_high = 1.078125;
    const auto of = []<class S>(auto level) {
      return hence::policy_loss{
          ratio::token{}, hence::clip::vespo{S(2), S(3), S(3), S(2)}, hence::kl::none{},
          hence::aggregate::token_mean{},
          vetoed<S>(c::rollout{level, c::truncate{S(0), S(2)}, c::policy_only{}})};
    };
    if (tokens)
      check_family(s, [&]<class S>() { return of.template operator()<S>(c::token_level{}); });
    else
      check_family(s, [&]<class S>() { return of.template operator()<S>(c::sequence_level{}); });
  }
}

TEST_CASE("bounds that no token passes change nothing, to the bit; at a bound a token stays") {
  fixture::dice random(4);
  const auto d = fixture::random_batch(random, {9, 30, 4}, {.live = 0.8, .roles = true});
  constexpr float inf = std::numeric_limits<float>::infinity();
  const c::rollout tis{c::token_level{}, c::truncate{0.0f, 1.03125f}, c::policy_only{}};
  CHECK(same_bits(fixture::run(hence::cpu{}, with<float>(c::vetoed{tis, -inf, inf}), d),
                  fixture::run(hence::cpu{}, with<float>(tis), d)));
  using V = hence::num<double>;
  const c::rollout any{c::token_level{}, c::truncate{0.0, 2.0}, c::policy_only{}};
  CHECK(c::vetoed{any, 1.0, 2.0}.outlier(V(0.0)).v == 0);
  CHECK(c::vetoed{any, 0.5, 1.0}.outlier(V(0.0)).v == 0);
  CHECK(c::vetoed{any, 0.5, 1.0}.outlier(V(0.1)).v == 1);
  CHECK(c::vetoed{any, 1.0, 2.0}.outlier(V(-0.1)).v == 1);
}

TEST_CASE("a rollout's NaN is reported, and bounds that make no sense are refused") {
  fixture::dice random(1);
  auto d = fixture::random_batch(random, {4, 3});
  d.rows[1].at[0].rollout = std::nan("");
  const c::rollout tis{c::token_level{}, c::truncate{0.0f, 1.03125f}, c::policy_only{}};
  CHECK(has(fixture::run(hence::cpu{}, with<float>(c::vetoed{tis, 0.5f, 2.0f}), d).conditions,
            hence::status::non_finite));
  CHECK_THROWS_WITH_AS(fixture::run(hence::cpu{}, with<float>(c::vetoed{tis, 2.0f, 1.0f}), d),
                       "hence: vetoed has bounds [2, 1], expected low <= high and high above 0",
                       std::invalid_argument);
  const c::rollout wrong{c::token_level{}, c::truncate{3.0f, 1.0f}, c::policy_only{}};
  CHECK_THROWS_WITH_AS(fixture::run(hence::cpu{}, with<float>(c::vetoed{wrong, 0.5f, 2.0f}), d),
                       "hence: truncate has bounds [3, 1], expected low <= high and high above 0",
                       std::invalid_argument);
}

TEST_CASE("what a shrunk denominator leaves out: vetoed rows, and rejected tokens of the others") {
  fixture::dice random(1);
  const auto d = fixture::random_batch(random, {9, 3, 0, 5, 1}, {.live = 0.8, .roles = true});
  fixture::arrays<float> a(d, fixture::form::ragged);
  std::vector<std::uint8_t> kept(a.logp.size(), 9);
  const auto check = [&](const auto& correct, const auto& stays) {
    hence::shrink_mask(hence::cpu{}, correct, a.ragged(), a.inputs(), kept);
    int vetoes = 0, rejected = 0;
    for (std::size_t i = 0; i < d.rows.size(); ++i) {
      bool veto = false;
      double e = 0;
      int n = 0;
      for (const auto& p : d.rows[i].at)
        if (p.live && p.policy) {
          const double rho = std::exp(p.old - p.rollout);
          veto = veto || rho < 0.921875 || rho > 1.078125;
          e += p.old - p.rollout, ++n;
        }
      vetoes += veto;
      for (std::size_t t = 0; t < d.rows[i].at.size(); ++t) {
        const auto& p = d.rows[i].at[t];
        const bool stay = stays(p, n > 0 ? std::exp(e) : 1.0);
        rejected += !veto && p.live && !stay;
        CHECK(kept[static_cast<std::size_t>(a.where[i][t])] == (p.live && !veto && stay));
      }
    }
    CHECK(vetoes > 0);
    CHECK(rejected > 0);
  };
  check(vetoed<float>(c::rollout{c::token_level{}, c::mask{0.96875f, 1.03125f}, c::policy_only{}}),
        [](const auto& p, double) {
          const double rho = std::exp(p.old - p.rollout);
          return !p.policy || (0.96875 <= rho && rho <= 1.03125);
        });
  check(vetoed<float>(c::rollout{c::sequence_level{}, c::reject{0.5f, 1.0f}, c::policy_only{}}),
        [](const auto&, double product) { return 0.5 <= product && product <= 1.0; });
}

TEST_CASE("one outlier is enough") {
  const std::vector<float> logp{-1, -1, -1, -1}, rollout{-1, -1, -3, -1}, advantages{1, 1};
  const std::vector<std::int64_t> cu{0, 2, 4};
  const hence::sampled how{.temperature = 1.0};
  const hence::policy_inputs<float> in{.logp = {logp, how},
                                       .old = {logp, how},
                                       .ref = {logp, how},
                                       .advantages = advantages,
                                       .rollout = {rollout, how}};
  const auto loss = with<float>(
      vetoed<float>(c::rollout{c::token_level{}, c::truncate{0.0f, 2.0f}, c::policy_only{}}));
  std::vector<float> packs(4), plain(4);
  const hence::ragged batch{.cu_seqlens = cu};
  hence::loss_and_gradient(hence::cpu{}, loss, batch, in, hence::over_this_call, packs);
  hence::loss_and_gradient(hence::reference<float>{}, loss, batch, in, hence::over_this_call,
                           plain);
  CHECK(packs == std::vector<float>{-0.25f, -0.25f, 0, 0});
  CHECK(plain == packs);
}
