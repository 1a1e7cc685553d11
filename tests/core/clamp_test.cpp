#include <doctest/doctest.h>

#include "math_oracle.hpp"

using namespace oracle;
using namespace hence;
using f32 = num<float>;
using variable = dual<f32, f32, one>;

namespace {

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float quiet_nan = std::numeric_limits<float>::quiet_NaN();

variable at(float x) { return {f32(x), f32(2.0f), one{}}; }
float own(const dual<f32, f32, f32>& x) { return x.own.v; }
float pooled(const dual<f32, f32, f32>& x) { return x.pooled.v; }

}  // namespace

TEST_CASE("clamp: the gradient is 1 on the closed interval and 0 outside") {
  for (const float x : {0.8f, 1.0f, 1.2f}) {
    const auto y = clamp(at(x), 0.8f, 1.2f);
    CHECK(y.value.v == x);
    CHECK(own(y) == 1);
    CHECK(pooled(y) == 2);
  }
  for (const float x : {-inf, 0.0f, std::nextafterf(0.8f, 0), std::nextafterf(1.2f, 2), inf}) {
    const auto y = clamp(at(x), 0.8f, 1.2f);
    CHECK(y.value.v == (x < 1 ? 0.8f : 1.2f));
    CHECK(own(y) == 0);
    CHECK(pooled(y) == 0);
  }
  CHECK(std::isnan(clamp(f32(quiet_nan), 0.8f, 1.2f).v));
  CHECK(std::isnan(clamp(at(quiet_nan), 0.8f, 1.2f).value.v));
}

TEST_CASE("clamp: an infinite bound is absent, bounds may be numbers") {
  CHECK(own(clamp(at(1e30f), 0.8f, inf)) == 1);
  CHECK(own(clamp(at(-1e30f), -inf, 1.2f)) == 1);
  CHECK(own(clamp(at(inf), 0.8f, inf)) == 1);
  CHECK(clamp(f32(3), f32(0), 2).v == 2);
  CHECK(clamp(num<double>(3.0), 0.0, 2.5f).v == 2.5);
}

TEST_CASE("min and max: at a tie, and where a is NaN, b with b's gradient") {
  const dual<f32, zero, f32> a{f32(1), {}, f32(10)}, b{f32(1), {}, f32(20)}, c{f32(2), {}, f32(30)};
  const dual<f32, zero, f32> bad{f32(quiet_nan), {}, f32(40)};
  CHECK(min(a, b).own.v == 20);
  CHECK(min(b, a).own.v == 10);
  CHECK(max(a, b).own.v == 20);
  CHECK(max(b, a).own.v == 10);
  CHECK(min(a, c).own.v == 10);
  CHECK(min(c, a).own.v == 10);
  CHECK(max(a, c).own.v == 30);
  CHECK(max(c, a).own.v == 30);
  CHECK(min(bad, a).own.v == 10);
  CHECK(max(bad, a).own.v == 10);
  CHECK(std::isnan(min(a, bad).value.v));
  CHECK(std::isnan(max(a, bad).value.v));
  CHECK(min(a, bad).own.v == 40);
  CHECK(std::isnan(min(f32(1), f32(quiet_nan)).v));
  CHECK(min(f32(quiet_nan), f32(1)).v == 1);
  CHECK(same(min(f32(0.0f), f32(-0.0f)).v, -0.0f));
  CHECK(same(max(f32(-0.0f), f32(0.0f)).v, 0.0f));
}

TEST_CASE("min, max: a number beside a dual has no gradient") {
  CHECK(min(at(1), f32(2)).own.v == 1);
  CHECK(min(at(3), f32(2)).own.v == 0);
  CHECK(min(at(2), f32(2)).own.v == 0);
  CHECK(max(f32(2), at(2)).own.v == 1);
  CHECK(max(at(1), 2).own.v == 0);
  static_assert(std::same_as<decltype(min(at(1), at(2)).own), one>);
  static_assert(std::same_as<decltype(min(at(1), f32(2)).own), f32>);
}

TEST_CASE("min, max, clamp: packs give the bits of numbers") {
  using pack = hence::pack<float>;
  int wrong = 0;
  for (const float x : special_floats()) {
    for (const float y : special_floats()) {
      wrong += !same(min(pack(x), pack(y)).v[0], min(f32(x), f32(y)).v);
      wrong += !same(max(pack(x), pack(y)).v[1], max(f32(x), f32(y)).v);
      wrong += !same(clamp(pack(x), y, 1.2f).v[2], clamp(f32(x), y, 1.2f).v);
      const dual<pack, one, pack> d{pack(x), {}, pack(y)};
      const dual<f32, one, f32> e{f32(x), {}, f32(y)};
      wrong += !same(clamp(d, 0.8f, 1.2f).own.v[3], clamp(e, 0.8f, 1.2f).own.v);
      wrong += !same(clamp(d, 0.8f, 1.2f).pooled.v[3], clamp(e, 0.8f, 1.2f).pooled.v);
      wrong += !same(min(d, pack(y)).own.v[0], min(e, f32(y)).own.v);
    }
  }
  CHECK(wrong == 0);
}
