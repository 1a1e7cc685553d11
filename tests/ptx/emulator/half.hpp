// binary16 and bfloat16, rounded once from the exact result.
#pragma once

#include "floats.hpp"

namespace ptx {

template <int Exponent, int Fraction> struct small_float {
  std::uint16_t bits;
  static constexpr int exponent_bits = Exponent, fraction_bits = Fraction;
};
using half = small_float<5, 10>;
using brain = small_float<8, 7>;

template <int E, int F> double widened(small_float<E, F> x) {
  constexpr int bias = (1 << (E - 1)) - 1, largest = (1 << E) - 1;
  const int exponent = x.bits >> F & largest, fraction = x.bits & ((1 << F) - 1);
  double out = 0;
  if (exponent == largest)
    out = fraction != 0 ? std::numeric_limits<double>::quiet_NaN()
                        : std::numeric_limits<double>::infinity();
  else if (exponent == 0)
    out = std::ldexp(fraction, 1 - bias - F);
  else
    out = std::ldexp(fraction + (1 << F), exponent - bias - F);
  return x.bits >> (E + F) & 1 ? -out : out;
}

/// To the nearest, ties to even; NaN to 0x7fff.
template <class S> S rounded(double x) {
  constexpr int e = S::exponent_bits, f = S::fraction_bits, bias = (1 << (e - 1)) - 1;
  const std::uint16_t sign = static_cast<std::uint16_t>(std::signbit(x) ? 1 << (e + f) : 0);
  if (x != x) return {0x7fff};
  constexpr int infinity = ((1 << e) - 1) << f;
  const double a = std::fabs(x);
  if (a == 0) return {sign};
  if (std::isinf(a)) return {static_cast<std::uint16_t>(sign | infinity)};
  int exponent = std::ilogb(a);
  if (exponent < 1 - bias) exponent = 1 - bias;  // subnormal: a fixed grid
  // nearbyint rounds to even. A fraction that rounds up to 2 carries into the exponent by itself.
  const auto grid = static_cast<std::int64_t>(std::nearbyint(std::ldexp(a, f - exponent)));
  const std::int64_t bits = grid + (static_cast<std::int64_t>(exponent + bias - 1) << f);
  return {static_cast<std::uint16_t>(sign | (bits > infinity ? infinity : bits))};
}

/// a + b to double, its last bit telling of what was lost: rounding that again rounds once.
inline double add_to_odd(double a, double b) {
  const double sum = a + b;
  if (!std::isfinite(sum)) return sum;
  const double back = sum - a, lost = (a - (sum - back)) + (b - back);
  auto bits = std::bit_cast<std::uint64_t>(sum);
  if (lost != 0 && (bits & 1) == 0) bits += (lost > 0) == (sum > 0) ? 1 : std::uint64_t(-1);
  return std::bit_cast<double>(bits);
}

template <class S> S fused(S a, S b, S c) {
  return rounded<S>(add_to_odd(widened(a) * widened(b), widened(c)));
}

}  // namespace ptx
