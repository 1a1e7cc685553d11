// What floating-point results are on a device where hosts differ: NaN, zeros, subnormals.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace ptx {

/// Every NaN that single-precision arithmetic makes has the same bits. PTX ISA 9.7.3.
inline float canonical(float x) { return x != x ? std::bit_cast<float>(0x7fffffffu) : x; }
inline double canonical(double x) {
  return x != x ? std::bit_cast<double>(0x7fffffffffffffffull) : x;
}

/// .ftz: subnormals become zeros of their sign.
inline float flushed(float x) {
  return std::fabs(x) < std::numeric_limits<float>::min() ? std::copysign(0.0f, x) : x;
}

/// .sat: into [0, 1], NaN to +0.
inline float saturated(float x) { return x > 0 ? (x < 1 ? x : 1.0f) : 0.0f; }

/// min and max prefer a number to NaN, and order -0 before +0.
template <class T> T least(T a, T b) {
  if (a != a) return canonical(b);
  if (b != b) return a;
  return a < b || (a == b && std::signbit(a)) ? a : b;
}
template <class T> T greatest(T a, T b) {
  if (a != a) return canonical(b);
  if (b != b) return a;
  return a > b || (a == b && !std::signbit(a)) ? a : b;
}

}  // namespace ptx
