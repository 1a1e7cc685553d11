/// \file
/// log and log1p from one reduction and one polynomial, made of fma, mul, add and bit moves only:
/// the same bits from num<float>, pack<float> and the CUDA kernels.
///
/// log(2^k (1 + f)) = k log(2) + f - f^2/2 + f^3 Q(f) with 1 + f in [2/3, 4/3). Q is a minimax fit
/// of (log(1 + f) - f + f^2/2)/f^3, relative error of the logarithm 2^-27.6. A subnormal argument
/// counts as zero and a zero result is +0. float64 and wider types use the C library.
///
/// | function | max error (ulp) | worst argument | over |
/// | --- | --- | --- | --- |
/// | log | 0.9374 | 0x1.55640ap+0 | all 2^32 floats |
/// | log1p | 1.1618 (942 above 1) | 0x1.55a87ep-2 | all 2^32 floats |
#pragma once

#include <hence/core/math_exp.hpp>

namespace hence::inline v0 {

namespace detail {

/// The k for which x 2^-k is in [2/3, 4/3); 0 for a NaN and for x <= 0, whose logarithm is no
/// number.
template <class V> HENCE_FN constexpr auto exponent_of_log(V x) {
  return (to_bits(select(x >= V(0x1p-126f), x, V(1.0f))) - 0x3f2aaaab) >> 23;
}

/// x 2^-k.
template <class V, class I> HENCE_FN constexpr V scaled_down(V x, I k) {
  return from_bits(x, to_bits(x) - shift_left(k, 23));
}

/// k log(2) + log(1 + f + low), low below f's last bit.
template <class V, class I> HENCE_FN constexpr V log_of_parts(I k, V f, V low) {
  V p = fma(V(-0x1.082238p-3f), f, V(0x1.1e82dep-3f));
  p = fma(p, f, V(-0x1.f30564p-4f));
  p = fma(p, f, V(0x1.1ed1e2p-3f));
  p = fma(p, f, V(-0x1.559e2cp-3f));
  p = fma(p, f, V(0x1.99d070p-3f));
  p = fma(p, f, V(-0x1.fffeeep-3f));
  p = fma(p, f, V(0x1.555506p-2f));
  p = fma(p, f, V(-0.5f));
  const V n = from_bits(f, k + 0x4b400000) - V(0x1.8p+23f);
  return fma(n, V(0x1.62e430p-1f), f + fma(f * f, p, low));
}

/// 2^-k - 1.
template <class V, class I> HENCE_FN constexpr V power_below_one(V like, I k) {
  const V four = from_bits(like, shift_left(129 - k, 23));  // 4 2^-k is normal where 2^-k is not
  return fma(four, V(0.25f), V(-1.0f));
}

/// y = log(t) where t has a logarithm, else what C returns.
template <class V> HENCE_FN constexpr V log_or_limit(V t, V y) {
  constexpr float infinity = __builtin_inff(), nan = __builtin_nanf("");
  const V outside = select(t > V(-0x1p-126f), V(-infinity), V(nan));
  return select(t < V(0x1p-126f), outside, select(t < V(infinity), y, t));
}

/// The logarithm of t = x + low + b: f = x 2^-k + (b 2^-k - 1) makes good what t lost to rounding.
/// \param k of t. \param rest b 2^-k - 1. \param low 2^-k times x's own low part.
template <class V, class I> HENCE_FN constexpr V log_of_sum(V x, V t, I k, V rest, V low) {
  const V part = scaled_down(x, k), f = part + rest;
  return log_or_limit(t, log_of_parts(k, f, (part - (f - rest)) + low));
}

}  // namespace detail

/// The natural logarithm. At most 1 ulp; -inf at zero and subnormals, NaN below.
template <class V>
  requires detail::is_number<V>
HENCE_FN constexpr V log(V x) {
  if constexpr (detail::is_fp32<V>) {
    const auto k = detail::exponent_of_log(x);
    const V f = detail::scaled_down(x, k) - V(1.0f);
    return detail::log_or_limit(x, detail::log_of_parts(k, f, V(0.0f)));
  } else {
    return V(detail::libm<typename V::scalar>::log(x.v));
  }
}
template <class V, class P, class Q> HENCE_FN constexpr auto log(const dual<V, P, Q>& x) {
  return chain(x, log(x.value), V(1) / x.value);
}

/// log(1 + x) without cancellation near 0. At most 1.2 ulp; -inf at -1, NaN below.
template <class V>
  requires detail::is_number<V>
HENCE_FN constexpr V log1p(V x) {
  if constexpr (detail::is_fp32<V>) {
    const V t = x + V(1.0f);
    const auto k = detail::exponent_of_log(t);
    const V rest = detail::power_below_one(t, k);
    return detail::subnormal_to_zero(detail::log_of_sum(x, t, k, rest, V(0.0f)));
  } else {
    return V(detail::libm<typename V::scalar>::log1p(x.v));
  }
}
template <class V, class P, class Q> HENCE_FN constexpr auto log1p(const dual<V, P, Q>& x) {
  return chain(x, log1p(x.value), V(1) / (V(1) + x.value));
}

}  // namespace hence::inline v0
