#include <doctest/doctest.h>

#include "math_oracle.hpp"

using namespace oracle;
using f32 = hence::num<float>;

namespace {

constexpr auto exp_of = [](auto x) { return exp(x); };
constexpr auto expm1_of = [](auto x) { return expm1(x); };
constexpr auto k3_of = [](auto x) { return k3(x); };
constexpr float inf = std::numeric_limits<float>::infinity();

/// A sweep over all floats and one over each sign's interesting octaves, 2^-13 to 2^7.
template <class F, class Exact> double worst(F f, Exact exact) {
  double all = 0;
  std::int64_t seen = 0;
  for (const std::uint32_t sign : {0u, 0x80000000u}) {
    for (const findings& found : {sweep(sign, sign | 0x7fffffffu, 8191, f, exact),
                                  sweep(sign | 0x39000000u, sign | 0x43000000u, 331, f, exact)}) {
      CHECK(found.pack_differs == 0);
      all = std::fmax(all, found.worst);
      seen += found.seen;
    }
  }
  CHECK(seen > 1000000);
  return all;
}

template <class F, class Exact> double error_at(float x, F f, Exact exact) {
  return ulps(f(f32(x)).v, exact(quad(x)));
}

}  // namespace

TEST_CASE("exp, expm1, k3: errors over all floats") {
  const auto exact_exp = [](auto x) { return oracle::exp(x); };
  CHECK(worst(exp_of, exact_exp) <= 1);
  // Up to the overflow, where the remainder goes to 0.694.
  CHECK(sweep(0x42b0b000u, 0x42b18000u, 1, exp_of, exact_exp).worst <= 1);
  CHECK(worst(expm1_of, [](auto x) { return oracle::expm1(x); }) <= 1.5);
  CHECK(worst(k3_of, [](auto x) { return oracle::k3(x); }) <= 4);
}

TEST_CASE("exp, expm1, k3: the worst arguments of the exhaustive sweep") {
  using doctest::Approx;
  const auto exact_k3 = [](auto x) { return oracle::k3(x); };
  CHECK(error_at(-0x1.b5484ep+4f, exp_of, [](auto x) { return oracle::exp(x); }) ==
        Approx(0.9814).epsilon(1e-4));
  CHECK(error_at(0x1.100814p+4f, expm1_of, [](auto x) { return oracle::expm1(x); }) ==
        Approx(1.4391).epsilon(1e-4));
  CHECK(error_at(-0x1.739afep-3f, k3_of, exact_k3) == Approx(2.0143).epsilon(1e-4));
}

TEST_CASE("exp, expm1, k3: special arguments, packs as numbers") {
  double worst_exp = 0, worst_expm1 = 0, worst_k3 = 0;
  for (const float x : special_floats()) {
    const auto a = static_cast<double>(argument(x));
    worst_exp = std::fmax(worst_exp, ulps(exp(f32(x)).v, oracle::exp(a)));
    worst_expm1 = std::fmax(worst_expm1, ulps(expm1(f32(x)).v, oracle::expm1(a)));
    worst_k3 = std::fmax(worst_k3, ulps(k3(f32(x)).v, oracle::k3(a)));
    const hence::pack<float> p(x);
    REQUIRE(same(exp(p).v[0], exp(f32(x)).v));
    REQUIRE(same(expm1(p).v[1], expm1(f32(x)).v));
    REQUIRE(same(k3(p).v[2], k3(f32(x)).v));
  }
  CHECK(worst_exp <= 1);
  CHECK(worst_expm1 <= 1.5);
  CHECK(worst_k3 <= 4);
  CHECK(exp(f32(0)).v == 1);
  CHECK(exp(f32(1e-45f)).v == 1);
  CHECK(exp(f32(-inf)).v == 0);
  CHECK(exp(f32(inf)).v == inf);
  CHECK(exp(f32(88.73f)).v == inf);
  CHECK(exp(f32(-87.34f)).v == 0);
  CHECK(expm1(f32(-inf)).v == -1);
  CHECK(expm1(f32(inf)).v == inf);
  CHECK(expm1(f32(1e-40f)).v == 0);
  CHECK(k3(f32(0)).v == 0);
  CHECK(k3(f32(inf)).v == inf);
  CHECK(k3(f32(-inf)).v == inf);
  CHECK(std::isnan(exp(f32(std::nanf(""))).v));
  CHECK(std::isnan(expm1(f32(std::nanf(""))).v));
  CHECK(std::isnan(k3(f32(std::nanf(""))).v));
}

TEST_CASE("k3: never negative") {
  int negative = 0;
  for (std::uint64_t i = 0; i < 0xff800000u; i += 1021) {
    negative += k3(f32(float_of(static_cast<std::uint32_t>(i)))).v < 0;
  }
  CHECK(negative == 0);
}

TEST_CASE("exp, expm1, k3: slopes") {
  using variable = hence::dual<f32, hence::one, f32>;
  const auto at = [](float x) { return variable{f32(x), {}, f32(2)}; };
  const auto slope = [](auto f) {
    return [f](auto x) {
      return f(hence::dual<decltype(x), hence::one, hence::zero>{x, {}, {}}).pooled;
    };
  };
  CHECK(worst(slope(exp_of), [](auto x) { return oracle::exp(x); }) <= 1.1);
  CHECK(worst(slope(expm1_of), [](auto x) { return oracle::exp(x); }) <= 1.1);
  CHECK(exp(at(0)).own.v == 2);
  CHECK(k3(at(0)).own.v == 0);
  CHECK(k3(at(inf)).pooled.v == inf);
  CHECK(k3(at(-inf)).pooled.v == -1);
  // The slope e^x - 1 has no flush below 2^-126, so a sweep above it.
  const auto k3_slope = slope(k3_of);
  const auto exact = [](auto x) { return oracle::expm1(x); };
  CHECK(sweep(0x00800000u, 0x42b00000u, 4093, k3_slope, exact).worst <= 1.5);
  CHECK(sweep(0x80800000u, 0xff800000u, 4093, k3_slope, exact).worst <= 1.5);
}
