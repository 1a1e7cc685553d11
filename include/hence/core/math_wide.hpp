/// \file
/// exp2, log and log1p in float64 from fma, mul, add, div and bit moves: for the few numbers at a
/// row's end that must have the same bits everywhere, which the C library does not promise.
///
/// log(m) = 2 artanh((m - 1)/(m + 1)), |argument| <= 1/5; e^r by its Taylor series on
/// |r| <= log(2)/2. Relative error below 2^-50 each (log near 1: below 2^-50 of the result).
#pragma once

#include <hence/core/pack.hpp>

namespace hence::inline v0::detail {

/// log(2) and log2(e), to the nearest double.
constexpr double ln2 = 0x1.62e42fefa39efp-1, log2e = 0x1.71547652b82fep+0;

/// 2 artanh(f) for |f| <= 1/5: 2 f (1 + f^2/3 + f^4/5 + ...).
template <class N> HENCE_FN constexpr N twice_artanh(N f) {
  const N square = f * f;
  N p(1.0 / 25.0);
  for (int k = 23; k >= 3; k -= 2) p = fma(p, square, N(1.0) / N(k));
  return fma(N(2.0) * f * square, p, N(2.0) * f);
}

/// log(x) for a normal x > 0.
template <class N> HENCE_FN constexpr N wide_log(N x) {
  const double value = x.v;  // nvcc 13.0 fails on a bit_cast of the member
  const auto bits = __builtin_bit_cast(std::int64_t, value);
  const std::int64_t k = (bits - 0x3fe5555555555555) >> 52;  // x 2^-k is in [2/3, 4/3)
  const N m = __builtin_bit_cast(double, bits - (k << 52));
  return fma(N(static_cast<double>(k)), N(ln2), twice_artanh((m - N(1.0)) / (m + N(1.0))));
}

/// log(1 + x) for 0 <= x <= 0.5, without cancellation.
template <class N> HENCE_FN constexpr N wide_log1p(N x) { return twice_artanh(x / (N(2.0) + x)); }

/// 2^n of t = n + 3 2^51 + 1023, whose last bits are the exponent.
template <class Isa> HENCE_FN constexpr num<double, Isa> power_of_two(num<double, Isa> t) {
  const double value = t.v;
  const auto power = static_cast<std::uint64_t>(__builtin_bit_cast(std::int64_t, value)) << 52;
  return __builtin_bit_cast(double, power);
}
template <class Isa> HENCE_FN pack<double, Isa> power_of_two(pack<double, Isa> t) {
  return from_bits(t, to_bits(t) << 52);
}

/// 2^x; beyond +-1000 that of +-1000.
template <class N> HENCE_FN constexpr N wide_exp2(N x) {
  x = lesser(N(1000.0), greater(N(-1000.0), x));
  const N t = x + N(0x1.8p+52 + 1023.0), n = t - N(0x1.8p+52 + 1023.0);
  const N r = (x - n) * N(ln2);
  double factorial = 87178291200.0;  // of 14
  N p(1.0 / factorial);
  for (int k = 14; k >= 1; --k) {
    factorial /= k;
    p = fma(p, r, N(1.0 / factorial));
  }
  return p * power_of_two(t);
}

}  // namespace hence::inline v0::detail
