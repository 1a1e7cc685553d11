#include <doctest/doctest.h>

#include "math_oracle.hpp"

using namespace oracle;
using namespace hence;
using f64 = num<double>;
using f128 = num<quad>;

namespace {

/// f's two partials at (x, y), x varying with the pooled direction and y with the own one, against
/// central differences in quadruple precision.
template <class F> double worst_partial(F f) {
  double worst = 0;
  const quad h = quad(1e-9);
  for (const double x : {-2.5, -0.7, -0.1, 0.3, 0.9, 1.7, 4.0}) {
    for (const double y : {-3.1, -0.6, -0.2, 0.4, 1.1, 2.3}) {
      const dual<f64, one, zero> a{f64(x), {}, {}};
      const dual<f64, zero, one> b{f64(y), {}, {}};
      const auto got = f(a, b);
      const auto value = [&](quad s, quad t) { return f(f128(s), f128(t)).v; };
      const quad slope_x = (value(quad(x) + h, quad(y)) - value(quad(x) - h, quad(y))) / (2 * h);
      const quad slope_y = (value(quad(x), quad(y) + h) - value(quad(x), quad(y) - h)) / (2 * h);
      const auto off = [&](quad exact, double computed) {
        const quad error = absolute(quad(computed) - exact);
        const double relative = static_cast<double>(error / (absolute(exact) + quad(1e-3)));
        if (!(relative <= worst)) worst = relative;
      };
      off(value(quad(x), quad(y)), detail::value_of(got).v);
      off(slope_x, detail::as_number<f64>(detail::pooled_of(got)).v);
      off(slope_y, detail::as_number<f64>(detail::own_of(got)).v);
    }
  }
  return worst;
}

constexpr double close = 1e-14;

}  // namespace

TEST_CASE("dual: every operator against finite differences") {
  CHECK(worst_partial([](auto a, auto b) { return a + b; }) < close);
  CHECK(worst_partial([](auto a, auto b) { return a - b; }) < close);
  CHECK(worst_partial([](auto a, auto b) { return b - a; }) < close);
  CHECK(worst_partial([](auto a, auto b) { return a * b; }) < close);
  CHECK(worst_partial([](auto a, auto b) { return a / b; }) < close);
  CHECK(worst_partial([](auto a, auto b) { return b / a; }) < close);
  CHECK(worst_partial([](auto a, auto) { return -a; }) < close);
  CHECK(worst_partial([](auto a, auto b) { return (a * b) * a; }) < close);
  CHECK(worst_partial([](auto a, auto b) { return (a + b) * (a - b); }) < close);
  CHECK(worst_partial([](auto a, auto b) { return (a * b) / (a * a + b * b); }) < close);
  CHECK(worst_partial([](auto a, auto b) { return 3 * a - b / 2 + 1 - 2 / b; }) < close);
  CHECK(worst_partial([](auto a, auto b) { return (1 - a) * (2 + b); }) < close);
  CHECK(worst_partial([](auto a, auto b) { return select(a < b, a * a, b); }) < close);
  CHECK(worst_partial([](auto a, auto b) { return select(a >= 1, a * b, a); }) < close);
  CHECK(worst_partial([](auto a, auto b) { return select(b <= a, 1, a); }) < close);
  CHECK(worst_partial([](auto a, auto b) { return select(a > b, b, -b) * a; }) < close);
}

TEST_CASE("dual: every primitive against finite differences") {
  CHECK(worst_partial([](auto a, auto b) { return exp(a) * b; }) < close);
  CHECK(worst_partial([](auto a, auto b) { return expm1(a) * b; }) < close);
  CHECK(worst_partial([](auto a, auto b) { return k3(a * b); }) < close);
  CHECK(worst_partial([](auto a, auto b) { return log(a * a) + b; }) < close);
  CHECK(worst_partial([](auto a, auto b) { return log1p(a * a * b * b); }) < close);
  CHECK(worst_partial([](auto a, auto b) { return sigmoid(a) * b; }) < close);
  CHECK(worst_partial([](auto a, auto b) { return softplus(a) - b; }) < close);
  CHECK(worst_partial([](auto a, auto b) { return tanh(a) * b; }) < close);
  CHECK(worst_partial([](auto a, auto b) { return log1mexp(-(a * a)) * b; }) < close);
  CHECK(worst_partial([](auto a, auto b) { return sqrt(a * a + b * b); }) < close);
  CHECK(worst_partial([](auto a, auto b) { return min(a * a, b) + max(a, b * b); }) < close);
  CHECK(worst_partial([](auto a, auto b) { return clamp(a, -0.5, 1.5) * b; }) < close);
}

