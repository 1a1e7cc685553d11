/// \file
/// Weights of the selected experts and what they pass back to the scores: one row per lane.
///
/// Only scores come in; a selection value is of another type. An empty slot has weight 0 and
/// gradient 0.
#pragma once

#include <hence/moe/row_select.hpp>

namespace hence::inline v0::detail {

template <class W> constexpr bool is_normalized = false;
template <class Single> constexpr bool is_normalized<moe::normalized<Single>> = true;

/// What a gate does with k = 1.
template <class W> HENCE_FN bool divides(const W&, std::int64_t k) {
  if constexpr (is_normalized<W>)
    return k > 1 || std::same_as<decltype(W::single), moe::single_normalized>;
  else
    return false;
}
template <class V, class W> HENCE_FN V eps_of(const W& weights) {
  if constexpr (is_normalized<W>)
    return V(static_cast<typename V::scalar>(weights.eps));
  else
    return V(typename V::scalar(0));  // no test: raw weights are not divided
}

/// The scores of the selected experts, slot j of row l at [j lanes + l]; 0 in an empty slot, for
/// `softmax_after` -inf.
template <class V> struct selected_scores {
  typename V::scalar* data;
  HENCE_FN moe::score_value<V> operator[](std::int64_t j) const {
    return {load_as<V>(data + j * lane_count<V>)};
  }
  HENCE_FN typename V::scalar& at(std::int64_t j, int lane) const {
    return data[j * lane_count<V> + lane];
  }
};

/// Reads the scores at the slots' experts.
template <class V, class Score, class Team = alone>
HENCE_FN void gather_scores(const Score&, const score_table<V>& s, const slot_table<V>& slots,
                            std::int64_t k, selected_scores<V> out, const Team& team = {}) {
  using T = typename V::scalar;
  constexpr bool after = std::same_as<Score, moe::score::softmax_after>;
  constexpr T absent = after ? -static_cast<T>(__builtin_inff()) : T(0);
  for (std::int64_t j = team.first(); j < k; j += Team::size)
    for (int l = 0; l < lane_count<V>; ++l) {
      const std::int64_t e = slots.expert(j, l);
      out.at(j, l) = e < 0 ? absent : s.at(e, l);
    }
}

/// D = sum over the slots of s + eps, in slot order.
template <class V> HENCE_FN V sum_of_scores(const selected_scores<V>& s, std::int64_t k) {
  V sum = s[0].v;
  for (std::int64_t j = 1; j < k; ++j) sum = sum + s[j].v;
  return sum;
}

/// p_j = e^(z_j - top)/sum over the slots; 0 in an empty slot.
template <class V>
HENCE_FN softmax_of_row<V> softmax_of_slots(const selected_scores<V>& z, std::int64_t k) {
  using T = typename V::scalar;
  V top = z[0].v;
  for (std::int64_t j = 1; j < k; ++j) top = greater(top, z[j].v);
  top = select(top > minus_infinity<V>(), top, V(T(0)));
  V sum = exp(z[0].v - top);
  for (std::int64_t j = 1; j < k; ++j) sum = sum + exp(z[j].v - top);
  return {top, sum};
}
template <class V> HENCE_FN V share_of(const softmax_of_row<V>& row, V z) {
  using T = typename V::scalar;
  return select(row.sum > V(T(0)), exp(z - row.top) / row.sum, V(T(0)));
}

/// The weights of the k slots, each called with (j, w_j).
template <class V, class Score, class Weights, class Precision, class Write, class Team = alone>
HENCE_FN void weigh(const Score&, const Weights& weights, const Precision& rounded,
                    const selected_scores<V>& s, std::int64_t k, V scale, Write write,
                    const Team& team = {}) {
  using T = typename V::scalar;
  if constexpr (std::same_as<Score, moe::score::softmax_after>) {
    const auto row = softmax_of_slots<V>(s, k);
    for (std::int64_t j = team.first(); j < k; j += Team::size)
      write(j, rounded(rounded(share_of<V>(row, s[j].v)) * scale));
  } else if (divides(weights, k)) {
    const V sum = rounded(sum_of_scores<V>(s, k) + eps_of<V>(weights));
    const auto usable = sum > V(T(0));
    for (std::int64_t j = team.first(); j < k; j += Team::size)
      write(j, select(usable, rounded(rounded(s[j].v / sum) * scale), V(T(0))));
  } else {
    for (std::int64_t j = team.first(); j < k; j += Team::size) write(j, rounded(s[j].v * scale));
  }
}

/// From the cotangents C of the weights: what reaches the scores, for `softmax_after` the logits.
///
///     normalised     g_j = scale (C_j eps + sum_i (C_j - C_i) s_i)/D^2
///     raw            g_j = scale C_j
///     softmax_after  g_j = scale p_j (C_j - sum_i C_i p_i)
///
/// Differences of cotangents are taken first, so that k = 1 and equal cotangents give what they
/// must, without cancellation. Called with (j, g_j); returns sum_j g_j s_j, computed so likewise.
template <class V, class Score, class Weights, class Write, class Team = alone>
HENCE_FN V weigh_backward(const Score&, const Weights& weights, const selected_scores<V>& s,
                          const slot_table<V>& cotangent, std::int64_t k, V scale, Write write,
                          const Team& team = {}) {
  using T = typename V::scalar;
  const V zero(T(0)), first = cotangent[0];
  if constexpr (std::same_as<Score, moe::score::softmax_after>) {
    const auto row = softmax_of_slots<V>(s, k);
    V mean = zero;  // of C - C_0
    for (std::int64_t j = 0; j < k; ++j)
      mean = fma(cotangent[j] - first, share_of<V>(row, s[j].v), mean);
    for (std::int64_t j = team.first(); j < k; j += Team::size)
      write(j, scale * share_of<V>(row, s[j].v) * ((cotangent[j] - first) - mean));
    return zero;
  } else if (divides(weights, k)) {
    const V eps = eps_of<V>(weights), sum = sum_of_scores<V>(s, k), d = sum + eps;
    const auto usable = d > zero;
    V beyond = zero, whole = zero;
    for (std::int64_t j = 0; j < k; ++j) {
      beyond = fma(cotangent[j] - first, s[j].v, beyond);
      whole = fma(cotangent[j], s[j].v, whole);
    }
    const V factor = select(usable, scale / d, zero), share = select(usable, eps / d, zero);
    for (std::int64_t j = team.first(); j < k; j += Team::size) {
      const V centred = ((cotangent[j] - first) * sum - beyond) / d;
      write(j, select(usable, factor * fma(cotangent[j], share, centred), zero));
    }
    return select(usable, factor * whole * share, zero);
  } else {
    V dot = zero;
    for (std::int64_t j = 0; j < k; ++j) dot = fma(scale * cotangent[j], s[j].v, dot);
    for (std::int64_t j = team.first(); j < k; j += Team::size) write(j, scale * cotangent[j]);
    return dot;
  }
}

}  // namespace hence::inline v0::detail
