#include "family_checks.hpp"

#include <hence/policy/surrogate_ratio.hpp>

#include <limits>
#include <stdexcept>

namespace {

using family::rule;
using fixture::check_family;
namespace clip = hence::clip;
constexpr double inf = std::numeric_limits<double>::infinity();

/// A token loss of a surrogate, without more.
template <class Rule> auto token_loss(const Rule& r) {
  return hence::policy_loss{hence::ratio::token{}, r, hence::kl::none{},
                            hence::aggregate::token_mean{}};
}

/// Value and slope in log r of a rule of (r, A).
template <class Rule> std::pair<double, double> at(const Rule& rule, double r, double a) {
  using V = hence::num<double>;
  const auto p = rule(hence::dual<V, V, hence::zero>{V(r), V(r), {}}, V(a));
  return {p.value.v, p.pooled.v};
}

/// Loss, gradient and status of one token whose ratio overflows.
template <class T, class Executor, class Rule>
auto overflowing(const Executor& executor, const Rule& rule, T a) {
  const std::vector<std::int64_t> cu{0, 1};
  const std::vector<T> logp{T(-0.5)}, old{T(-900)}, advantage{a};
  std::vector<T> gradient{T(7)};
  hence::policy_inputs<T> in;
  in.logp = {logp, {1.0}}, in.old = {old, {1.0}}, in.advantages = advantage;
  const auto r = hence::loss_and_gradient(executor, token_loss(rule), hence::ragged{cu, {}}, in,
                                          hence::over_this_call, gradient);
  return std::tuple(r.loss(), static_cast<double>(gradient[0]), r.conditions());
}

}  // namespace

TEST_CASE("dual clip") {
  check_family({.surrogate = rule::dual, .c = 1.5},
               []<class S>() { return token_loss(clip::dual{S(0.75), S(1.25), S(1.5)}); });
  const clip::dual<double> rule{0.75, 1.25, 3};
  using pair = std::pair<double, double>;
  CHECK(at(rule, 3, -2) == pair(6, 6));  // at c the gradient passes
  CHECK(at(rule, std::nextafter(3.0, 4), -2) == pair(6, 0));
  CHECK(at(rule, 5, -2) == pair(6, 0));
  CHECK(at(rule, 5, 2) == pair(-2.5, 0));
  CHECK(at(rule, 1, -2) == pair(2, 2));
}

TEST_CASE("upper bound, for both signs of A") {
  check_family({.surrogate = rule::upper_bound, .c = 1.5},
               []<class S>() { return token_loss(clip::upper_bound{S(0.75), S(1.25), S(1.5)}); });
  const clip::upper_bound<double> rule{0.75, 1.25, 4};
  using pair = std::pair<double, double>;
  CHECK(at(rule, 4, -1) == pair(4, 4));
  CHECK(at(rule, 5, -1) == pair(4, 0));
  CHECK(at(rule, 5, 1) == pair(-1.25, 0));
  CHECK(at(rule, 0.5, -1) == pair(0.75, 0));
  CHECK(at(rule, 0.5, 1) == pair(-0.5, -0.5));
}

TEST_CASE("no clip") {
  check_family({.surrogate = rule::none}, []<class S>() { return token_loss(clip::none{}); });
}

TEST_CASE("SAPO") {
  check_family({.surrogate = rule::sapo, .a = 1, .b = 1.0625},
               []<class S>() { return token_loss(clip::sapo{S(1), S(1.0625)}); });
  check_family({.surrogate = rule::sapo, .a = 3, .b = 0.5},
               []<class S>() { return token_loss(clip::sapo{S(3), S(0.5)}); });
  // on-policy the gate is 1/2 and its slope 1/4: the gradient is that of -A log pi
  const auto [value, slope] = at(clip::sapo{1.0, 1.05}, 1, 2);
  CHECK(value == -4);
  CHECK(slope == -2);
}

TEST_CASE("SAPO's gate saturates: an overflowed ratio gives 4/tau A and no gradient") {
  const auto check = [](const auto& executor) {
    using T = typename std::remove_cvref_t<decltype(executor)>::scalar;
    for (const double tau : {0.5, 1.0, 1.0625, 3.0})
      CHECK(overflowing<T>(executor, clip::sapo<T>{T(tau), T(tau)}, T(-2)) ==
            std::tuple(double(T(8 / tau)), 0.0, hence::status::ok));
  };
  check(hence::reference<float>{});
  check(hence::cpu{});
  check(hence::reference<double>{});
}

TEST_CASE("a user's saturating rule: right where its slope is 0, else reported") {
  const auto saturating = [](const auto& r, const auto& a) { return -(sigmoid(r - 1) * a); };
  const auto inverse = [](const auto& r, const auto& a) { return a / (r + 1); };
  const auto cancelling = [](const auto& r, const auto& a) { return (r - r * 0.5f) / r * a; };
  const auto check = [&](const auto& executor) {
    using T = typename std::remove_cvref_t<decltype(executor)>::scalar;
    CHECK(overflowing<T>(executor, saturating, T(2)) == std::tuple(-2.0, 0.0, hence::status::ok));
    CHECK(overflowing<T>(executor, inverse, T(2)) == std::tuple(0.0, 0.0, hence::status::ok));
    const auto [loss, gradient, status] = overflowing<T>(executor, cancelling, T(2));
    CHECK(loss != loss);
    CHECK(has(status, hence::status::non_finite));
  };
  check(hence::reference<float>{});
  check(hence::cpu{});
  check(hence::reference<double>{});
}

