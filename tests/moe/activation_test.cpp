// Activations against the papers' formulas in double, their slopes by finite differences.

#include <hence/moe/activation.hpp>

#include <doctest/doctest.h>
#include <bit>
#include <cmath>
#include <vector>

namespace {

namespace moe = hence::moe;
using D = hence::num<double>;
using F = hence::num<float>;
using P = hence::pack<float>;

double silu(double x) { return x / (1 + std::exp(-x)); }
double gelu_tanh(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
}

double gelu(double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); }

/// A user's own, with a clamp: the slope beyond it is 0.
struct clamped {
  template <class G, class U> auto operator()(const G& gate, const U& up) const {
    const auto g = min(gate, 7);
    return g * sigmoid(g) * (up + 1);
  }
};
struct not_an_activation {
  double operator()(double x) const { return x; }
};

const std::vector<double> points{-30, -9.5, -3, -1.25, -0.5, -1e-3, 0, 1e-3, 0.7, 1, 2.5, 6, 40};

TEST_CASE("values and slopes in double") {
  for (const double x : points) {
    CHECK(moe::silu{}(D(x)).v == doctest::Approx(silu(x)).epsilon(1e-14));
    // the paper's form cancels below -2, so the comparison is absolute
    CHECK(std::abs(moe::gelu_tanh{}(D(x)).v - gelu_tanh(x)) < 1e-15 * (1 + std::abs(x)));
    const double h = 1e-5;
    const auto by = [&](auto f, double at) { return (f(at + h) - f(at - h)) / (2 * h); };
    const auto s = hence::detail::activate<D>(moe::silu{}, D(0.0), D(x));
    CHECK(std::abs(s.by_up.v - by(silu, x)) < 1e-9);
    CHECK(s.by_gate.v == 0);
    const auto g = hence::detail::activate<D>(moe::gelu_tanh{}, D(0.0), D(x));
    CHECK(std::abs(g.by_up.v - by(gelu_tanh, x)) < 1e-9);
    CHECK(std::abs(moe::gelu{}(D(x)).v - gelu(x)) <= 1e-12 * std::abs(gelu(x)));
    const auto exact = hence::detail::activate<D>(moe::gelu{}, D(0.0), D(x));
    CHECK(std::abs(exact.by_up.v - by(gelu, x)) < 1e-9);
    for (const double u : {-2.0, 0.0, 1.5}) {
      const auto w = hence::detail::activate<D>(moe::swiglu{}, D(x), D(u));
      CHECK(w.h.v == doctest::Approx(silu(x) * u).epsilon(1e-14));
      CHECK(std::abs(w.by_gate.v - u * by(silu, x)) < 1e-8);
      CHECK(w.by_up.v == doctest::Approx(silu(x)).epsilon(1e-14));
      const auto t = hence::detail::activate<D>(moe::geglu_tanh{}, D(x), D(u));
      CHECK(std::abs(t.h.v - gelu_tanh(x) * u) < 1e-14 * (1 + std::abs(x)));
      CHECK(std::abs(t.by_gate.v - u * by(gelu_tanh, x)) < 1e-8);
      const auto v = hence::detail::activate<D>(moe::geglu{}, D(x), D(u));
      CHECK(std::abs(v.h.v - gelu(x) * u) <= 1e-12 * std::abs(gelu(x) * u));
      CHECK(std::abs(v.by_gate.v - u * by(gelu, x)) < 1e-8);
      CHECK(std::abs(v.by_up.v - gelu(x)) <= 1e-12 * std::abs(gelu(x)));
    }
  }
}

TEST_CASE("fp32 stays within 3 ulp of silu, 8 of gelu, and packs have the bits of scalars") {
  for (int i = -3000; i <= 3000; ++i) {
    const float x = static_cast<float>(i) / 37.0f;
    const double exact = silu(static_cast<double>(x));
    const float y = moe::silu{}(F(x)).v;
    CHECK(std::abs(static_cast<double>(y) - exact) <= 3 * 0x1p-23 * std::abs(exact) + 1e-36);
    const double exact_gelu = gelu(static_cast<double>(x));
    CHECK(std::abs(static_cast<double>(moe::gelu{}(F(x)).v) - exact_gelu) <=
          8 * 0x1p-24 * std::abs(exact_gelu) + 1e-36);
    const P wide_gelu = moe::geglu{}(P(x), P(0.75f));
    CHECK(std::bit_cast<int>(wide_gelu.v[0]) == std::bit_cast<int>(moe::geglu{}(F(x), F(0.75f)).v));
    const P wide = moe::swiglu{}(P(x), P(0.75f));
    float lanes[P::lanes];
    wide.store(lanes);
    CHECK(std::bit_cast<int>(lanes[P::lanes - 1]) ==
          std::bit_cast<int>(moe::swiglu{}(F(x), F(0.75f)).v));
  }
  CHECK(moe::silu{}(F(-200.0f)).v == 0);
  CHECK(moe::gelu{}(F(-200.0f)).v == 0);
  CHECK(moe::gelu{}(F(200.0f)).v == 200);
  CHECK(moe::gelu_tanh{}(F(-200.0f)).v == 0);
}

TEST_CASE("what is an activation") {
  using namespace hence::detail;
  CHECK(gated_activation<moe::swiglu, F>);
  CHECK(!plain_activation<moe::swiglu, F>);
  CHECK(plain_activation<moe::silu, P>);
  CHECK(!gated_activation<moe::silu, P>);
  CHECK(gated_activation<clamped, P>);
  CHECK(!plain_activation<not_an_activation, F>);
  const auto y = activate<D>(clamped{}, D(9.0), D(1.0));
  CHECK(y.by_gate.v == 0);
  CHECK(y.h.v == doctest::Approx(2 * silu(7)));
}

}  // namespace
