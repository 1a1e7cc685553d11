#include <doctest/doctest.h>

#include "math_oracle.hpp"

using namespace oracle;
using f32 = hence::num<float>;
using f64 = hence::num<double>;

namespace {

constexpr auto sigmoid_of = [](auto x) { return sigmoid(x); };
constexpr auto softplus_of = [](auto x) { return softplus(x); };
constexpr auto tanh_of = [](auto x) { return tanh(x); };
constexpr auto log1mexp_of = [](auto x) { return log1mexp(x); };
constexpr auto slope = [](auto f) {
  return [f](auto x) {
    return f(hence::dual<decltype(x), hence::one, hence::zero>{x, {}, {}}).pooled;
  };
};
constexpr float inf = std::numeric_limits<float>::infinity();
const float not_a_number = std::numeric_limits<float>::quiet_NaN();

/// A sweep over all floats and one over each sign's octaves 2^-13 to 2^7.
template <class F, class Exact> double worst(F f, Exact exact) {
  double all = 0;
  for (const std::uint32_t sign : {0u, 0x80000000u}) {
    for (const findings& found : {sweep(sign, sign | 0x7fffffffu, 16381, f, exact),
                                  sweep(sign | 0x39000000u, sign | 0x43000000u, 661, f, exact)}) {
      CHECK(found.pack_differs == 0);
      CHECK(found.seen > 100000);
      all = std::fmax(all, found.worst);
    }
  }
  return all;
}

}  // namespace

TEST_CASE("sigmoid: error, the lower tail included") {
  CHECK(worst(sigmoid_of, [](auto x) { return oracle::sigmoid(x); }) <= 1.0);
  CHECK(sweep(0xc2a00000u, 0xc2aeac50u, 101, sigmoid_of, [](auto x) {
          return oracle::sigmoid(x);
        }).worst <= 1.0);
}
TEST_CASE("softplus: error") {
  CHECK(worst(softplus_of, [](auto x) { return oracle::softplus(x); }) <= 1.3);
}
TEST_CASE("tanh: error") {
  CHECK(worst(tanh_of, [](auto x) { return oracle::tanh(x); }) <= 1.1);
}
TEST_CASE("log1mexp: error") {
  CHECK(worst(log1mexp_of, [](auto x) { return oracle::log1mexp(x); }) <= 1.4);
  CHECK(sweep(0xbf000000u, 0xbf800000u, 31, log1mexp_of, [](auto x) {
          return oracle::log1mexp(x);
        }).worst <= 1.4);
}

TEST_CASE("sigmoid and the like: the worst arguments of the exhaustive sweep") {
  const auto close = [](double error, double documented) {
    return std::fabs(error - documented) < 1e-4;
  };
  const float a = -0x1.5bf14cp+6f, b = -0x1.18c23ap+0f, c = 0x1.fbeb7ap-3f, d = -0x1.02949ep+0f;
  CHECK(close(ulps(sigmoid(f32(a)).v, oracle::sigmoid(quad(a))), 0.7883));
  CHECK(close(ulps(softplus(f32(b)).v, oracle::softplus(quad(b))), 1.2854));
  CHECK(close(ulps(tanh(f32(c)).v, oracle::tanh(quad(c))), 1.0268));
  CHECK(close(ulps(log1mexp(f32(d)).v, oracle::log1mexp(quad(d))), 1.3085));
}

TEST_CASE("slopes: stable in both tails") {
  CHECK(worst(slope(sigmoid_of), [](auto x) { return oracle::sigmoid_slope(x); }) <= 4);
  CHECK(worst(slope(softplus_of), [](auto x) { return oracle::sigmoid(x); }) <= 1.0);
  const auto tanh_exact = [](auto x) { return oracle::tanh_slope(x); };
  CHECK(sweep(0, 0x422ead00u, 4093, slope(tanh_of), tanh_exact).worst <= 4);  // to 43.668
  CHECK(sweep(0x80000000u, 0xc22ead00u, 4093, slope(tanh_of), tanh_exact).worst <= 4);
  const auto log1mexp_exact = [](auto x) { return oracle::log1mexp_slope(x); };
  CHECK(sweep(0x80800000u, 0xff800000u, 4093, slope(log1mexp_of), log1mexp_exact).worst <= 4);
}