TEST_CASE("dual: partials that are 0 or 1 whatever the data are types") {
  using f = f64;
  const dual<f, one, zero> a{f(2), {}, {}};
  const dual<f, zero, one> b{f(3), {}, {}};
  static_assert(std::same_as<decltype(a + b), dual<f, one, one>>);
  static_assert(std::same_as<decltype(a + 1), dual<f, one, zero>>);
  static_assert(std::same_as<decltype(a - b), dual<f, one, f>>);
  static_assert(std::same_as<decltype(1 - a), dual<f, f, zero>>);
  static_assert(std::same_as<decltype(a * b), dual<f, f, f>>);
  static_assert(std::same_as<decltype(a * 2), dual<f, f, zero>>);
  static_assert(std::same_as<decltype(a / b), dual<f, f, f>>);
  static_assert(std::same_as<decltype(exp(a)), dual<f, f, zero>>);
  static_assert(std::same_as<decltype(detach(a)), f>);
  static_assert(std::same_as<decltype(detach(f(1))), f>);
  static_assert(std::same_as<decltype(detach(a) * b), dual<f, zero, f>>);
  static_assert(std::same_as<decltype(select(a < b, a, a)), dual<f, one, zero>>);
  static_assert(std::same_as<decltype(select(a < b, a, b)), dual<f, f, f>>);
  static_assert(std::same_as<decltype(select(a < b, a, f(1))), dual<f, f, zero>>);
  static_assert(std::same_as<decltype(with_gradient_of(f(1), a)), dual<f, one, zero>>);
  static_assert(std::same_as<decltype(with_gradient_of(a, f(1))), f>);
  static_assert(sizeof(dual<f, one, zero>) <= 16);
  CHECK((a + b).value.v == 5);
}

TEST_CASE("dual: detach stops the gradient and with_gradient_of replaces it") {
  const dual<f64, one, f64> a{f64(3), {}, f64(5)};
  const auto half = detach(a) * a;  // d/dx of sg(x) x is x
  CHECK(half.value.v == 9);
  CHECK(half.pooled.v == 3);
  CHECK(half.own.v == 15);
  const double inf = std::numeric_limits<double>::infinity();
  const auto through = with_gradient_of(f64(inf), a);
  CHECK(through.value.v == inf);
  CHECK(through.own.v == 5);
}

TEST_CASE("dual: comparisons see values") {
  const dual<f64, one, zero> a{f64(1), {}, {}}, b{f64(2), {}, {}};
  CHECK(a < b);
  CHECK_FALSE(b < a);
  CHECK(a <= b);
  CHECK(a <= 1);
  CHECK_FALSE(b <= a);
  CHECK(b > a);
  CHECK_FALSE(a > b);
  CHECK(b >= a);
  CHECK(1 >= a);
  CHECK_FALSE(a >= b);
}

TEST_CASE("select between plain numbers, as in a rule's weight by the advantage's sign") {
  const auto weight = [](auto a) { return select(a > 0, 1.0f, 0.5f); };
  CHECK(weight(num<float>(2.0f)).v == 1.0f);
  CHECK(weight(num<float>(-2.0f)).v == 0.5f);
  CHECK(weight(hence::pack<float>(2.0f)).v[0] == 1.0f);
  CHECK(weight(hence::pack<float>(-2.0f)).v[0] == 0.5f);
  CHECK(weight(dual<num<float>, one, zero>{num<float>(2.0f), {}, {}}).v == 1.0f);
}

TEST_CASE("dual: packs give the bits of numbers") {
  using pack = hence::pack<float>;
  using f32 = num<float>;
  int wrong = 0;
  const auto formula = [](auto a, auto b) {
    return select(a < b, exp(a) * b - k3(a) / (b * b + 1), a * b + log1p(a * a) - sigmoid(b));
  };
  for (const float x : special_floats()) {
    for (const float y : special_floats()) {
      const auto wide =
          formula(dual<pack, one, zero>{pack(x), {}, {}}, dual<pack, zero, one>{pack(y), {}, {}});
      const auto thin =
          formula(dual<f32, one, zero>{f32(x), {}, {}}, dual<f32, zero, one>{f32(y), {}, {}});
      wrong += !same(wide.value.v[1], thin.value.v);
      wrong += !same(wide.pooled.v[1], thin.pooled.v);
      wrong += !same(wide.own.v[1], thin.own.v);
    }
  }
  CHECK(wrong == 0);
}
