/// \file
/// Scores of a gate: what the weights of the selected experts are made of.
///
/// A score of one logit is a functor of a number, like `sigmoid` and `sqrt_softplus` here or a
/// user's own; its slope comes from dual numbers. `softmax` and `softmax_after` are scores of a
/// whole row. What experts are selected by is another type, so that a selection bias cannot reach a
/// weight: DeepSeek-V3, arXiv:2412.19437, 2.1.2, "the bias term is only used for routing".
#pragma once

#include <hence/core/load.hpp>
#include <hence/core/math.hpp>

namespace hence::inline v0 {

namespace detail {

/// sqrt(log(1 + e^z)) is e^(z/2) to the last bit from here down.
template <class V>
constexpr double sqrt_softplus_is_exp_below = is_fp32<V>       ? -17.0
                                              : sizeof(V) == 8 ? -40.0
                                                               : -90.0;

template <class V> HENCE_FN constexpr value_and_slope<V> sqrt_softplus_and_slope(V z) {
  using T = typename V::scalar;
  const auto low = z < V(static_cast<T>(sqrt_softplus_is_exp_below<V>));
  const V s = select(low, exp(z * V(T(0.5))), sqrt(softplus(z)));
  return {s, select(low, s * V(T(0.5)), sigmoid(z) / (s + s))};
}

}  // namespace detail

/// sqrt(log(1 + e^z)); at most 2 ulp, 0 below -174.67. Its slope, sigmoid(z)/(2 sqrt(softplus
/// z)), is finite for every finite z: half the value where softplus itself would underflow.
template <class V>
  requires detail::is_number<V>
HENCE_FN constexpr V sqrt_softplus(V z) {
  return detail::sqrt_softplus_and_slope(z).value;
}
template <class V, class P, class Q> HENCE_FN constexpr auto sqrt_softplus(const dual<V, P, Q>& z) {
  const auto [value, slope] = detail::sqrt_softplus_and_slope(z.value);
  return chain(z, value, slope);
}

namespace moe {

namespace score {

/// s = 1/(1 + e^-z). DeepSeek-V3, arXiv:2412.19437, eq. 15.
struct sigmoid {
  HENCE_FN auto operator()(const auto& z) const { return hence::sigmoid(z); }
};

/// s = sqrt(log(1 + e^z)), DeepSeek-V4's.
struct sqrt_softplus {
  HENCE_FN auto operator()(const auto& z) const { return hence::sqrt_softplus(z); }
};

/// s = softmax of the row's scored logits, then the top k of s. DeepSeekMoE, arXiv:2401.06066,
/// eq. 5.
struct softmax {};

/// s = z; the weights are the softmax of the k selected logits. Shazeer et al., arXiv:1701.06538,
/// eq. 3. It needs no normaliser: its weights are `raw`.
struct softmax_after {};

}  // namespace score

/// What an expert is selected by: its score plus the selection bias. Not made back into a score.
template <class V> struct selection_value {
  V v;  ///< the score with the bias
};
/// The score of an expert: what weights are made of.
template <class V> struct score_value {
  V v;  ///< the score without the bias
  score_value() = default;
  HENCE_FN score_value(V x) : v(x) {}
  template <class U> HENCE_FN score_value(selection_value<U>) {
    static_assert(detail::always_false<U>::value,
                  "hence: a weight is made of scores, never of a selection value: the bias selects "
                  "and does not weigh");
  }
};

/// c = s + bias, with -0 as +0; kept in range, since -inf says that an expert is not eligible.
template <class V> HENCE_FN selection_value<V> select_by(score_value<V> s, V bias) {
  using T = typename V::scalar;
  constexpr T lowest = static_cast<T>(sizeof(T) == 4 ? -0x1.fffffep+127 : -0x1.fffffffffffffp+1023);
  return {greater(s.v + bias, V(lowest)) + V(T(0))};
}

}  // namespace moe

namespace detail {

/// Whether F is a score of one logit: a functor from a number to the same kind of number.
template <class F, class V>
concept score_of_logit = requires(const F& f, V z, dual<V, one, zero> d) {
  { f(z) } -> std::same_as<V>;
  { f(d).value } -> std::convertible_to<V>;
};
template <class F>
constexpr bool is_row_score =
    std::same_as<F, moe::score::softmax> || std::same_as<F, moe::score::softmax_after>;

/// An array with an entry for each lane; a lane is a row, a scalar one row.
template <class V, class T> using per_lane = T[static_cast<unsigned>(lane_count<V>)];

/// The scores of `lane_count<V>` rows: expert e of row l at [e lanes + l].
template <class V> struct score_table {
  typename V::scalar* data;
  HENCE_FN moe::score_value<V> operator[](std::int64_t e) const {
    return {load_as<V>(data + e * lane_count<V>)};
  }
  HENCE_FN void set(std::int64_t e, moe::score_value<V> s) const {
    store_as(data + e * lane_count<V>, s.v);
  }
  /// One lane's score.
  HENCE_FN typename V::scalar at(std::int64_t e, int lane) const {
    return data[e * lane_count<V> + lane];
  }
};
/// Their selection values; -inf where an expert is not eligible.
template <class V> struct selection_table {
  typename V::scalar* data;
  HENCE_FN V operator[](std::int64_t e) const { return load_as<V>(data + e * lane_count<V>); }
  HENCE_FN void set(std::int64_t e, moe::selection_value<V> c) const {
    store_as(data + e * lane_count<V>, c.v);
  }
};

}  // namespace detail

}  // namespace hence::inline v0
