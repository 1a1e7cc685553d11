#include <hence/core/storage.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <type_traits>

using hence::bf16;
using hence::f16;

namespace {

static_assert(std::is_trivially_copyable_v<bf16> && sizeof(bf16) == 2 && alignof(bf16) == 2);
static_assert(std::is_trivially_copyable_v<f16> && sizeof(f16) == 2 && alignof(f16) == 2);
static_assert(std::is_trivially_default_constructible_v<f16>);
static_assert(!std::is_convertible_v<float, f16> && !std::is_convertible_v<float, bf16>);
static_assert(float(bf16(1.5f)) == 1.5f && float(f16(1.5f)) == 1.5f);

constexpr float inf = std::numeric_limits<float>::infinity();

template <class H> float value(int bits) {
  H h;
  h.bits = static_cast<std::uint16_t>(bits);
  return h;
}
template <class H> bool same(H h, int bits) { return h.bits == bits; }

/// A format by its definition.
double plain_value(int bits, int mantissa_bits) {
  const int exponent_bits = 15 - mantissa_bits, bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = (bits & 0x7fff) >> mantissa_bits,
            mantissa = bits & ((1 << mantissa_bits) - 1);
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) {
    return mantissa != 0 ? std::nan("") : sign * std::numeric_limits<double>::infinity();
  }
  const int full = exponent == 0 ? mantissa : mantissa | (1 << mantissa_bits);
  return sign * std::ldexp(full, (exponent == 0 ? 1 : exponent) - bias - mantissa_bits);
}

/// All 65536 patterns: widening, the round trip, and rounding at, just above and just below the
/// middle between each number and the next.
template <class H> void check_all(int mantissa_bits) {
  int wrong_widening = 0, wrong_trip = 0, wrong_middle = 0, nans = 0;
  const int infinity = value<H>(0x7f80) == inf ? 0x7f80 : 0x7c00;
  for (int bits = 0; bits < 65536; ++bits) {
    const float x = value<H>(bits);
    const double exact = plain_value(bits, mantissa_bits);
    if (std::isnan(exact)) {
      ++nans;
      wrong_widening += !std::isnan(x);
      const H back(x);
      wrong_trip += !std::isnan(float(back)) || (back.bits & 0x8000) != (bits & 0x8000);
      continue;
    }
    wrong_widening += static_cast<double>(x) != exact || std::signbit(x) != std::signbit(exact);
    wrong_trip += !same(H(x), bits);
    if ((bits & 0x7fff) >= infinity) continue;
    // The number after the largest would be 2 ulp of the step below it away: infinity from its
    // middle on.
    const bool last = (bits & 0x7fff) == infinity - 1;
    const double next = last ? 2 * exact - plain_value(bits - 1, mantissa_bits)
                             : plain_value(bits + 1, mantissa_bits);
    const double middle = (exact + next) / 2;
    const auto m = static_cast<float>(middle);
    if (static_cast<double>(m) != middle) continue;  // below the smallest float
    const float away = m < 0 ? -inf : inf;
    wrong_middle += !same(H(m), (bits & 1) == 0 ? bits : bits + 1);
    wrong_middle += !same(H(std::nextafterf(m, 0.0f)), bits);
    wrong_middle += !same(H(std::nextafterf(m, away)), bits + 1);
  }
  CHECK(wrong_widening == 0);
  CHECK(wrong_trip == 0);
  CHECK(wrong_middle == 0);
  CHECK(nans == 2 * ((1 << mantissa_bits) - 1));
}

}  // namespace

TEST_CASE("bf16: all patterns") { check_all<bf16>(7); }
TEST_CASE("f16: all patterns") { check_all<f16>(10); }

TEST_CASE("bf16, f16: limits") {
  CHECK(same(bf16(std::numeric_limits<float>::max()), 0x7f80));
  CHECK(same(bf16(-0.0f), 0x8000));
  CHECK(same(bf16(0x1p-133f), 0x0001));
  CHECK(same(bf16(0x1p-149f), 0x0000));
  CHECK(same(f16(65504.0f), 0x7bff));
  CHECK(same(f16(65519.996f), 0x7bff));
  CHECK(same(f16(65520.0f), 0x7c00));
  CHECK(same(f16(-1e30f), 0xfc00));
  CHECK(same(f16(0x1p-14f), 0x0400));
  CHECK(same(f16(0x1p-24f), 0x0001));
  CHECK(same(f16(0x1p-25f), 0x0000));
  CHECK(same(f16(std::nextafterf(0x1p-25f, 1)), 0x0001));
  CHECK(same(f16(-0x1p-26f), 0x8000));
  CHECK(same(f16(1e-45f), 0x0000));
  CHECK(same(f16(-inf), 0xfc00));
}

TEST_CASE("bf16, f16: a NaN whose payload lies in the dropped bits stays a NaN") {
  for (const std::uint32_t bits : {0x7f800001u, 0xff800001u, 0x7fffffffu, 0xffffffffu}) {
    float x;
    std::memcpy(&x, &bits, sizeof x);
    CHECK(std::isnan(float(bf16(x))));
    CHECK(std::isnan(float(f16(x))));
    CHECK(std::signbit(float(f16(x))) == (bits >> 31 != 0));
  }
}
