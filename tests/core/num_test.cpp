#include <doctest/doctest.h>

#include "math_oracle.hpp"

using namespace oracle;
using f32 = hence::num<float>;
using f64 = hence::num<double>;

namespace {

/// A number that the compiler does not know, so that it must decide whether to fuse.
template <class N> N unknown(typename N::scalar x) {
  const volatile typename N::scalar hidden = x;
  return hidden;
}

}  // namespace

TEST_CASE("num: a product is rounded before it is added, in every optimisation") {
  // (1 + 2^-12)^2 - (1 + 2^-11) is 2^-24 with one rounding and 0 with two.
  const f32 a = unknown<f32>(1 + 0x1p-12f), c = unknown<f32>(1 + 0x1p-11f);
  CHECK((a * a - c).v == 0);
  CHECK((-c + a * a).v == 0);
  CHECK((c - a * a).v == 0);
  CHECK(fma(a, a, -c).v == 0x1p-24f);
  const f64 b = unknown<f64>(1 + 0x1p-27), d = unknown<f64>(1 + 0x1p-26);
  CHECK((b * b - d).v == 0);
  CHECK((-d + b * b).v == 0);
  CHECK((d - b * b).v == 0);
  CHECK(fma(b, b, -d).v == 0x1p-54);
}

TEST_CASE("num: arithmetic is the built-in one") {
  for (const float x : special_floats()) {
    for (const float y : special_floats()) {
      const f32 a(x), b(y);
      REQUIRE(same((a + b).v, x + y));
      REQUIRE(same((a - b).v, x - y));
      REQUIRE(same((a * b).v, x * y));
      REQUIRE(same((a / b).v, x / y));
      REQUIRE(same((-a).v, -x));
      REQUIRE((a < b) == (x < y));
      REQUIRE((a <= b) == (x <= y));
      REQUIRE((a > b) == (x > y));
      REQUIRE((a >= b) == (x >= y));
      REQUIRE((a == b) == (x == y));
      REQUIRE((a != b) == (x != y));
      REQUIRE(same(lesser(a, b).v, x < y ? x : y));
      REQUIRE(same(greater(a, b).v, x > y ? x : y));
      REQUIRE(same(select(a < b, a, b).v, x < y ? x : y));
    }
    REQUIRE(same(abs(f32(x)).v, std::fabs(x)));
    REQUIRE(same(abs(f64(static_cast<double>(x))).v, static_cast<double>(std::fabs(x))));
  }
}

TEST_CASE("num: whole numbers and narrower floats convert, constants are constant") {
  CHECK((2 * f32(3.5f)).v == 7);
  CHECK((f32(3.5f) - 1).v == 2.5f);
  CHECK((f64(0.25) + 0.5f).v == 0.75);
  CHECK((std::int64_t{3} * f64(0.5)).v == 1.5);
  static_assert((f32(2.0f) * f32(3.0f) + f32(1.0f)).v == 7);
  static_assert(lesser(f32(2.0f), f32(3.0f)).v == 2 && abs(f32(-2.0f)).v == 2);
  static_assert(std::is_trivially_copyable_v<f32> && sizeof(f32) == 4 && sizeof(f64) == 8);
  static_assert(!std::same_as<hence::num<float, hence::isa<0>>, hence::num<float, hence::isa<1>>>);
}

namespace {

/// fma_by_double against the C library's fmaf.
int wrong_fma(float a, float b, float c) {
  const float by_double = hence::detail::fma_by_double(a, b, c), exact = std::fmaf(a, b, c);
  return !same(by_double, exact) || !same(fma(f32(a), f32(b), f32(c)).v, exact);
}

}  // namespace

TEST_CASE("num: fma without the instruction rounds once") {
  int wrong = 0;
  for (const float a : special_floats()) {
    for (const float b : special_floats()) {
      for (const float c : special_floats()) wrong += wrong_fma(a, b, c);
    }
  }
  CHECK(wrong == 0);
  const auto r = random_patterns<std::uint32_t>(300000);
  for (std::size_t i = 0; i + 2 < r.size(); i += 3) {
    const float a = float_of(r[i]), b = float_of(r[i + 1]), c = float_of(r[i + 2]);
    wrong += wrong_fma(a, b, c);
    // The product near c, halfway between two floats, and a sum among the subnormals.
    const float near = 1 + static_cast<float>(r[i] >> 20) * 0x1p-12f;
    wrong += wrong_fma(near, 1 + static_cast<float>(r[i + 1] >> 20) * 0x1p-12f, c);
    wrong += wrong_fma(near, 0x1p-24f, 1 + static_cast<float>(r[i + 1] >> 8) * 0x1p-23f);
    wrong += wrong_fma(near * 0x1p-75f, float_of(0x30000000u | (r[i + 1] >> 9)) * 0x1p-40f,
                       float_of(r[i + 2] >> 9) * 0x1p-20f);
    wrong += wrong_fma(near * 0x1p-70f, near * 0x1p-70f, float_of(r[i + 2] & 0x807fffffu));
  }
  CHECK(wrong == 0);
  // A tie of floats and a sum that is beyond it by less than the last bit of a double.
  CHECK(hence::detail::fma_by_double(0x1p-12f, 0x1p-12f, 1.0f) == 1.0f);
  CHECK(hence::detail::fma_by_double(1 + 0x1p-23f, 0x1p-24f, 1.0f) == 1 + 0x1p-23f);
  CHECK(hence::detail::fma_by_double(0x1p-60f, 0x1p-60f, 1 + 0x1p-23f) == 1 + 0x1p-23f);
}
