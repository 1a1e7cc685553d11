/// \file
/// The term that every sum over a row of logits is made of, for `num` and `pack`.
#pragma once

#include <hence/core/load.hpp>
#include <hence/core/math_sigmoid.hpp>

namespace hence::inline v0::detail {

/// A term's weight is 0 where z is below; nothing inside becomes subnormal.
constexpr float lowest_power = -60.0f, below_lowest_power = -0x1.e00002p+5f;  // the next float

/// w = 2^z and z itself, at least -61.
template <class V> struct power_term {
  V w, z;
};

/// 2^z = 2^n (1 + f Q(f)), f = z - n in [-1/2, 1/2]; Q is a minimax fit, relative error of 2^f
/// 2^-28.3 before rounding, 2^-23.4 with it. For z in [-61, 120]; NaN and infinity become NaN.
template <class V> HENCE_FN V power_of_two(V z) {
  const V t = z + V(0x1.8p+23f + 127.0f), f = z - (t - V(0x1.8p+23f + 127.0f));
  V p = fma(V(0x1.416b50p-13f), f, V(0x1.5f082ep-10f));
  p = fma(p, f, V(0x1.3b2de0p-7f));
  p = fma(p, f, V(0x1.c6af7cp-5f));
  p = fma(p, f, V(0x1.ebfbdcp-3f));
  p = fma(p, f, V(0x1.62e430p-1f));
  p = fma(p, f, V(1.0f));
  return p * from_bits(z, shift_left(to_bits(t), 23));
}

/// Of z = x scale - reference: one rounding.
template <class V> HENCE_FN power_term<V> softmax_term(V x, V scale, V reference) {
  const V z = greater(V(-61.0f), fma(x, scale, -reference));  // a NaN stays
  return {select(z < V(lowest_power), V(0.0f), power_of_two(z)), z};
}
/// The same where z >= -60 is known.
template <class V> HENCE_FN power_term<V> term_in_range(V x, V scale, V reference) {
  const V z = fma(x, scale, -reference);
  return {power_of_two(z), z};
}

/// 2^d for an integer d in [-60, 0]; 0 below.
template <class V> HENCE_FN V power_below(V d) {
  const V t = greater(V(-61.0f), d) + V(0x1.8p+23f + 127.0f);
  return select(d < V(lowest_power), V(0.0f), from_bits(d, shift_left(to_bits(t), 23)));
}

/// cap tanh(x / cap); infinities stay, so that a masked logit remains one.
template <class V> HENCE_FN V capped(V x, V cap, V inverse_cap) {
  return select(abs(x) < V(__builtin_inff()), cap * tanh(x * inverse_cap), x);
}
/// Its slope, 1 - tanh^2(x / cap).
template <class V> HENCE_FN V cap_slope(V x, V inverse_cap) {
  const V slope = tanh_and_slope(x * inverse_cap).slope;
  return select(abs(x) < V(__builtin_inff()), slope, V(0.0f));
}

/// d (g logp + h H) / d x_i at an i that is not the label, p_i = w / S:
/// -(g p_i + h p_i (log p_i + H)) / T = w (c0 + c1 z). Never -0.
template <class V> HENCE_FN V gradient_term(const power_term<V>& t, V c0, V c1) {
  return fma(t.w, fma(c1, t.z, c0), V(0.0f));
}

}  // namespace hence::inline v0::detail
