#include "compositions.hpp"

#include <doctest/doctest.h>
#include <limits>
#include <stdexcept>

namespace {

using fixture::garbage;

template <class V> auto ratio_of(V r) { return hence::dual<V, V, hence::zero>{r, r, {}}; }

template <class V> struct token_like {
  hence::dual<V, V, hence::zero> ratio;
  hence::dual<V, hence::zero, hence::one> logp;
  V advantage;
};

constexpr double inf = std::numeric_limits<double>::infinity();

/// One token through the whole library: loss and gradient for a log-ratio and an advantage.
template <class Executor, class Rule>
std::pair<double, double> of_one_token(const Executor& executor, const Rule& rule,
                                       typename Executor::scalar logp,
                                       typename Executor::scalar old,
                                       typename Executor::scalar advantage) {
  using T = typename Executor::scalar;
  const std::vector<std::int64_t> cu{0, 1};
  const std::vector<T> x{logp}, y{old}, a{advantage};
  std::vector<T> gradient{garbage<T>(0)};
  hence::policy_inputs<T> in;
  in.logp = {x, {1.0}};
  in.old = {y, {1.0}};
  in.advantages = a;
  const hence::policy_loss loss{hence::ratio::token{}, rule, hence::kl::none{},
                                hence::aggregate::token_mean{}};
  const auto r = hence::loss_and_gradient(executor, loss, hence::ragged{cu, {}}, in,
                                          hence::over_this_call, gradient);
  return {r.loss(), static_cast<double>(gradient[0])};
}

}  // namespace

TEST_CASE("two_sided: value and slope in log r, at and around the bounds") {
  const double above = std::nextafter(1.25, 2), below = std::nextafter(0.75, 0);
  const struct {
    double r, a, value, slope;
  } cases[] = {
      {0.5, 1, -0.5, -0.5},
      {0.5, -1, 0.75, 0},
      {0.75, 1, -0.75, -0.75},
      {0.75, -1, 0.75, 0.75},
      {below, 2, -2 * below, -2 * below},
      {below, -2, 1.5, 0},
      {1, 1, -1, -1},
      {1, -3, 3, 3},
      {1.25, 1, -1.25, -1.25},
      {1.25, -1, 1.25, 1.25},
      {above, 1, -1.25, 0},
      {above, -1, above, above},
      {1.5, 2, -2.5, 0},
      {1.5, -2, 3, 3},
      {0, 1, 0, 0},
      {0, -1, 0.75, 0},
      {1, 0, 0, 0},
      {8, 0, 0, 0},
  };
  using V = hence::num<double>;
  for (const auto& c : cases) {
    CAPTURE(c.r);
    CAPTURE(c.a);
    const auto p = hence::clip::two_sided{0.75, 1.25}(ratio_of(V(c.r)), V(c.a));
    CHECK(p.value.v == c.value);
    CHECK(p.pooled.v == c.slope);
  }
}

TEST_CASE("two_sided: an absent bound is an infinity") {
  using V = hence::num<double>;
  const hence::clip::two_sided<double> free{-inf, inf};
  for (const double r : {1e-9, 0.5, 1.0, 3.0, 1e9})
    for (const double a : {-2.0, 1.0}) {
      CHECK(free(ratio_of(V(r)), V(a)).value.v == -r * a);
      CHECK(free(ratio_of(V(r)), V(a)).pooled.v == -r * a);
    }
}

TEST_CASE("two_sided: the terms of A and -A add up to |r - clamp(r)| |A|") {
  using V = hence::num<double>;
  fixture::dice random(5);
  const hence::clip::two_sided<double> rule{0.75, 1.25};
  for (int k = 0; k < 1000; ++k) {
    const double r = random.between(0, 3), a = random.between(0.01, 2);
    const double clamped = r < 0.75 ? 0.75 : r > 1.25 ? 1.25 : r;
    const double sum = rule(ratio_of(V(r)), V(a)).value.v + rule(ratio_of(V(r)), V(-a)).value.v;
    CHECK(sum == doctest::Approx(std::fabs(r - clamped) * a).epsilon(1e-14));
  }
}

TEST_CASE("cispo: the weight is clipped, every token keeps its gradient") {
  using V = hence::num<double>;
  const hence::clip::cispo<double> rule{0.75, 1.25};
  const struct {
    double r, weight;
  } cases[] = {{0.5, 0.75}, {0.75, 0.75}, {1, 1}, {1.25, 1.25}, {9, 1.25}};
  for (const auto& c : cases)
    for (const double a : {-2.0, 0.0, 1.5}) {
      const auto p = rule(token_like<V>{ratio_of(V(c.r)), {V(-0.5), {}, {}}, V(a)});
      CHECK(p.value.v == c.weight * a * 0.5);
      CHECK(p.own.v == -c.weight * a);
      CHECK(std::is_same_v<decltype(p.pooled), hence::zero>);
    }
}

