/// \file
/// exp, expm1 and k3 from one reduction and one polynomial, made of fma, mul, add and bit moves
/// only: the same bits from num<float>, pack<float> and the CUDA kernels.
///
/// e^x = s (1 + q) with s = 2^n a power of two and q = e^r - 1 = r + r^2 P(r). P is a minimax fit
/// of (e^r - 1 - r)/r^2 on [-0.5, 0.694], relative error 2^-28. A subnormal argument counts as zero
/// and a subnormal result is zero. float64 and wider types use the C library.
///
/// | function | max error (ulp) | worst argument | over |
/// | --- | --- | --- | --- |
/// | exp | 0.9814 | -0x1.b5484ep+4 | all 2^32 floats |
/// | expm1 | 1.4391 (15148 above 1) | 0x1.100814p+4 | all 2^32 floats |
/// | k3 | 2.0143 | -0x1.739afep-3 | all 2^32 floats |
#pragma once

#include <hence/core/dual.hpp>
#include <hence/core/pack.hpp>  // detail::to_bits(pack) must be declared before the formulas

namespace hence::inline v0 {

namespace detail {

/// The C library's functions for float64; a test may specialise it for a wider type.
template <class T> struct libm;
template <> struct libm<double> {
#if defined(__CUDA_ARCH__)
  static HENCE_FN double exp(double x) { return ::exp(x); }
  static HENCE_FN double expm1(double x) { return ::expm1(x); }
  static HENCE_FN double log(double x) { return ::log(x); }
  static HENCE_FN double log1p(double x) { return ::log1p(x); }
  static HENCE_FN double tanh(double x) { return ::tanh(x); }
  static HENCE_FN double erfc(double x) { return ::erfc(x); }
#else
  static HENCE_FN double exp(double x) { return __builtin_exp(x); }
  static HENCE_FN double expm1(double x) { return __builtin_expm1(x); }
  static HENCE_FN double log(double x) { return __builtin_log(x); }
  static HENCE_FN double log1p(double x) { return __builtin_log1p(x); }
  static HENCE_FN double tanh(double x) { return __builtin_tanh(x); }
  static HENCE_FN double erfc(double x) { return __builtin_erfc(x); }
#endif
};

/// Whether x < bound in all lanes; a scalar takes the general way.
template <class T, class Isa> HENCE_FN constexpr bool every_lane_below(num<T, Isa>, float) {
  return false;
}
template <class Isa> HENCE_FN bool every_lane_below(pack<float, Isa> x, float bound) {
  return all_below(x, pack<float, Isa>(bound));
}

/// e^x as s (1 + q), q = r + tail.
template <class V> struct exp_parts {
  V s, r, tail, q;
};

/// \param r the remainder, square = r r, s = 2^n.
template <class V> HENCE_FN constexpr exp_parts<V> exp_of_remainder(V r, V square, V s) {
  V p = fma(V(0x1.c08678p-16f), r, V(0x1.a29b5ep-13f));
  p = fma(p, r, V(0x1.6be926p-10f));
  p = fma(p, r, V(0x1.110fc2p-7f));
  p = fma(p, r, V(0x1.555572p-5f));
  p = fma(p, r, V(0x1.555556p-3f));
  p = fma(p, r, V(0.5f));
  return {s, r, square * p, fma(square, p, r)};
}

/// \param t x log2(e) + magic rounded by the addition: its low bits are n + 127.
template <class V> HENCE_FN constexpr exp_parts<V> reduced_exp(V x, V t) {
  t = lesser(V(0x1.8000fep+23f + 127.0f),
             t);  // n <= 127; beyond, r grows and s q overflows as it must
  const V n = t - V(0x1.8000fep+23f);
  V r = fma(n, V(-0x1.62e430p-1f), x);
  r = fma(n, V(0x1.05c610p-29f), r);
  return exp_of_remainder(r, r * r, from_bits(x, shift_left(to_bits(t), 23)));
}

/// x log2(e) + magic; magic = 1.5 2^23 + 127.
template <class V> HENCE_FN constexpr V exponent_of_exp(V x) {
  return fma(x, V(0x1.715476p+0f), V(0x1.8000fep+23f));
}

/// The parts of e^x with n = 0 for |x| < 0.5, so that e^x - 1 - x does not cancel there.
template <class V> HENCE_FN constexpr exp_parts<V> parts_without_cancellation(V x) {
  return reduced_exp(x, select(abs(x) < V(0.5f), V(0x1.8000fep+23f), exponent_of_exp(x)));
}

template <class V> HENCE_FN constexpr V subnormal_to_zero(V x) {
  return select(abs(x) < V(0x1p-126f), V(0.0f), x);
}

template <class V> struct value_and_slope {
  V value, slope;
};

/// k3 and its slope e^x - 1, which share everything.
template <class V> HENCE_FN constexpr value_and_slope<V> k3_and_slope(V x) {
  if constexpr (is_fp32<V>) {
    const V square = x * x;
    if (every_lane_below(square, 0.25f)) {  // n = 0 in all lanes: the same bits with half the work
      const auto e = exp_of_remainder(x, square, V(1.0f));
      return {select(e.tail < V(0x1p-126f), V(0.0f), e.tail), e.q};
    }
    const V above = lesser(V(128.0f), x);  // e^x - x at +inf is +inf, not NaN
    const auto [s, r, tail, q] = parts_without_cancellation(greater(V(-30.0f), above));
    // For |x| < 0.5 the inner fma is x - x = 0 and the tail alone remains.
    const V value = fma(s, tail, fma(s, r, (s - V(1.0f)) - above));
    return {select(value < V(0x1p-126f), V(0.0f), value), fma(s, q, s - V(1.0f))};
  } else {
    using T = typename V::scalar;
    const V slope = V(libm<T>::expm1(x.v));
    if (!(abs(x) < V(T(0.5)))) return {slope - x, slope};
    V sum = V(T(1));  // x^2/2 (1 + x/3 (1 + x/4 (...))), enough terms for 113 bits at 0.5
    for (int k = 34; k > 2; --k) sum = fma(x / V(T(k)), sum, V(T(1)));
    return {x * x * V(T(0.5)) * sum, slope};
  }
}

}  // namespace detail

/// e^x. At most 1 ulp; 0 below -87.3365, +inf above 88.7228.
template <class V>
  requires detail::is_number<V>
HENCE_FN constexpr V exp(V x) {
  if constexpr (detail::is_fp32<V>) {
    const V square = x * x;
    if (detail::every_lane_below(square, 0.12f))  // n = 0 in all lanes
      return detail::exp_of_remainder(x, square, V(1.0f)).q + V(1.0f);
    const auto e = detail::reduced_exp(x, detail::exponent_of_exp(x));
    return select(x < V(-0x1.5d589ep+6f), V(0.0f), fma(e.s, e.q, e.s));
  } else {
    return V(detail::libm<typename V::scalar>::exp(x.v));
  }
}
template <class V, class P, class Q> HENCE_FN constexpr auto exp(const dual<V, P, Q>& x) {
  const V e = exp(x.value);
  return chain(x, e, e);
}

/// e^x - 1 without cancellation near 0. At most 1.5 ulp.
template <class V>
  requires detail::is_number<V>
HENCE_FN constexpr V expm1(V x) {
  if constexpr (detail::is_fp32<V>) {
    const auto e = detail::parts_without_cancellation(greater(V(-30.0f), x));
    return detail::subnormal_to_zero(fma(e.s, e.q, e.s - V(1.0f)));
  } else {
    return V(detail::libm<typename V::scalar>::expm1(x.v));
  }
}
template <class V, class P, class Q> HENCE_FN constexpr auto expm1(const dual<V, P, Q>& x) {
  return chain(x, expm1(x.value), exp(x.value));
}

/// e^x - 1 - x, the k3 estimator's value; never negative, 0 at 0. At most 4 ulp. Its slope is
/// e^x - 1 from the same evaluation. John Schulman, "Approximating KL divergence" (2020).
template <class V>
  requires detail::is_number<V>
HENCE_FN constexpr V k3(V x) {
  return detail::k3_and_slope(x).value;
}
template <class V, class P, class Q> HENCE_FN constexpr auto k3(const dual<V, P, Q>& x) {
  const auto [value, slope] = detail::k3_and_slope(x.value);
  return chain(x, value, slope);
}

}  // namespace hence::inline v0
