// The levels of the ratio and what it is taken against.
#include "family_checks.hpp"

#include <hence/policy/surrogate_ratio.hpp>
#include <hence/policy/surrogate_score.hpp>

#include <stdexcept>

namespace {

using family::level;
using fixture::check_family;
namespace clip = hence::clip;
namespace ratio = hence::ratio;

template <class S, class Ratio> auto clipped(const Ratio& r) {
  return hence::policy_loss{r, clip::two_sided{S(0.75), S(1.25)}, hence::kl::none{},
                            hence::aggregate::token_mean{}};
}
template <class S, class Ratio> auto of_rows(const Ratio& r) {
  return hence::policy_loss{r, clip::two_sided{S(0.75), S(1.25)}, hence::kl::none{},
                            hence::aggregate::sequence_mean_token_sum{}};
}

}  // namespace

TEST_CASE("sequence_token: the row's value, the token's own gradient") {
  check_family({.at = level::sequence_token},
               []<class S>() { return clipped<S>(ratio::sequence_token{}); });
  check_family({.at = level::sequence_token, .log_low = -0.5, .log_high = 0.0625, .sums = true},
               []<class S>() {
                 return of_rows<S>(ratio::sequence_token{ratio::log_clamp{S(-0.5), S(0.0625)}});
               });
}

TEST_CASE("sequence_product: the product of the row's ratios") {
  check_family({.at = level::sequence_product, .a = 0.25, .b = 4}, []<class S>() {
    return hence::policy_loss{ratio::sequence_product{}, clip::two_sided{S(0.25), S(4)},
                              hence::kl::none{}, hence::aggregate::token_mean{}};
  });
  check_family(
      {.at = level::sequence_product, .log_low = -3, .log_high = 2, .sums = true},
      []<class S>() { return of_rows<S>(ratio::sequence_product{ratio::log_clamp{S(-3), S(2)}}); });
}

TEST_CASE("anchors: the rollout, or the policy itself") {
  check_family({.against = family::anchor::rollout}, []<class S>() {
    return clipped<S>(ratio::token{ratio::unclamped{}, ratio::against_rollout{}});
  });
  check_family({.at = level::sequence, .against = family::anchor::rollout}, []<class S>() {
    return clipped<S>(ratio::sequence{ratio::unclamped{}, ratio::against_rollout{}});
  });
  check_family({.against = family::anchor::self}, []<class S>() {
    return clipped<S>(ratio::token{ratio::unclamped{}, ratio::against_self{}});
  });
  check_family({.at = level::sequence_product, .against = family::anchor::self}, []<class S>() {
    return clipped<S>(ratio::sequence_product{ratio::unclamped{}, ratio::against_self{}});
  });
}

TEST_CASE("on-policy the gradient is REINFORCE's, of whatever rule") {
  fixture::dice random(3);
  const auto d = fixture::random_batch(random, {9, 4, 13});
  const auto on_policy = [&](const auto& rule) {
    return fixture::run(hence::reference<double>{},
                        hence::policy_loss{ratio::token{ratio::unclamped{}, ratio::against_self{}},
                                           rule, hence::kl::none{}, hence::aggregate::token_mean{}},
                        d)
        .gradient;
  };
  const auto plain = on_policy(clip::reinforce{});
  CHECK(on_policy(clip::none{}) == plain);
  CHECK(on_policy(clip::two_sided{0.75, 1.25}) == plain);
  CHECK(on_policy(clip::cispo{0.75, 1.25}) == plain);
  CHECK(on_policy(clip::dual{0.75, 1.25, 3.0}) == plain);
  CHECK(on_policy(clip::sapo{1.0, 1.0}) == plain);
}

TEST_CASE("GSPO and GSPO-token: the same loss, and the same gradient of a row if its A is one") {
  fixture::dice random(4);
  const auto d = fixture::random_batch(random, {9, 4, 13, 1});
  const auto run = [&](const auto& r) {
    return fixture::run(hence::reference<double>{}, of_rows<double>(r), d);
  };
  const auto whole = run(ratio::sequence{}), own = run(ratio::sequence_token{});
  CHECK(whole.loss == own.loss);
  for (std::size_t i = 0; i < d.rows.size(); ++i)
    for (std::size_t t = 0; t < d.rows[i].at.size(); ++t)
      CHECK(whole.gradient[i][t] == doctest::Approx(own.gradient[i][t]).epsilon(1e-13));
}

TEST_CASE("anchors that are not asked for may be missing, others not") {
  fixture::dice random(5);
  const auto d = fixture::random_batch(random, {4, 3});
  fixture::arrays<double> a(d, fixture::form::ragged);
  const auto call = [&](const auto& r, bool old, bool rollout) -> std::string {
    auto in = a.inputs();
    if (!old) in.old = {};
    if (!rollout) in.rollout = {};
    try {
      hence::loss_and_gradient(hence::reference<double>{}, clipped<double>(r), a.ragged(), in,
                               hence::over_this_call, a.output());
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "accepted";
  };
  const ratio::token old{};
  const ratio::token rollout{ratio::unclamped{}, ratio::against_rollout{}};
  const ratio::token self{ratio::unclamped{}, ratio::against_self{}};
  CHECK(call(old, true, false) == "accepted");
  CHECK(call(old, false, true) == "hence: old is null, expected 7 tokens");
  CHECK(call(rollout, false, true) == "accepted");
  CHECK(call(rollout, true, false) == "hence: rollout is null, expected 7 tokens");
  CHECK(call(self, false, false) == "accepted");
  auto in = a.inputs();
  in.rollout.how.temperature = 0.6;
  CHECK_THROWS_WITH_AS(
      hence::loss_and_gradient(hence::reference<double>{}, clipped<double>(rollout), a.ragged(), in,
                               hence::over_this_call, a.output()),
      "hence: logp was computed at temperature 1, rollout at 0.6; their ratio means nothing",
      std::invalid_argument);
}

TEST_CASE("a rule without a prepass sees 0 as the row's sum") {
  fixture::dice random(6);
  const auto d = fixture::random_batch(random, {5, 18}, {.live = 0.8});
  const auto loss = [](auto rule) {
    return hence::policy_loss{ratio::token{}, rule, hence::kl::none{},
                              hence::aggregate::token_mean{}};
  };
  const auto with =
      loss([](const auto& t) { return -t.ratio * t.advantage + t.row_sum * t.ratio; });
  const auto without = loss([](const auto& t) { return -t.ratio * t.advantage + 0 * t.ratio; });
  CHECK(same_bits(fixture::run(hence::cpu{}, with, d), fixture::run(hence::cpu{}, without, d)));
  CHECK(same_bits(fixture::run(hence::reference<double>{}, with, d),
                  fixture::run(hence::reference<double>{}, without, d)));
}
