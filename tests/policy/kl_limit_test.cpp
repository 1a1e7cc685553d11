#include "family_checks.hpp"

#include <hence/policy/kl_limit.hpp>

#include <limits>
#include <stdexcept>

namespace {

using family::estimator;
using family::gradient;
using fixture::check_family;
namespace kl = hence::kl;
constexpr double inf = std::numeric_limits<double>::infinity();

template <class S, class Kl> auto with(const Kl& k) {
  return hence::policy_loss{hence::ratio::token{}, hence::clip::two_sided{S(0.75), S(1.25)}, k,
                            hence::aggregate::token_mean{}};
}
template <class S, class Kl> auto with_row_ratio(const Kl& k) {
  return hence::policy_loss{hence::ratio::sequence{}, hence::clip::two_sided{S(0.75), S(1.25)}, k,
                            hence::aggregate::token_mean{}};
}

/// Value and slope in log pi at u.
template <class S, class Kl> std::pair<double, double> at(const Kl& k, S u) {
  using V = hence::num<S>;
  const auto v = kl::estimate(k, hence::dual<V, hence::zero, V>{V(u), {}, V(S(-1))});
  return {static_cast<double>(v.value.v), static_cast<double>(v.own.v)};
}

}  // namespace

TEST_CASE("abs, with its own gradient and with k2's") {
  check_family({.kl = estimator::absolute, .coef = 0.5},
               []<class S>() { return with<S>(kl::absolute{S(0.5)}); });
  const kl::absolute<double> abs{0.5};
  using pair = std::pair<double, double>;
  CHECK(at(abs, 0.0) == pair(0, 0));
  CHECK(at(abs, 2.0) == pair(2, -1));
  CHECK(at(abs, -2.0) == pair(2, 1));
  CHECK(at(kl::absolute{0.5, kl::as_k2{}}, -2.0) == pair(2, 2));
}

TEST_CASE("the gradient of k2 times the importance of the token, capped") {
  check_family(
      {.kl = estimator::k1, .coef = 0.5, .kl_gradient = gradient::k2_importance, .cap = 1.25},
      []<class S>() { return with<S>(kl::k1{S(0.5), kl::as_k2_importance{S(1.25)}}); });
  check_family(
      {.at = family::level::sequence,
       .kl = estimator::k3,
       .coef = 0.5,
       .kl_gradient = gradient::k2_importance,
       .cap = 1.25},
      []<class S>() { return with_row_ratio<S>(kl::k3{S(0.5), kl::as_k2_importance{S(1.25)}}); });
}

TEST_CASE("the value times the ratio, with the gradient of the product") {
  check_family({.kl = estimator::k3, .coef = 0.5, .kl_gradient = gradient::ratio},
               []<class S>() { return with<S>(kl::k3{S(0.5), kl::ratio_weighted{}}); });
  check_family({.at = family::level::sequence,
                .kl = estimator::k3,
                .coef = 0.5,
                .kl_gradient = gradient::ratio},
               []<class S>() { return with_row_ratio<S>(kl::k3{S(0.5), kl::ratio_weighted{}}); });
  check_family({.at = family::level::sequence_token,
                .log_high = 0.0625,
                .kl = estimator::k1,
                .coef = 0.5,
                .kl_gradient = gradient::ratio},
               []<class S>() {
                 return hence::policy_loss{hence::ratio::sequence_token{hence::ratio::log_clamp{
                                               -std::numeric_limits<S>::infinity(), S(0.0625)}},
                                           hence::clip::two_sided{S(0.75), S(1.25)},
                                           kl::k1{S(0.5), kl::ratio_weighted{}},
                                           hence::aggregate::token_mean{}};
               });
}

