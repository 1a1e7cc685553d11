/// \file
/// sigmoid, softplus, tanh and log1mexp, and the dual of sqrt: the same bits from num<float>,
/// pack<float> and the CUDA kernels. Value and slope come from one reduced exponential; neither
/// cancels nor overflows.
///
/// A subnormal argument counts as zero and a zero result is +0. float64 and wider types use the C
/// library.
///
/// | function | max error (ulp) | worst argument | over |
/// | --- | --- | --- | --- |
/// | sigmoid | 0.7883 | -0x1.5bf14cp+6 | all 2^32 floats |
/// | softplus | 1.2854 | -0x1.18c23ap+0 | all 2^32 floats |
/// | tanh | 1.0268 (30 above 1) | 0x1.fbeb7ap-3 | all 2^32 floats |
/// | log1mexp | 1.3085 (11338 above 1) | -0x1.02949ep+0 | all 2^32 floats |
/// | slopes | 4 | | samples |
#pragma once

#include <hence/core/math_log.hpp>
#include <hence/core/math_sqrt.hpp>

namespace hence::inline v0 {

namespace detail {

/// Below this e^x is subnormal.
constexpr float least_exponent = -0x1.5d589ep+6f;

/// A sum of two, low below high's last bit.
template <class V> struct extended {
  V high, low;
};

/// e^x + c, c = -1 or 0; the low part holds what rounding took from the high one.
template <class V> HENCE_FN constexpr extended<V> exp_plus(const exp_parts<V>& x, V c) {
  const V base = x.s + c, high = fma(x.s, x.q, base), q_low = x.tail - (x.q - x.r);
  return {high, fma(x.s, q_low, fma(x.s, x.q, base - high))};
}
template <class V> HENCE_FN constexpr extended<V> one_plus(extended<V> x) {
  const V one(1.0f), high = one + x.high;
  return {high, ((one - high) + x.high) + x.low};
}

/// a / b from r = 1/b.high, with one step of refinement.
template <class V> HENCE_FN constexpr V quotient(extended<V> a, extended<V> b, V r) {
  const V v = a.high * r;
  return fma(fma(-v, b.high, a.high) + fma(-v, b.low, a.low), r, v);
}

template <class V> HENCE_FN constexpr value_and_slope<V> sigmoid_and_slope(V x) {
  const V one(1), zero(0), size = abs(x);
  if constexpr (is_fp32<V>) {
    const V y = greater(V(least_exponent), -size);
    const auto e = exp_plus(reduced_exp(y, exponent_of_exp(y)), zero), sum = one_plus(e);
    const V r = one / sum.high, upper = quotient({one, zero}, sum, r);
    const auto negative = x < zero;
    const extended<V> share{select(negative, e.high, one), select(negative, e.low, zero)};
    return {select(x < V(least_exponent), zero, quotient(share, sum, r)),
            select(-size < V(least_exponent), zero, e.high * upper * upper)};
  } else {
    const V e = exp(-size), upper = one / (one + e);
    return {select(x < zero, e * upper, upper), e * upper * upper};
  }
}

/// log(1 + e^-|x|) + max(x, 0).
template <class V> HENCE_FN constexpr V stable_softplus(V x) {
  const V y = -abs(x), top = greater(x, V(0));
  if constexpr (is_fp32<V>) {
    const V least = greater(V(least_exponent), y);
    const auto e = exp_plus(reduced_exp(least, exponent_of_exp(least)), V(0.0f));
    const V t = V(1.0f) + e.high;
    const auto k = exponent_of_log(t);
    const V rest = power_below_one(t, k);
    const V value = log_of_sum(e.high, t, k, rest, (rest + V(1.0f)) * e.low);
    return top + select(y < V(least_exponent), V(0.0f), value);
  } else {
    using T = typename V::scalar;
    return top + V(libm<T>::log1p(libm<T>::exp(y.v)));
  }
}

template <class V> HENCE_FN constexpr value_and_slope<V> tanh_and_slope(V x) {
  const V zero(0), two_x = V(-2) * abs(x);
  if constexpr (is_fp32<V>) {
    const auto parts = parts_without_cancellation(greater(V(least_exponent), two_x));
    const auto m = exp_plus(parts, V(-1.0f)), e = exp_plus(parts, zero), sum = one_plus(e);
    const V r = V(1.0f) / sum.high, half = quotient({V(1.0f), zero}, sum, r);
    const V value = quotient({-m.high, -m.low}, sum, r);
    return {subnormal_to_zero(select(x < zero, -value, value)),
            select(two_x < V(least_exponent), zero, V(4.0f) * e.high * half * half)};
  } else {
    using T = typename V::scalar;
    const V e = exp(two_x), half = V(1) / (V(1) + e);
    return {V(libm<T>::tanh(x.v)), V(4) * e * half * half};
  }
}

template <class V> HENCE_FN constexpr value_and_slope<V> log1mexp_and_slope(V x) {
  if constexpr (is_fp32<V>) {
    const V zero(0.0f), one(1.0f), y = subnormal_to_zero(x);
    const auto parts = parts_without_cancellation(greater(V(least_exponent), y));
    const auto e = exp_plus(parts, zero), m = exp_plus(parts, -one);
    const V t = zero - m.high;  // not -m.high, which is -0 at 0
    const auto k = exponent_of_log(t);
    const V power_less_one = power_below_one(t, k);
    // Near 0 log(-(e^x - 1)), elsewhere log1p(-e^x).
    const auto near = y > V(-0x1.62e430p-1f);
    const V high = select(near, t, -e.high), low = select(near, -m.low, -e.low);
    const V rest = select(near, -one, power_less_one);
    // 2^-k overflows only where t is so small that its low part no longer counts.
    const V power = lesser(V(0x1p+60f), power_less_one + one);
    const V value = log_of_sum(high, t, k, rest, power * low);
    const auto vanishes = y < V(least_exponent);
    return {select(vanishes, zero, value), select(vanishes, zero, -(e.high / t))};
  } else {
    using T = typename V::scalar;
    const V m(libm<T>::expm1(x.v)), e(libm<T>::exp(x.v));
    const bool near = x > V(T(-0.6931471805599453));
    return {V(near ? libm<T>::log(-m.v) : libm<T>::log1p(-e.v)), e / m};
  }
}

}  // namespace detail

/// 1 / (1 + e^-x). At most 1 ulp, the lower tail included; 0 below -87.3365.
template <class V>
  requires detail::is_number<V>
HENCE_FN constexpr V sigmoid(V x) {
  return detail::sigmoid_and_slope(x).value;
}
/// The slope is sigmoid(x) sigmoid(-x), which does not cancel in either tail.
template <class V, class P, class Q> HENCE_FN constexpr auto sigmoid(const dual<V, P, Q>& x) {
  const auto [value, slope] = detail::sigmoid_and_slope(x.value);
  return chain(x, value, slope);
}

/// log(1 + e^x) = max(x, 0) + log1p(e^-|x|). At most 1.3 ulp; 0 below -87.3365.
template <class V>
  requires detail::is_number<V>
HENCE_FN constexpr V softplus(V x) {
  return detail::stable_softplus(x);
}
/// The slope is sigmoid(x).
template <class V, class P, class Q> HENCE_FN constexpr auto softplus(const dual<V, P, Q>& x) {
  return chain(x, softplus(x.value), sigmoid(x.value));
}

/// The hyperbolic tangent. At most 1.1 ulp.
template <class V>
  requires detail::is_number<V>
HENCE_FN constexpr V tanh(V x) {
  return detail::tanh_and_slope(x).value;
}
/// The slope is 4 e^-2|x| / (1 + e^-2|x|)^2, not 1 - tanh^2(x), which cancels.
template <class V, class P, class Q> HENCE_FN constexpr auto tanh(const dual<V, P, Q>& x) {
  const auto [value, slope] = detail::tanh_and_slope(x.value);
  return chain(x, value, slope);
}

/// log(1 - e^x), the log-probability of the complement, for x < 0. At most 1.4 ulp; -inf at 0,
/// NaN above, 0 below -87.3365. Martin Maechler, "Accurately computing log(1 - exp(-|a|))" (2012).
template <class V>
  requires detail::is_number<V>
HENCE_FN constexpr V log1mexp(V x) {
  return detail::log1mexp_and_slope(x).value;
}
/// The slope is e^x / (e^x - 1).
template <class V, class P, class Q> HENCE_FN constexpr auto log1mexp(const dual<V, P, Q>& x) {
  const auto [value, slope] = detail::log1mexp_and_slope(x.value);
  return chain(x, value, slope);
}

/// The square root of a number wider than float64, and with its slope 1 / (2 sqrt(x)) of a dual.
template <class T, class Isa>
  requires(sizeof(T) > 8)
HENCE_FN constexpr num<T, Isa> sqrt(num<T, Isa> x) {
  return {detail::libm<T>::sqrt(x.v)};
}
template <class V, class P, class Q> HENCE_FN constexpr auto sqrt(const dual<V, P, Q>& x) {
  const V root = sqrt(x.value);
  return chain(x, root, V(1) / (V(2) * root));
}

}  // namespace hence::inline v0