TEST_CASE("an unbounded rule reports an overflowed ratio") {
  const auto [loss, gradient, status] = overflowing<float>(hence::cpu{}, clip::none{}, 2.0f);
  CHECK(!std::isfinite(loss));
  CHECK(has(status, hence::status::non_finite));
  CHECK(overflowing<float>(hence::cpu{}, clip::none{}, 0.0f) ==
        std::tuple(0.0, 0.0, hence::status::ok));
  CHECK(overflowing<float>(hence::cpu{}, clip::dual{0.8f, 1.2f, 3.0f}, -2.0f) ==
        std::tuple(6.0, 0.0, hence::status::ok));
  CHECK(overflowing<float>(hence::cpu{}, clip::upper_bound{0.8f, 1.2f, 3.0f}, -2.0f) ==
        std::tuple(6.0, 0.0, hence::status::ok));
}

TEST_CASE("GMPO limits each log-ratio before the mean") {
  const auto make = []<class S>() {
    return hence::policy_loss{hence::ratio::sequence{}, clip::gmpo{S(-0.25), S(0.125)},
                              hence::kl::none{}, hence::aggregate::token_mean{}};
  };
  check_family({.at = family::level::sequence, .surrogate = rule::gmpo, .a = -0.25, .b = 0.125},
               make);
  // A = 0 limits nothing; at a bound the gradient passes
  using V = hence::num<double>;
  static_assert(hence::detail::needs_sequence_ratio<clip::gmpo<float>>);  // see gmpo_of_tokens.cpp
  const clip::gmpo<double> rule{-0.25, 0.125};
  const auto limited = [&](double d, double a) {
    const auto x = rule.before_pooling({V(d), {}, {}}, V(a));
    return std::pair(x.value.v, x.pooled.v);
  };
  using pair = std::pair<double, double>;
  CHECK(limited(0.125, 1) == pair(0.125, 1));
  CHECK(limited(0.5, 1) == pair(0.125, 0));
  CHECK(limited(0.5, -1) == pair(0.5, 1));
  CHECK(limited(-0.5, -1) == pair(-0.25, 0));
  CHECK(limited(-0.5, 1) == pair(-0.5, 1));
  CHECK(limited(9, 0) == pair(9, 1));
  CHECK(limited(-9, 0) == pair(-9, 1));
}

TEST_CASE("numbers that make no sense are refused") {
  const auto refusal = [](const auto& rule) -> std::string {
    try {
      overflowing<double>(hence::reference<double>{}, rule, 1.0);
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "accepted";
  };
  CHECK(refusal(clip::dual{0.2, 0.2, 3.0}).starts_with("hence: dual has bounds [0.2, 0.2]"));
  CHECK(refusal(clip::dual{0.8, 1.2, 0.5}).starts_with("hence: dual has c = 0.5, expected"));
  CHECK(refusal(clip::dual{0.8, 1.2, std::nan("")}).starts_with("hence: dual has c = nan"));
  CHECK(refusal(clip::upper_bound{0.8, 0.9, 3.0}).starts_with("hence: upper_bound has bounds"));
  CHECK(refusal(clip::upper_bound{0.8, 1.2, 1.0}).starts_with("hence: upper_bound has delta = 1"));
  CHECK(refusal(clip::sapo{0.0, 1.0}).starts_with("hence: sapo has temperatures 0 and 1"));
  CHECK(refusal(clip::sapo{1.0, -1.0}).starts_with("hence: sapo has temperatures 1 and -1"));
  CHECK(refusal(clip::sapo{1.0, inf}).starts_with("hence: sapo has temperatures 1 and inf"));
  CHECK(refusal(clip::dual{0.8, 1.2, inf}) == "accepted");
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
  const double above = std::nextafter(1.0, 2);
  CHECK(accepts(clip::dual{0.75, 1.25, above}));
  CHECK(!accepts(clip::dual{0.75, 1.25, 1.0}));
  CHECK(!accepts(clip::dual{1.25, 1.5, 3.0}));
  CHECK(accepts(clip::upper_bound{0.75, 1.25, above}));
  CHECK(!accepts(clip::upper_bound{0.75, 1.25, 1.0}));
  CHECK(!accepts(clip::upper_bound{0.25, 0.5, 4.0}));
  for (const double tau : {1e-6, 1e6, -1.0, 0.0, std::nan("")}) {
    CHECK(!accepts(clip::sapo{tau, 1.0}));
    CHECK(!accepts(clip::sapo{1.0, tau}));
  }
  for (const double tau : {std::nextafter(1e-6, 1.0), std::nextafter(1e6, 0.0)}) {
    CHECK(accepts(clip::sapo{tau, 1.0}));
    CHECK(accepts(clip::sapo{1.0, tau}));
  }
  CHECK(accepts(clip::gmpo{0.0, 0.5}));
  CHECK(accepts(clip::gmpo{-0.5, 0.0}));
  CHECK(!accepts(clip::gmpo{0.25, 0.5}));
  CHECK(!accepts(clip::gmpo{-0.5, -0.25}));
}