TEST_CASE("clamps of input and output") {
  check_family(
      {.kl = estimator::k3,
       .coef = 0.5,
       .input_low = -0.75,
       .input_high = 0.5,
       .output_low = -1,
       .output_high = 0.0625},
      []<class S>() {
        return with<S>(kl::k3{S(0.5), kl::own{}, kl::clamped{S(-0.75), S(0.5), S(-1), S(0.0625)}});
      });
  check_family({.kl = estimator::k1,
                .coef = 0.5,
                .kl_gradient = gradient::ratio,
                .output_low = -0.25,
                .output_high = 0.25},
               []<class S>() {
                 const S none = std::numeric_limits<S>::infinity();
                 return with<S>(kl::k1{S(0.5), kl::ratio_weighted{},
                                       kl::clamped{-none, none, S(-0.25), S(0.25)}});
               });
}

TEST_CASE("saturated: the value stops, the gradient stays, also where e^u overflows") {
  check_family(
      {.kl = estimator::k3, .coef = 0.5, .output_high = 0.25, .saturated = true, .slope = 0.5},
      []<class S>() { return with<S>(kl::k3{S(0.5), kl::own{}, kl::saturated{S(0.25), S(0.5)}}); });
  const kl::k3 limited{1.0f, kl::own{}, kl::saturated{10.0f, 4.0f}};
  using pair = std::pair<double, double>;
  CHECK(at(limited, 200.0f) == pair(10, -4));
  CHECK(at(limited, -200.0f) == pair(10, 1));
  CHECK(at(limited, 0.0f) == pair(0, 0));
  const kl::k3 dead{1.0f, kl::own{}, kl::clamped{-20.0f, 20.0f, -10.0f, 10.0f}};
  CHECK(at(dead, 200.0f) == pair(10, 0));
  CHECK(at(dead, 3.0f) == pair(10, 0));  // k3 = 16: no gradient already here
}

TEST_CASE("a weight that overflows is reported, with and without a cap") {
  fixture::dice random(1);
  auto d = fixture::random_batch(random, {3});
  const auto conditions = [&](const auto& k) {
    return fixture::run(hence::cpu{}, with<float>(k), d).conditions;
  };
  d.rows[0].at[1].old = -300;
  const float none = std::numeric_limits<float>::infinity();
  CHECK(has(conditions(kl::k1{0.5f, kl::as_k2_importance{none}}), hence::status::non_finite));
  CHECK(has(conditions(kl::k3{0.5f, kl::ratio_weighted{}}), hence::status::non_finite));
  CHECK(conditions(kl::k1{0.5f, kl::as_k2_importance{10.0f}}) == hence::status::ok);
}

TEST_CASE("E[k1] = KL, and what each gradient policy is the gradient of") {
  // three tokens; sums over the vocabulary instead of samples: exact expectations
  const double pi[] = {0.5, 0.3, 0.2}, ref[] = {0.2, 0.5, 0.3}, old[] = {0.4, 0.4, 0.2};
  double reverse[3], forward[3], kl_value = 0, k1_mean = 0, k3_mean = 0;
  for (int j = 0; j < 3; ++j) kl_value += pi[j] * std::log(pi[j] / ref[j]);
  for (int j = 0; j < 3; ++j) {  // with respect to the logits
    reverse[j] = pi[j] * (std::log(pi[j] / ref[j]) - kl_value);
    forward[j] = pi[j] - ref[j];
  }
  using V = hence::num<double>;
  const auto expectation = [&](const auto& k, const double* sampled_by, double(&out)[3],
                               double& value) {
    for (double& x : out) x = 0;
    value = 0;
    for (int y = 0; y < 3; ++y) {
      const hence::detail::token_inputs<V> in{.logp = std::log(pi[y]),
                                              .anchor = std::log(sampled_by[y]),
                                              .reference = std::log(ref[y]),
                                              .advantage = 0.0,
                                              .score = 0.0,
                                              .log_ratio = std::log(pi[y] / sampled_by[y])};
      const auto t = hence::detail::term_of(with<double>(k), in, hence::detail::every_token{},
                                            hence::detail::every_token{});
      value += sampled_by[y] * t.kl.v;
      const double slope = t.own.v + t.pooled.v;  // d/dlogp, then through the softmax
      for (int j = 0; j < 3; ++j) out[j] += sampled_by[y] * slope * ((j == y) - pi[j]);
    }
  };
  const auto check = [](const double(&a)[3], const double* b) {
    for (int j = 0; j < 3; ++j) CHECK(a[j] == doctest::Approx(b[j]).epsilon(1e-12));
  };
  double g[3], ignored;
  expectation(kl::k1{1.0}, pi, g, k1_mean);
  CHECK(k1_mean == doctest::Approx(kl_value).epsilon(1e-14));
  for (const double x : g) CHECK(std::fabs(x) < 1e-15);  // k1's own gradient has mean 0
  expectation(kl::k3{1.0}, pi, g, k3_mean);
  CHECK(k3_mean == doctest::Approx(kl_value).epsilon(1e-14));
  check(g, forward);
  expectation(kl::k2{1.0}, pi, g, ignored);
  check(g, reverse);
  expectation(kl::k3{1.0, kl::as_k2{}}, pi, g, ignored);
  check(g, reverse);
  expectation(kl::k3{1.0, kl::ratio_weighted{}}, pi, g, ignored);
  check(g, reverse);
  expectation(kl::k3{1.0, kl::ratio_weighted{}}, old, g, ignored);  // off policy too
  check(g, reverse);
  expectation(kl::k1{1.0, kl::as_k2_importance{100.0}}, old, g, ignored);
  check(g, reverse);
}

