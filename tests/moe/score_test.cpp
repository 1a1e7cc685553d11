// The scores of one logit, against long double, and the order of selection values.

#include "core/math_oracle.hpp"

#include <hence/moe/score.hpp>

#include <doctest/doctest.h>
#include <cmath>
#include <limits>

namespace {

using hence::num;

TEST_CASE("sqrt_softplus and its slope") {
  double worst = 0, worst_slope = 0;
  for (double x = -174; x < 120; x += 0.0137) {
    const auto z = static_cast<float>(x);
    const long double wide = z, exact = std::sqrt(std::max(wide, 0.0L) +
                                                  std::log1p(std::exp(-std::abs(wide))));
    const long double slope = 1 / (1 + std::exp(-wide)) / (2 * exact);
    const auto s =
        hence::sqrt_softplus(hence::dual<num<float>, hence::one, hence::zero>{z, {}, {}});
    worst = std::max(worst, static_cast<double>(std::abs(s.value.v - exact) / exact));
    worst_slope = std::max(worst_slope, static_cast<double>(std::abs(s.pooled.v - slope) / slope));
    const auto d = hence::sqrt_softplus(num<double>(static_cast<double>(wide)));
    CHECK(std::abs(d.v - exact) <= 4e-16L * exact);
  }
  CHECK(worst < 2 * 5.97e-8);
  CHECK(worst_slope < 4 * 5.97e-8);
}

TEST_CASE("at its seam, and in quadruple precision, whose seam is lower") {
  CHECK(hence::sqrt_softplus(num<float>(-17.0f)).v == 0x1.aab43ep-13f);  // the root's bits still
  using wide = num<oracle::quad>;
  const auto far = [](oracle::quad x, oracle::quad from) {
    return std::abs(static_cast<double>(x / from - 1));
  };
  for (const double x : {-200.0, -90.5, -89.5, -60.0, -41.0, -39.0, -1.0, 0.0, 3.0, 80.0}) {
    const oracle::quad z = x, power = oracle::exp(z), squared = oracle::log1p(power);
    const auto s = hence::sqrt_softplus(hence::dual<wide, hence::one, hence::zero>{z, {}, {}});
    CHECK(far(s.value.v * s.value.v, squared) < 1e-30);
    CHECK(far(s.pooled.v * 2 * s.value.v * (1 + power), power) < 1e-30);
  }
}

TEST_CASE("its slope is finite for every finite logit") {
  for (std::uint64_t bits = 0; bits < 0x100000000ull; bits += 10007) {
    const auto z = __builtin_bit_cast(float, static_cast<std::uint32_t>(bits));
    if (!std::isfinite(z)) continue;
    const auto s =
        hence::sqrt_softplus(hence::dual<num<float>, hence::one, hence::zero>{z, {}, {}});
    REQUIRE(std::isfinite(s.value.v));
    REQUIRE(std::isfinite(s.pooled.v));
    REQUIRE(s.value.v >= 0);
  }
}

TEST_CASE("packs have the scalar's bits") {
  using V = hence::pack<float>;
  for (float x = -180; x < 100; x += 0.73f) {
    const V s = hence::sqrt_softplus(V(x));
    CHECK(s.v[0] == hence::sqrt_softplus(num<float>(x)).v);
  }
}

TEST_CASE("a selection value is in range and has no -0") {
  using V = num<float>;
  const auto c = [](float s, float b) {
    return hence::moe::select_by(hence::moe::score_value<V>{s}, V(b)).v.v;
  };
  CHECK(c(1, 2) == 3);
  CHECK(!std::signbit(c(-0.0f, -0.0f)));
  CHECK(!std::signbit(c(-0.0f, 0.0f)));
  CHECK(c(-3e38f, -3e38f) == -std::numeric_limits<float>::max());
  CHECK(c(0, std::numeric_limits<float>::infinity()) == std::numeric_limits<float>::infinity());
}

}  // namespace
