#include <doctest/doctest.h>

#include "math_oracle.hpp"

using namespace oracle;
using f32 = hence::num<float>;
using f64 = hence::num<double>;

namespace {

constexpr auto value = [](auto x) { return normal_cdf(x); };
constexpr auto slope = [](auto x) {
  return normal_cdf(hence::dual<decltype(x), hence::one, hence::zero>{x, {}, {}}).pooled;
};
constexpr auto exact = [](auto x) { return oracle::normal_cdf(x); };
constexpr auto exact_slope = [](auto x) { return oracle::normal_density(x); };
constexpr float inf = std::numeric_limits<float>::infinity();

/// A sweep over all floats and one over each sign's octaves 2^-13 to 2^4.
template <class F, class Exact> double worst(F f, Exact exact_f) {
  double all = 0;
  for (const std::uint32_t sign : {0u, 0x80000000u})
    for (const findings& found :
         {sweep(sign, sign | 0x7fffffffu, 65521, f, exact_f),
          sweep(sign | 0x39000000u, sign | 0x41800000u, 1321, f, exact_f)}) {
      CHECK(found.pack_differs == 0);
      CHECK(found.seen > 30000);
      all = std::fmax(all, found.worst);
    }
  return all;
}

}  // namespace

TEST_CASE("normal_cdf: error, the lower tail included") {
  CHECK(worst(value, exact) <= 6.1);
  CHECK(sweep(0xc1400000u, 0xc1540000u, 101, value, exact).worst <= 5.0);  // -12 to -13.25
}
TEST_CASE("normal_cdf: the worst argument of the exhaustive sweep") {
  const float x = -0x1.e66fp-7f;
  CHECK(std::fabs(ulps(normal_cdf(f32(x)).v, exact(quad(x))) - 6.0432) < 1e-4);
}
TEST_CASE("normal_cdf: the density") { CHECK(worst(slope, exact_slope) <= 3); }

TEST_CASE("normal_cdf: special arguments, limits, NaN") {
  CHECK(normal_cdf(f32(0)).v == 0.5f);
  CHECK(normal_cdf(f32(-inf)).v == 0);
  CHECK(normal_cdf(f32(inf)).v == 1);
  CHECK(normal_cdf(f32(-13)).v == 0);
  CHECK(normal_cdf(f32(-12.9f)).v > 0);
  CHECK(slope(f32(-inf)).v == 0);
  CHECK(slope(f32(0)).v == 0.39894228f);
  const f32 none(std::numeric_limits<float>::quiet_NaN());
  CHECK(std::isnan(normal_cdf(none).v));
  CHECK(std::isnan(slope(none).v));
  using pack = hence::pack<float>;
  for (const float x : special_floats()) {
    CHECK(ulps(normal_cdf(f32(x)).v, exact(static_cast<double>(argument(x)))) <= 6.1);
    CHECK(same(normal_cdf(pack(x)).v[1], normal_cdf(f32(x)).v));
    CHECK(same(slope(pack(x)).v[1], slope(f32(x)).v));
  }
}

TEST_CASE("normal_cdf: float64 against quadruple precision") {
  for (double x = -30; x < 30; x += 0.37) {
    const auto near = [&](double got, quad want, double bound) {
      CHECK(static_cast<double>(absolute((quad(got) - want) / want)) < bound);
    };
    near(normal_cdf(f64(x)).v, exact(quad(x)), (3 + 2 * x * x) * 0x1p-53);
    near(slope(f64(x)).v, exact_slope(quad(x)), (3 + 2 * x * x) * 0x1p-53);
  }
}
