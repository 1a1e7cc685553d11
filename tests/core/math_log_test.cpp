#include <doctest/doctest.h>

#include "math_oracle.hpp"

using namespace oracle;
using f32 = hence::num<float>;

namespace {

constexpr auto log_of = [](auto x) { return log(x); };
constexpr auto log1p_of = [](auto x) { return log1p(x); };
constexpr float inf = std::numeric_limits<float>::infinity();

template <class F, class Exact>
double worst(std::uint32_t first, std::uint32_t last, std::uint32_t stride, F f, Exact exact) {
  const findings found = sweep(first, last, stride, f, exact);
  CHECK(found.pack_differs == 0);
  CHECK(found.seen > 100000);
  return found.worst;
}

}  // namespace

TEST_CASE("log: error over all floats") {
  const auto exact = [](auto x) { return oracle::log(x); };
  CHECK(worst(0, 0xffffffffu, 4093, log_of, exact) <= 1.0);
  CHECK(worst(0x3f000000u, 0x40000000u, 31, log_of, exact) <= 1.0);  // around 1
}

TEST_CASE("log1p: error over all floats") {
  const auto exact = [](auto x) { return oracle::log1p(x); };
  CHECK(worst(0, 0xffffffffu, 4093, log1p_of, exact) <= 1.2);
  CHECK(worst(0x3d000000u, 0x40800000u, 127, log1p_of, exact) <= 1.2);
  CHECK(worst(0xbd000000u, 0xbf800000u, 127, log1p_of, exact) <= 1.2);
}

TEST_CASE("log, log1p: the worst arguments of the exhaustive sweep") {
  const float x = 0x1.55640ap+0f, y = 0x1.55a87ep-2f;
  CHECK(ulps(log(f32(x)).v, oracle::log(quad(x))) == doctest::Approx(0.9374).epsilon(1e-4));
  CHECK(ulps(log1p(f32(y)).v, oracle::log1p(quad(y))) == doctest::Approx(1.1618).epsilon(1e-4));
}

TEST_CASE("log, log1p: special arguments as in C, packs as numbers") {
  double worst_log = 0, worst_log1p = 0;
  for (const float x : special_floats()) {
    const auto a = static_cast<double>(argument(x));
    worst_log = std::fmax(worst_log, ulps(log(f32(x)).v, oracle::log(a)));
    worst_log1p = std::fmax(worst_log1p, ulps(log1p(f32(x)).v, oracle::log1p(a)));
    const hence::pack<float> p(x);
    REQUIRE(same(log(p).v[0], log(f32(x)).v));
    REQUIRE(same(log1p(p).v[1], log1p(f32(x)).v));
  }
  CHECK(worst_log <= 1.0);
  CHECK(worst_log1p <= 1.2);
  CHECK(log(f32(0)).v == -inf);
  CHECK(log(f32(-0.0f)).v == -inf);
  CHECK(log(f32(1e-40f)).v == -inf);
  CHECK(log(f32(-1e-40f)).v == -inf);
  CHECK(log(f32(inf)).v == inf);
  CHECK(std::isnan(log(f32(-1)).v));
  CHECK(std::isnan(log(f32(-inf)).v));
  CHECK(std::isnan(log(f32(std::nanf(""))).v));
  CHECK(same(log(f32(1)).v, 0.0f));
  CHECK(log1p(f32(-1)).v == -inf);
  CHECK(log1p(f32(inf)).v == inf);
  CHECK(std::isnan(log1p(f32(-1.5f)).v));
  CHECK(std::isnan(log1p(f32(-inf)).v));
  CHECK(std::isnan(log1p(f32(std::nanf(""))).v));
  CHECK(same(log1p(f32(1e-40f)).v, 0.0f));
  CHECK(same(log1p(f32(0)).v, 0.0f));
}

TEST_CASE("log, log1p: slopes") {
  using variable = hence::dual<f32, hence::one, f32>;
  const auto at = [](float x) { return variable{f32(x), {}, f32(3)}; };
  const auto slope = [](auto v) {
    return log1p(hence::dual<decltype(v), hence::one, hence::zero>{v, {}, {}}).pooled;
  };
  const auto exact = [](auto v) { return 1 / (1 + v); };
  CHECK(sweep(0x00800000u, 0x7f000000u, 4093, slope, exact).worst <= 1.6);
  CHECK(sweep(0xb3800000u, 0xbf7fff00u, 4093, slope, exact).worst <= 1.6);
  CHECK(log(at(4)).pooled.v == 0.25f);
  CHECK(log(at(4)).own.v == 0.75f);
  CHECK(log(at(inf)).pooled.v == 0);
  CHECK(log1p(at(3)).pooled.v == 0.25f);
  CHECK(log1p(at(3)).own.v == 0.75f);
  CHECK(log1p(at(-1)).pooled.v == inf);
}

TEST_CASE("log, log1p: float64 is the C library's") {
  CHECK(log(hence::num<double>(0.3)).v == std::log(0.3));
  CHECK(log1p(hence::num<double>(0.3)).v == std::log1p(0.3));
}
