#include "compositions.hpp"

#include <doctest/doctest.h>
#include <limits>
#include <stdexcept>

namespace {

template <class T> auto log_ratio_of(T x) {
  return hence::dual<hence::num<T>, hence::one, hence::zero>{x, {}, {}};
}
constexpr double inf = std::numeric_limits<double>::infinity();

}  // namespace

TEST_CASE("unclamped leaves the log-ratio and its gradient alone") {
  const auto x = hence::ratio::unclamped{}(log_ratio_of(700.0));
  CHECK(x.value.v == 700);
  CHECK(std::is_same_v<decltype(x.pooled), hence::one>);
}

TEST_CASE("log_clamp: gradient 1 on the closed interval, 0 outside") {
  const struct {
    double x, value, slope;
  } cases[] = {{-0.75, -0.5, 0}, {-0.5, -0.5, 1},   {0, 0, 1},
               {0.25, 0.25, 1},  {0.375, 0.375, 1}, {std::nextafter(0.375, 1), 0.375, 0},
               {inf, 0.375, 0},  {-inf, -0.5, 0}};
  for (const auto& c : cases) {
    const auto y = hence::ratio::log_clamp{-0.5, 0.375}(log_ratio_of(c.x));
    CHECK(y.value.v == c.value);
    CHECK(y.pooled.v == c.slope);
  }
  const auto lost = hence::ratio::log_clamp{-0.5, 0.375}(log_ratio_of(std::nan("")));
  CHECK(lost.value.v != lost.value.v);
}

TEST_CASE("log_clamp: an absent bound is an infinity") {
  const hence::ratio::log_clamp free{-inf, inf};
  for (const double x : {-1e300, -1.0, 0.0, 1e300}) {
    CHECK(free(log_ratio_of(x)).value.v == x);
    CHECK(free(log_ratio_of(x)).pooled.v == 1);
  }
}

TEST_CASE("the level is a type") {
  CHECK(!decltype(hence::ratio::token{})::pooled);
  CHECK(decltype(hence::ratio::sequence{})::pooled);
  CHECK(std::is_same_v<decltype(hence::ratio::token{hence::ratio::log_clamp{-20.0f, 20.0f}}),
                       hence::ratio::token<hence::ratio::log_clamp<float>>>);
}

TEST_CASE("a row of one token has the same loss and gradient at both levels") {
  fixture::dice random(3);
  const auto d = fixture::random_batch(random, {1, 1, 1, 0, 1});
  const hence::clip::two_sided rule{0.75, 1.25};
  const hence::aggregate::token_mean mean;
  const auto a = run(hence::reference<double>{},
                     hence::policy_loss{hence::ratio::token{}, rule, hence::kl::k3{0.5}, mean}, d);
  const auto b =
      run(hence::reference<double>{},
          hence::policy_loss{hence::ratio::sequence{}, rule, hence::kl::k3{0.5}, mean}, d);
  CHECK(a.loss == doctest::Approx(b.loss).epsilon(1e-15));
  for (std::size_t i = 0; i < d.rows.size(); ++i)
    for (std::size_t t = 0; t < d.rows[i].at.size(); ++t)
      CHECK(a.gradient[i][t] == doctest::Approx(b.gradient[i][t]).epsilon(1e-14));
}

TEST_CASE("a sequence ratio pools the policy tokens alone") {
  fixture::description d;
  d.roles = true;
  d.rows.push_back({{{-1, -1.5, -1, 0}, {-2, -2.25, -2, 0}, {-3, 7, -3, 0}}, 1, 0});
  d.rows[0].at[2].policy = false;  // its log-ratio, -10, must not count
  const hence::policy_loss loss{hence::ratio::sequence{}, hence::clip::two_sided{0.0, 9.0},
                                hence::kl::none{}, hence::aggregate::token_mean{}};
  const auto o = run(hence::reference<double>{}, loss, d);
  const double r = std::exp(0.375);
  CHECK(o.loss == doctest::Approx(-2 * r / 3).epsilon(1e-14));
  CHECK(o.gradient[0][0] == doctest::Approx(-r / 3).epsilon(1e-14));
  CHECK(o.gradient[0][1] == doctest::Approx(-r / 3).epsilon(1e-14));
  CHECK(o.gradient[0][2] == 0);
  CHECK(o.counts.policy_tokens == 2);
}

TEST_CASE("a log clamp at the bound passes the gradient, beyond it stops it, on every executor") {
  const auto check = [](const auto& executor, auto ratio) {
    fixture::description d;
    d.rows.push_back({{{-1, -1.375, 0, 0}}, 1, 0});
    d.rows.push_back({{{-1, -1.5, 0, 0}}, 1, 0});
    const hence::policy_loss loss{ratio, hence::clip::two_sided{0.0f, 9.0f}, hence::kl::none{},
                                  hence::aggregate::constant{1}};
    const auto o = run(executor, loss, d);
    CHECK(o.gradient[0][0] == doctest::Approx(-std::exp(0.375)).epsilon(1e-6));
    CHECK(o.gradient[1][0] == 0);
    CHECK(o.loss == doctest::Approx(-2 * std::exp(0.375)).epsilon(1e-6));
  };
  const hence::ratio::log_clamp limit{-0.5f, 0.375f};
  check(hence::reference<float>{}, hence::ratio::token{limit});
  check(hence::reference<float>{}, hence::ratio::sequence{limit});
  check(hence::cpu{}, hence::ratio::token{limit});
  check(hence::cpu{}, hence::ratio::sequence{limit});
}

TEST_CASE("a log clamp has 0 within its bounds, or at one of them") {
  const auto check = [](double low, double high) { hence::ratio::log_clamp{low, high}.check(); };
  CHECK_NOTHROW(check(-0.25, 0.25));
  CHECK_NOTHROW(check(0, 0.25));
  CHECK_NOTHROW(check(-0.25, 0));
  CHECK_THROWS_AS(check(0.25, 0.5), std::invalid_argument);
  CHECK_THROWS_AS(check(-0.5, -0.25), std::invalid_argument);
  CHECK_THROWS_AS(check(std::nan(""), 0.25), std::invalid_argument);
  CHECK_THROWS_AS(check(-0.25, std::nan("")), std::invalid_argument);
}
