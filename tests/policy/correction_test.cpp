#include "family_checks.hpp"

#include <limits>
#include <stdexcept>

namespace {

using family::mode;
using fixture::check_family;
namespace c = hence::correction;
namespace gate = hence::gate;
namespace entropy = hence::entropy;
namespace ratio = hence::ratio;
constexpr double inf = std::numeric_limits<double>::infinity();

template <class S, class Correction> auto with(const Correction& correct) {
  return hence::policy_loss{ratio::token{}, hence::clip::two_sided{S(0.75), S(1.25)},
                            hence::kl::k3{S(0.5)}, hence::aggregate::token_mean{}, correct};
}
/// The oracle's words for a correction beside k3 with coefficient 0.5.
family::spec corrected(family::correction at, mode by, double low, double high, bool kl_too) {
  return {.kl = family::estimator::k3,
          .coef = 0.5,
          .correct = at,
          .by = by,
          .weight_low = low,
          .weight_high = high,
          .kl_too = kl_too};
}
template <class S, class Gate, class Entropy> auto gated(const Gate& g, const Entropy& e) {
  return hence::policy_loss{ratio::token{},
                            hence::clip::two_sided{S(0.75), S(1.25)},
                            hence::kl::k3{S(0.5)},
                            hence::aggregate::sequence_mean_token_sum{},
                            c::none{},
                            g,
                            e};
}

}  // namespace

TEST_CASE("tokens: truncated, masked, rejected; of the policy term or of both") {
  using family::correction;
  check_family(
      corrected(correction::token, mode::truncate, 0.96875, 1.03125, false), []<class S>() {
        return with<S>(
            c::rollout{c::token_level{}, c::truncate{S(0.96875), S(1.03125)}, c::policy_only{}});
      });
  check_family(corrected(correction::token, mode::mask, 0.96875, 1.03125, true), []<class S>() {
    return with<S>(
        c::rollout{c::token_level{}, c::mask{S(0.96875), S(1.03125)}, c::policy_and_kl{}});
  });
  check_family(corrected(correction::token, mode::reject, 0.96875, 1.03125, false), []<class S>() {
    return with<S>(
        c::rollout{c::token_level{}, c::reject{S(0.96875), S(1.03125)}, c::policy_only{}});
  });
}

TEST_CASE("rows: the product and the geometric mean, with a log clamp") {
  using family::correction;
  auto s = corrected(correction::sequence, mode::truncate, 0, 1.0625, true);
  s.weight_log = 0.03125;
  check_family(s, []<class S>() {
    return with<S>(c::rollout{c::sequence_level{}, c::truncate{S(0), S(1.0625)}, c::policy_and_kl{},
                              ratio::log_clamp{S(-0.03125), S(0.03125)}});
  });
  check_family(corrected(correction::sequence, mode::mask, 0.75, 1.0625, false), []<class S>() {
    return with<S>(c::rollout{c::sequence_level{}, c::mask{S(0.75), S(1.0625)}, c::policy_only{}});
  });
  check_family(
      corrected(correction::geometric, mode::reject, 0.984375, 1.03125, false), []<class S>() {
        return with<S>(
            c::rollout{c::geometric_level{}, c::reject{S(0.984375), S(1.03125)}, c::policy_only{}});
      });
}

TEST_CASE("veto: one outlier silences its row") {
  auto s = corrected(family::correction::veto, mode::reject, 0.90625, 1.09375, false);
  check_family(
      s, []<class S>() { return with<S>(c::veto{S(0.90625), S(1.09375), c::policy_only{}}); });
  s.kl_too = true;
  check_family(
      s, []<class S>() { return with<S>(c::veto{S(0.90625), S(1.09375), c::policy_and_kl{}}); });
}

TEST_CASE("a weight of 0 gives 0 also where the term is infinite") {
  fixture::dice random(1);
  auto d = fixture::random_batch(random, {4, 3});
  auto& p = d.rows[0].at[2];
  d.rows[0].advantage = -1;
  p.old = -300, p.rollout = -1;  // r overflows, rho vanishes
  const auto o = fixture::run(
      hence::cpu{},
      with<float>(c::rollout{c::token_level{}, c::mask{0.5f, 2.0f}, c::policy_only{}}), d);
  CHECK(o.conditions == hence::status::ok);
  CHECK(std::isfinite(o.loss));
}

TEST_CASE("at a bound a token stays") {
  using V = hence::num<double>;
  for (const auto& [low, high] : {std::pair(0.5, 1.0), {1.0, 2.0}, {1.0, 1.0}}) {
    CHECK(c::mask{low, high}(V(1.0)).v == 1);
    CHECK(c::reject{low, high}(V(1.0)).v == 1);
    CHECK(c::veto{low, high, c::policy_only{}}.summand(V(0.0)).v == 0);
  }
  CHECK(c::mask{0.5, 1.0}(V(std::nextafter(1.0, 2))).v == 0);
  CHECK(c::mask{1.0, 2.0}(V(std::nextafter(1.0, 0))).v == 0);
  CHECK(c::reject{0.5, 1.0}(V(std::nextafter(1.0, 2))).v == 0);
  CHECK(c::truncate{0.5, 1.0}(V(3.0)).v == 1);
}

