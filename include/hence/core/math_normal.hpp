/// \file
/// normal_cdf, the distribution function of the normal distribution, which erf is in other units:
/// the same bits from num<float>, pack<float> and the CUDA kernels.
///
/// For t = |x|, Phi(-t) = e^(-t^2/2) g(t)/(1 + 3t/2). g is a minimax fit in (t - 5/2)/(t + 5/2) on
/// [0, 13.3], relative error 2^-28; what rounding takes from t^2 goes into the exponential, so that
/// the lower tail keeps all of its digits, unlike (1 + erf(x/sqrt(2)))/2. float64 uses the C
/// library's erfc, with an error of about (3 + 2 x^2) 2^-53.
///
/// | function | max error (ulp) | worst argument | over |
/// | --- | --- | --- | --- |
/// | normal_cdf | 6.0432 | -0x1.e66fp-7 | all 2^32 floats |
/// | slope | 3 | | samples |
#pragma once

#include <hence/core/math_exp.hpp>

namespace hence::inline v0 {

namespace detail {

template <class V> HENCE_FN constexpr value_and_slope<V> normal_and_slope(V x) {
  if constexpr (is_fp32<V>) {
    const V one(1.0f), t = lesser(V(14.0f), abs(x)), square = t * t;
    const V e = exp(square * V(-0.5f));
    const V density = fma(e * V(-0.5f), fma(t, t, -square), e);
    const V m = (t - V(2.5f)) / (t + V(2.5f));
    V p = fma(V(-0x1.d1460cp-14f), m, V(-0x1.777f7cp-12f));
    p = fma(p, m, V(0x1.9d751cp-14f));
    p = fma(p, m, V(0x1.10ca30p-9f));
    p = fma(p, m, V(0x1.8d4feap-10f));
    p = fma(p, m, V(-0x1.59b490p-7f));
    p = fma(p, m, V(-0x1.57ad0ap-7f));
    p = fma(p, m, V(0x1.4d4a0ap-4f));
    p = fma(p, m, V(-0x1.cf6edap-4f));
    p = fma(p, m, V(-0x1.7e81b2p-6f));
    p = fma(p, m, V(0x1.57b7c2p-1f));
    const V tail = subnormal_to_zero(density * p / fma(V(1.5f), t, one));
    return {select(x < V(0.0f), tail, one - tail),
            subnormal_to_zero(density * V(0x1.988454p-2f))};  // 1/sqrt(2 pi)
  } else {
    using T = typename V::scalar;
    return {V(T(0.5) * libm<T>::erfc(x.v * T(-0.70710678118654752440084436210485L))),
            exp(x * x * V(T(-0.5))) * V(T(0.39894228040143267793994605993438L))};
  }
}

}  // namespace detail

/// P(N <= x) of a standard normal N = (1 + erf(x/sqrt(2)))/2. At most 6.1 ulp, just below 0, where
/// the result is just below a power of two; 0 below -12.98.
template <class V>
  requires detail::is_number<V>
HENCE_FN constexpr V normal_cdf(V x) {
  return detail::normal_and_slope(x).value;
}
/// The slope is the density e^(-x^2/2)/sqrt(2 pi).
template <class V, class P, class Q> HENCE_FN constexpr auto normal_cdf(const dual<V, P, Q>& x) {
  const auto [value, slope] = detail::normal_and_slope(x.value);
  return chain(x, value, slope);
}

}  // namespace hence::inline v0
