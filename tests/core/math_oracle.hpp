/// \file
/// The mathematics a second time, in double and in quadruple precision, and errors in ulp. Nothing
/// here calls hence, save that libm<quad> is what num<quad> calculates with.
#pragma once

#include <hence/core/math.hpp>
#include <hence/core/pack.hpp>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace oracle {

__extension__ typedef __float128 quad;

inline float float_of(std::uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}
inline std::uint32_t bits_of(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof x);
  return bits;
}
/// Equal bits; one NaN is as good as another.
inline bool same(float a, float b) {
  return bits_of(a) == bits_of(b) || (std::isnan(a) && std::isnan(b));
}
inline bool same(double a, double b) {
  return std::memcmp(&a, &b, sizeof a) == 0 || (std::isnan(a) && std::isnan(b));
}

inline quad ln2() {
  static const quad value = [] {
    quad sum = 0, power = quad(1) / 3;  // 2 artanh(1/3)
    for (int k = 1; k < 80; k += 2) {
      sum += power / k;
      power /= 9;
    }
    return 2 * sum;
  }();
  return value;
}

/// sum of x^n / n! from n = first on, |x| <= 1/2.
template <class T> T exp_series(T x, int first, int terms) {
  T sum = 1;
  for (int n = first + terms; n > first; --n) sum = 1 + x / n * sum;
  for (int n = first; n > 0; --n) sum *= x / n;
  return sum;
}

inline double exp(double x) { return std::exp(x); }
inline double expm1(double x) { return std::expm1(x); }
inline double log(double x) { return std::log(x); }
inline double log1p(double x) { return std::log1p(x); }

inline quad exp(quad x) {
  if (!(x < 11000)) return x != x ? x : quad(HUGE_VAL);
  if (x < -11000) return 0;
  const int n = static_cast<int>(std::lround(static_cast<double>(x / ln2())));
  quad y = exp_series(x - n * ln2(), 0, 28);
  for (int i = 0; i < n; ++i) y *= 2;
  for (int i = 0; i > n; --i) y /= 2;
  return y;
}
inline quad expm1(quad x) {
  return (x < 0 ? -x : x) < quad(0.5) ? exp_series(x, 1, 28) : exp(x) - 1;
}
/// One step of Halley's method from the double.
inline quad log(quad x) {
  const double y = std::log(static_cast<double>(x));
  if (!std::isfinite(y)) return quad(y);
  const quad e = exp(quad(y));
  return quad(y) + 2 * (x - e) / (x + e);
}
inline quad log1p(quad x) {
  const double y = std::log1p(static_cast<double>(x));
  if (!std::isfinite(y)) return quad(y);
  const quad m = expm1(quad(y));
  return quad(y) + 2 * (x - m) / (2 + x + m);
}

template <class T> T absolute(T x) { return x < 0 ? -x : x; }

template <class T> T k3(T x) {
  if (absolute(x) < T(0.5)) return exp_series(x, 2, sizeof(T) > 8 ? 28 : 14);
  return x > T(1e4) ? T(HUGE_VAL) : exp(x) - 1 - x;
}
template <class T> T sigmoid(T x) {
  const T e = exp(-absolute(x));
  return x < 0 ? e / (1 + e) : 1 / (1 + e);
}
template <class T> T softplus(T x) {
  const T y = log1p(exp(-absolute(x)));
  return x > 0 ? x + y : y;
}
template <class T> T tanh(T x) {
  const T m = expm1(-2 * absolute(x)), y = -m / (2 + m);
  return x < 0 ? -y : y;
}
template <class T> T log1mexp(T x) { return x > T(-0.69314718) ? log(-expm1(x)) : log1p(-exp(x)); }
template <class T> T sigmoid_slope(T x) {
  const T e = exp(-absolute(x));
  return e / (1 + e) / (1 + e);
}
template <class T> T tanh_slope(T x) { return 4 * sigmoid_slope(2 * x); }
template <class T> T log1mexp_slope(T x) { return -exp(x) / -expm1(x); }

/// The normal density and distribution function: by their power series, far below 0 by the
/// continued fraction of Laplace; nothing of erf.
template <class T> T normal_density(T x) {
  return exp(-x * x / 2) * T(0.39894228040143267793994605993438L);
}
template <class T> T normal_cdf(T x) {
  const T t = absolute(x);
  if (!(t < T(1e4))) return x != x ? x : x < 0 ? T(0) : T(1);
  T tail = 0;
  if (t < T(4)) {
    T sum = 0;
    for (int n = 90; n > 0; --n) sum = t * t / (2 * n + 1) * (1 + sum);
    tail = T(0.5) - normal_density(t) * t * (1 + sum);
  } else {
    T below = t;
    for (int n = 120; n > 0; --n) below = t + n / below;
    tail = normal_density(t) / below;
  }
  return x < 0 ? tail : 1 - tail;
}
/// For the sweeps, which compare with the series and the fraction near their worst arguments.
inline double normal_cdf(double x) { return 0.5 * std::erfc(x * -0.70710678118654752440); }