TEST_CASE("numbers that make no sense are refused") {
  fixture::dice random(1);
  const auto d = fixture::random_batch(random, {4, 3});
  const auto refusal = [&](const auto& k) -> std::string {
    try {
      fixture::run(hence::reference<double>{}, with<double>(k), d);
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "accepted";
  };
  CHECK(refusal(kl::absolute{inf}) ==
        "hence: kl::absolute has coefficient inf, expected a finite number");
  CHECK(refusal(kl::k1{0.5, kl::as_k2_importance{0.0}}) ==
        "hence: kl::k1 has importance cap 0, expected it above 0");
  CHECK(refusal(kl::k2{0.5, kl::own{}, kl::clamped{1.0, 2.0, -1.0, 1.0}}) ==
        "hence: kl::clamped's input has bounds [1, 2] without 0 in them");
  CHECK(refusal(kl::k3{0.5, kl::own{}, kl::clamped{-1.0, 2.0, -1.0, -0.5}}) ==
        "hence: kl::clamped's output has bounds [-1, -0.5] without 0 in them");
  CHECK(refusal(kl::k3{0.5, kl::own{}, kl::saturated{0.0, 1.0}}) ==
        "hence: kl::saturated has ceiling 0 and slope 1, expected both above 0");
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
  const kl::saturated limit{10.0, 4.0};  // of a number without a slope
  CHECK(limit.output(hence::num<double>(3.0)).v == 3);
  CHECK(limit.output(hence::num<double>(-3.0)).v == -3);
  CHECK(limit.output(hence::num<double>(30.0)).v == 10);
  CHECK(limit.output(hence::num<double>(-30.0)).v == -10);
  CHECK(accepts(kl::clamped{0.0, 1.0, 0.0, 1.0}));
  CHECK(accepts(kl::clamped{-1.0, 0.0, -1.0, 0.0}));
  CHECK(!accepts(kl::clamped{0.5, 1.0, -1.0, 1.0}));
  CHECK(!accepts(kl::clamped{-1.0, -0.5, -1.0, 1.0}));
  CHECK(!accepts(kl::clamped{-1.0, 1.0, 0.5, 1.0}));
  CHECK(!accepts(kl::clamped{-1.0, 1.0, -1.0, -0.5}));
  CHECK(accepts(kl::saturated{0x1p-1000, 0x1p-1000}));
  CHECK(!accepts(kl::saturated{0.0, 1.0}));
  CHECK(!accepts(kl::saturated{1.0, 0.0}));
  CHECK(!accepts(kl::k3{0.5, kl::own{}, kl::saturated{1.0, 0.0}}));
  CHECK(accepts(kl::k1{0.5, kl::as_k2_importance{0x1p-1000}}));
  CHECK(!accepts(kl::k1{0.5, kl::as_k2_importance{0.0}}));
  CHECK(!accepts(kl::k1{std::nan(""), kl::own{}}));
}