TEST_CASE("sigmoid and the like: special arguments, packs as numbers") {
  double worst_error = 0;
  const auto see = [&](double error) { worst_error = std::fmax(worst_error, error); };
  for (const float x : special_floats()) {
    const auto a = static_cast<double>(argument(x));
    see(ulps(sigmoid(f32(x)).v, oracle::sigmoid(a)));
    see(ulps(softplus(f32(x)).v, oracle::softplus(a)));
    see(ulps(tanh(f32(x)).v, oracle::tanh(a)));
    see(ulps(log1mexp(f32(x)).v, oracle::log1mexp(a)));
    using pack = hence::pack<float>;
    const hence::dual<pack, hence::one, hence::zero> wide{pack(x), {}, {}};
    const hence::dual<f32, hence::one, hence::zero> thin{f32(x), {}, {}};
    const auto equal = [](auto p, auto n) {
      return same(p.value.v[1], n.value.v) && same(p.pooled.v[1], n.pooled.v);
    };
    REQUIRE(equal(sigmoid(wide), sigmoid(thin)));
    REQUIRE(equal(softplus(wide), softplus(thin)));
    REQUIRE(equal(tanh(wide), tanh(thin)));
    REQUIRE(equal(log1mexp(wide), log1mexp(thin)));
    REQUIRE(equal(sqrt(wide), sqrt(thin)));
  }
  CHECK(worst_error <= 1.4);

  CHECK(sigmoid(f32(0)).v == 0.5f);
  CHECK(sigmoid(f32(-inf)).v == 0);
  CHECK(sigmoid(f32(inf)).v == 1);
  CHECK(softplus(f32(-inf)).v == 0);
  CHECK(softplus(f32(inf)).v == inf);
  CHECK(tanh(f32(-inf)).v == -1);
  CHECK(tanh(f32(inf)).v == 1);
  CHECK(tanh(f32(1e-40f)).v == 0);
  CHECK(log1mexp(f32(-inf)).v == 0);
  CHECK(log1mexp(f32(0)).v == -inf);
  CHECK(log1mexp(f32(-1e-40f)).v == -inf);
  CHECK(log1mexp(f32(-smallest_normal)).v == doctest::Approx(-87.33654));
  CHECK(std::isnan(log1mexp(f32(1)).v));
  CHECK(std::isnan(log1mexp(f32(inf)).v));
}

TEST_CASE("sigmoid and the like: NaN in value and slope") {
  const hence::dual<f32, hence::one, hence::zero> x{f32(not_a_number), {}, {}};
  const auto both = [](auto y) { return std::isnan(y.value.v) && std::isnan(y.pooled.v); };
  CHECK(both(sigmoid(x)));
  CHECK(both(softplus(x)));
  CHECK(both(tanh(x)));
  CHECK(both(log1mexp(x)));
  CHECK(both(sqrt(x)));
}

TEST_CASE("slopes at the limits") {
  const auto at = [](float x) { return hence::dual<f32, hence::one, hence::zero>{f32(x), {}, {}}; };
  CHECK(sigmoid(at(0)).pooled.v == 0.25f);
  CHECK(sigmoid(at(-inf)).pooled.v == 0);
  CHECK(sigmoid(at(inf)).pooled.v == 0);
  CHECK(softplus(at(-inf)).pooled.v == 0);
  CHECK(softplus(at(inf)).pooled.v == 1);
  CHECK(tanh(at(0)).pooled.v == 1);
  CHECK(tanh(at(inf)).pooled.v == 0);
  CHECK(tanh(at(-44)).pooled.v == 0);
  CHECK(log1mexp(at(-inf)).pooled.v == 0);
  CHECK(log1mexp(at(0)).pooled.v == -inf);
  CHECK(sqrt(at(4)).value.v == 2);
  CHECK(sqrt(at(4)).pooled.v == 0.25f);
  CHECK(sqrt(at(0)).pooled.v == inf);
}

TEST_CASE("sigmoid and the like: float64 against quadruple precision") {
  double worst_error = 0;
  const auto see = [&](f64 got, quad exact) {
    const quad error = absolute((quad(got.v) - exact) / exact);
    worst_error = std::fmax(worst_error, static_cast<double>(error));
  };
  for (double x = -30; x < 30; x += 0.37) {
    see(sigmoid(f64(x)), oracle::sigmoid(quad(x)));
    see(softplus(f64(x)), oracle::softplus(quad(x)));
    see(tanh(f64(x)), oracle::tanh(quad(x)));
    if (x < 0) see(log1mexp(f64(x)), oracle::log1mexp(quad(x)));
  }
  CHECK(worst_error < 1e-15);
}