constexpr float smallest_normal = std::numeric_limits<float>::min();

/// The argument as core/math sees it: a subnormal counts as zero.
inline float argument(float x) { return std::fabs(x) < smallest_normal ? 0.0f : x; }

/// |got - exact| in units of the last place of exact. A subnormal result must be zero, unless it
/// rounds to the smallest normal number; a NaN must be a NaN.
template <class T> double ulps(float got, T exact) {
  constexpr double wrong = std::numeric_limits<double>::infinity();
  const double near = static_cast<double>(exact);
  if (std::isnan(near) || std::isnan(got)) return std::isnan(near) == std::isnan(got) ? 0 : wrong;
  if (std::isinf(near)) return static_cast<double>(got) == near ? 0 : wrong;
  const double size = std::fabs(near);
  if (size < static_cast<double>(smallest_normal) && got == 0) return 0;
  std::uint64_t bits;
  std::memcpy(&bits, &size, sizeof bits);
  const int exponent = static_cast<int>(bits >> 52) - 1023;
  if (std::isinf(got) && exponent > 127) return 0;
  // An infinite result stands for 2^128.
  const T result = std::isinf(got) ? T(got < 0 ? -0x1p+128 : 0x1p+128) : T(got);
  const int places = 23 - (exponent < -126 ? -126 : exponent > 127 ? 127 : exponent);
  const auto scale_bits = static_cast<std::uint64_t>(places + 1023) << 52;
  double scale;
  std::memcpy(&scale, &scale_bits, sizeof scale);
  return std::fabs(static_cast<double>(result - exact)) * scale;
}

/// What a sweep found.
struct findings {
  double worst = 0;
  float at = 0;
  std::int64_t seen = 0, pack_differs = 0;
};

/// Every stride-th float from `first` to `last`, in order of bit patterns: the error of f on num,
/// and whether f on pack gives other bits. Beyond 80% of the worst so far quad decides.
template <class F, class Exact>
findings sweep(std::uint32_t first, std::uint32_t last, std::uint32_t stride, F f, Exact exact) {
  using pack = hence::pack<float>;
  findings found;
  float in[pack::lanes], out[pack::lanes];
  int lane = 0;
  for (std::uint64_t i = first; i <= last; i += stride) {
    const float x = float_of(static_cast<std::uint32_t>(i));
    const float y = f(hence::num<float>(x)).v;
    const float a = argument(x);
    double error = ulps(y, exact(static_cast<double>(a)));
    if (error > found.worst * 0.999) error = ulps(y, exact(quad(a)));
    if (error > found.worst) found.worst = error, found.at = x;
    ++found.seen;
    in[lane] = x, out[lane] = y;
    if (++lane == pack::lanes) {
      float wide[pack::lanes];
      f(pack::load(in)).store(wide);
      for (int k = 0; k < lane; ++k) found.pack_differs += !same(wide[k], out[k]);
      lane = 0;
    }
  }
  return found;
}

/// Zeros, subnormals, limits, infinities, NaN, thresholds of core/math, and all their neighbours.
inline std::vector<float> special_floats() {
  const float inf = std::numeric_limits<float>::infinity();
  std::vector<float> all;
  for (const float x : {0.0f,
                        0x1p-149f,
                        0x1p-127f,
                        smallest_normal,
                        0x1p-64f,
                        0x1p-24f,
                        1e-3f,
                        0.25f,
                        1.0f / 3,
                        0.5f,
                        2.0f / 3,
                        0.6931472f,
                        1.0f,
                        4.0f / 3,
                        2.0f,
                        9.01f,
                        16.6f,
                        20.0f,
                        30.0f,
                        43.66f,
                        87.33654f,
                        88.02969f,
                        88.72284f,
                        103.97f,
                        128.0f,
                        0x1p+23f,
                        0x1p+31f,
                        0x1p+64f,
                        std::numeric_limits<float>::max(),
                        inf,
                        std::numeric_limits<float>::quiet_NaN()}) {
    for (const float y : {x, std::nextafterf(x, inf), std::nextafterf(x, -inf)}) {
      all.push_back(y);
      all.push_back(-y);
    }
  }
  return all;
}

/// Random bit patterns.
template <class Bits> std::vector<Bits> random_patterns(int count) {
  std::mt19937_64 source(42);
  std::vector<Bits> all;
  for (int i = 0; i < count; ++i) all.push_back(static_cast<Bits>(source()));
  return all;
}

}  // namespace oracle

namespace hence::inline v0::detail {

template <> struct libm<oracle::quad> {
  using T = oracle::quad;
  static T exp(T x) { return oracle::exp(x); }
  static T expm1(T x) { return oracle::expm1(x); }
  static T log(T x) { return oracle::log(x); }
  static T log1p(T x) { return oracle::log1p(x); }
  static T tanh(T x) { return oracle::tanh(x); }
  static T sqrt(T x) {
    const T y = T(std::sqrt(static_cast<double>(x)));
    return y > 0 ? (y + x / y) / 2 : y;
  }
};

}  // namespace hence::inline v0::detail