TEST_CASE("a rollout's NaN is reported, whatever the mode makes of it") {
  fixture::dice random(1);
  auto d = fixture::random_batch(random, {4, 3});
  d.rows[1].at[0].rollout = std::nan("");
  const auto check = [&](const auto& correct) {
    CHECK(has(fixture::run(hence::cpu{}, with<float>(correct), d).conditions,
              hence::status::non_finite));
    CHECK(has(fixture::run(hence::reference<double>{}, with<float>(correct), d).conditions,
              hence::status::non_finite));
  };
  check(c::rollout{c::token_level{}, c::truncate{0.5f, 2.0f}, c::policy_only{}});
  check(c::rollout{c::token_level{}, c::reject{0.5f, 2.0f}, c::policy_only{}});
  check(c::rollout{c::geometric_level{}, c::mask{0.5f, 2.0f}, c::policy_only{}});
  check(c::veto{0.5f, 2.0f, c::policy_only{}});
}

TEST_CASE("OPSM: rows with A < 0 that have gone off-policy lose their policy term") {
  for (const auto against : {family::anchor::old, family::anchor::rollout}) {
    const family::spec s{.kl = family::estimator::k3,
                         .coef = 0.5,
                         .gated = true,
                         .gate_anchor = against,
                         .threshold = 0.0625,
                         .sums = true};
    if (against == family::anchor::old)
      check_family(s, []<class S>() {
        return gated<S>(gate::opsm{S(0.0625), ratio::against_old{}}, entropy::none{});
      });
    else
      check_family(s, []<class S>() {
        return gated<S>(gate::opsm{S(0.0625), ratio::against_rollout{}}, entropy::none{});
      });
  }
  // alone in its row, at the threshold and beyond it
  fixture::description d;
  for (const double old : {-1.0, -0.5, -0.25})
    for (const double a : {-1.0, 1.0}) d.rows.push_back({{{-1, old, -1, 0}}, a, 0});
  const hence::policy_loss wide{ratio::token{},    hence::clip::two_sided{0.0, 8.0},
                                hence::kl::none{}, hence::aggregate::token_mean{},
                                c::none{},         gate::opsm{0.5, ratio::against_old{}}};
  const auto o = fixture::run(hence::reference<double>{}, wide, d);
  for (std::size_t i = 0; i < 6; ++i) CHECK((o.gradient[i][0] == 0) == (i == 4));
}

TEST_CASE("a gate judges rows: advantages of tokens are refused, unless it closes nothing") {
  fixture::dice random(1);
  const auto d = fixture::random_batch(random, {4, 3}, {.per_token = true});
  CHECK_THROWS_WITH_AS(
      fixture::run(hence::cpu{},
                   gated<float>(gate::opsm{0.5f, ratio::against_old{}}, entropy::none{}), d),
      "hence: token_advantages is given, and the gate judges rows; expected advantages [rows]",
      std::invalid_argument);
  const float none = std::numeric_limits<float>::infinity();
  const auto o = fixture::run(
      hence::cpu{}, gated<float>(gate::opsm{none, ratio::against_old{}}, entropy::none{}), d);
  const auto plain = fixture::run(hence::cpu{}, gated<float>(gate::none{}, entropy::none{}), d);
  CHECK(same_bits(o, plain));
}