TEST_CASE_TEMPLATE("rules give a pack's lanes the bits of a num", Rule,
                   hence::clip::two_sided<float>, hence::clip::cispo<float>) {
  using N = hence::num<float>;
  using P = hence::pack<float>;
  const Rule rule{0.8f, 1.2f};
  constexpr unsigned lanes = P::lanes;
  fixture::dice random(7);
  const float special[] = {0.8f,
                           1.2f,
                           0.0f,
                           std::nextafterf(0.8f, 0),
                           std::nextafterf(1.2f, 2),
                           std::numeric_limits<float>::infinity()};
  for (int k = 0; k < 200; ++k) {
    alignas(64) float r[lanes], a[lanes], x[lanes], value[lanes], pooled[lanes], own[lanes];
    for (unsigned i = 0; i < lanes; ++i) {
      r[i] = random.chance(0.3) ? special[random.below(6)] : float(random.between(0, 2));
      a[i] = random.chance(0.2) ? 0.0f : float(random.between(-2, 2));
      x[i] = float(random.between(-5, 0));
    }
    const P ratio = P::load(r);
    const token_like<P> many{{ratio, ratio, {}}, {P::load(x), {}, {}}, P::load(a)};
    const auto p = hence::detail::apply_rule(rule, many);
    p.value.store(value);
    hence::detail::as_number<P>(p.pooled).store(pooled);
    hence::detail::as_number<P>(p.own).store(own);
    for (unsigned i = 0; i < lanes; ++i) {
      const token_like<N> one{{r[i], r[i], {}}, {x[i], {}, {}}, a[i]};
      const auto q = hence::detail::apply_rule(rule, one);
      CHECK(fixture::same_number(value[i], q.value.v));
      CHECK(fixture::same_number(pooled[i], hence::detail::as_number<N>(q.pooled).v));
      CHECK(fixture::same_number(own[i], hence::detail::as_number<N>(q.own).v));
    }
  }
}

TEST_CASE("the gradient passes at r equal to a bound, and at one ulp beyond it is gone") {
  // the ratio that the library itself computes becomes the bound
  const float near = -0.5f, far = -0.7f;
  const float r = exp(hence::num<float>(near) - hence::num<float>(far)).v;  // above 1
  const float s = exp(hence::num<float>(far) - hence::num<float>(near)).v;  // below 1
  const auto check = [&](const auto& executor) {
    const auto above = [&](float high, float a) {
      return of_one_token(executor, hence::clip::two_sided{0.5f, high}, near, far, a).second;
    };
    const auto below = [&](float low, float a) {
      return of_one_token(executor, hence::clip::two_sided{low, 2.0f}, far, near, a).second;
    };
    CHECK(above(r, 1) == double(-r));
    CHECK(above(std::nextafterf(r, 0), 1) == 0);
    CHECK(above(std::nextafterf(r, 0), -1) == double(r));
    CHECK(below(s, -1) == double(s));
    CHECK(below(std::nextafterf(s, 2), -1) == 0);
    CHECK(below(std::nextafterf(s, 2), 1) == double(-s));
  };
  check(hence::reference<float>{});
  check(hence::cpu{});
}

TEST_CASE("A = 0 times an overflowing ratio is 0, and a finite advantage is clipped") {
  const auto check = [](const auto& executor) {
    using T = typename std::remove_cvref_t<decltype(executor)>::scalar;
    const hence::clip::two_sided<T> ppo{T(0.75), T(1.25)};
    const hence::clip::cispo<T> cispo{T(0.75), T(1.25)};
    using pair = std::pair<double, double>;
    CHECK(of_one_token(executor, ppo, T(-0.5), T(-900), T(0)) == pair(0, 0));
    CHECK(of_one_token(executor, cispo, T(-0.5), T(-900), T(0)) == pair(0, 0));
    // without bounds nothing but A = 0 itself keeps infinity times 0 away
    const T none = std::numeric_limits<T>::infinity();
    CHECK(of_one_token(executor, hence::clip::two_sided<T>{-none, none}, T(-0.5), T(-900), T(0)) ==
          pair(0, 0));
    CHECK(of_one_token(executor, hence::clip::cispo<T>{-none, none}, T(-0.5), T(-900), T(0)) ==
          pair(0, 0));
    CHECK(of_one_token(executor, ppo, T(-0.5), T(-900), T(2)) == pair(-2.5, 0));
    CHECK(of_one_token(executor, cispo, T(-0.5), T(-900), T(2)) == pair(1.25, -2.5));
    // and an underflowing one
    CHECK(of_one_token(executor, ppo, T(-900), T(-0.5), T(2)) == pair(0, 0));
    CHECK(of_one_token(executor, ppo, T(-900), T(-0.5), T(-2)) == pair(1.5, 0));
  };
  check(hence::reference<float>{});
  check(hence::reference<double>{});
  check(hence::cpu{});
}

TEST_CASE("clip bounds have 1 within them, or at one of them") {
  const auto check = [](double low, double high) {
    hence::clip::two_sided{low, high}.check(), hence::clip::cispo{low, high}.check();
  };
  CHECK_NOTHROW(check(0.75, 1.25));
  CHECK_NOTHROW(check(1, 1.25));
  CHECK_NOTHROW(check(0.75, 1));
  CHECK_THROWS_AS(check(1.25, 1.5), std::invalid_argument);
  CHECK_THROWS_AS(check(0.25, 0.75), std::invalid_argument);
  CHECK_THROWS_AS(check(std::nan(""), 1.25), std::invalid_argument);
  CHECK_THROWS_AS(check(0.75, std::nan("")), std::invalid_argument);
}