TEST_CASE("the entropy bonus and the gradient with respect to the entropies") {
  check_family({.kl = family::estimator::k3, .coef = 0.5, .entropy = 0.125, .sums = true},
               []<class S>() { return gated<S>(gate::none{}, entropy::bonus{S(0.125)}); });
  fixture::dice random(1);
  const auto d = fixture::random_batch(random, {4, 3});
  fixture::arrays<float> a(d, fixture::form::ragged);
  const auto loss = gated<float>(gate::none{}, entropy::bonus{0.125f});
  const auto refusal = [&](auto spoil) -> std::string {
    auto in = a.inputs();
    auto out = a.outputs();
    spoil(in, out);
    try {
      hence::loss_and_gradient(hence::cpu{}, loss, a.ragged(), in, hence::over_this_call, out);
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "accepted";
  };
  CHECK(refusal([](auto&, auto&) {}) == "accepted");
  const auto needs_old = [&](const auto& corrected) -> std::string {
    auto in = a.inputs();
    in.old = {};
    try {
      hence::loss_and_gradient(hence::cpu{}, corrected, a.ragged(), in, hence::over_this_call,
                               a.output());
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "accepted";
  };
  const ratio::token<ratio::unclamped, ratio::against_rollout> on_rollout{};
  const hence::clip::two_sided clip{0.8f, 1.2f};
  const hence::aggregate::token_mean mean{};
  CHECK(needs_old(hence::policy_loss{on_rollout, clip, hence::kl::none{}, mean}) == "accepted");
  CHECK(needs_old(hence::policy_loss{
            on_rollout, clip, hence::kl::none{}, mean,
            hence::correction::rollout{
                hence::correction::token_level{}, hence::correction::truncate{0.0f, 2.0f},
                hence::correction::policy_only{}}}) == "hence: old is null, expected 7 tokens");
  CHECK(needs_old(hence::policy_loss{
            on_rollout, clip, hence::kl::none{}, mean, hence::correction::none{},
            gate::opsm{0.5f, ratio::against_old{}}}) == "hence: old is null, expected 7 tokens");
  CHECK(refusal([](auto& in, auto&) { in.entropy = {}; }) ==
        "hence: entropy is null, expected 7 tokens");
  CHECK(refusal([](auto&, auto& out) { out.entropy = {}; }) ==
        "hence: gradient.entropy is null, expected 7 tokens");
  CHECK(refusal([](auto&, auto& out) { out.entropy = out.logp; }) ==
        "hence: gradient.entropy overlaps gradient, expected separate arrays");
  CHECK(refusal([&](auto&, auto& out) { out.entropy = hence::view<float>(a.entropy); }) ==
        "hence: gradient.entropy overlaps entropy, expected separate arrays");
  CHECK(refusal([&](auto&, auto& out) { out.logp = hence::view<float>(a.entropy); }) ==
        "hence: gradient overlaps entropy, expected separate arrays");
}

TEST_CASE("numbers that make no sense are refused") {
  fixture::dice random(1);
  const auto d = fixture::random_batch(random, {4, 3});
  const auto refusal = [&](const auto& loss) -> std::string {
    try {
      fixture::run(hence::reference<double>{}, loss, d);
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "accepted";
  };
  const auto of = [&](const auto& m) {
    return refusal(with<double>(c::rollout{c::token_level{}, m, c::policy_only{}}));
  };
  CHECK(of(c::truncate{2.0, 1.0}) ==
        "hence: truncate has bounds [2, 1], expected low <= high and high above 0");
  CHECK(of(c::mask{0.0, std::nan("")}).starts_with("hence: mask has bounds [0, nan]"));
  CHECK(of(c::reject{-2.0, -1.0}).starts_with("hence: reject has bounds [-2, -1]"));
  CHECK(of(c::reject{-inf, 3.0}) == "accepted");
  CHECK(refusal(with<double>(c::veto{2.0, 1.0, c::policy_only{}}))
            .starts_with("hence: veto has bounds [2, 1]"));
  CHECK(refusal(with<double>(c::rollout{c::token_level{}, c::mask{0.0, 2.0}, c::policy_only{},
                                        ratio::log_clamp{1.0, 2.0}}))
            .starts_with("hence: log_clamp has bounds [1, 2]"));
  CHECK(refusal(gated<double>(gate::opsm{std::nan(""), ratio::against_old{}}, entropy::none{})) ==
        "hence: opsm has threshold nan, expected a number");
  CHECK(refusal(gated<double>(gate::none{}, entropy::bonus{inf})) ==
        "hence: entropy::bonus has coefficient inf, expected a finite number");
}

TEST_CASE("what is just accepted, and what is just refused") {
  const auto accepts = [](const auto& part) {
    try {
      part.check();
    } catch (const std::invalid_argument&) {
      return false;
    }
    return true;
  };
  CHECK(accepts(c::truncate{2.0, 2.0}));
  CHECK(accepts(c::mask{0.0, 0x1p-1000}));
  CHECK(!accepts(c::truncate{-1.0, 0.0}));
  CHECK(!accepts(c::reject{2.0, std::nextafter(2.0, 1)}));
  CHECK(!accepts(c::rollout{c::token_level{}, c::mask{2.0, 1.0}, c::policy_only{}}));
  CHECK(accepts(c::veto{1.0, 1.0, c::policy_only{}}));
  CHECK(accepts(gate::opsm{-1.0, ratio::against_old{}}));
  CHECK(accepts(entropy::bonus{0.0}));
  CHECK(gate::opsm{3e38, ratio::against_old{}}.can_close());
  CHECK(!gate::opsm{4e38, ratio::against_old{}}.can_close());
}

TEST_CASE("a gate does not close a row of advantage 0") {
  const hence::num<float> far = 2.0f, zero = 0.0f, below = -1.0f;
  const gate::opsm rule{0.5f, ratio::against_old{}};
  CHECK(rule.closes(far, below));
  CHECK(!rule.closes(far, zero));
  CHECK(!rule.closes(hence::num<float>(0.5f), below));
}
