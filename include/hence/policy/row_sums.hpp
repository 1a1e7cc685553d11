/// \file
/// What a row settles before its tokens: the pooled log-ratio, the correction's E and its vetoes,
/// what the gate judges, a rule's own sum. Every executor instantiates this text with its own way
/// to sum.
#pragma once

#include <hence/core/mean.hpp>
#include <hence/policy/inputs.hpp>

namespace hence::inline v0::detail {

/// A rule that limits log-ratios before they are pooled.
template <class Rule, class V>
constexpr bool limits_before_pooling =
    requires(const Rule& rule, dual<V, one, zero> d, V a) { rule.before_pooling(d, a); };
/// A rule that asks for a sum over the row.
template <class Rule, class V>
constexpr bool has_prepass = requires(const Rule& rule, V x) { rule.prepass(x); };

/// A token's log-ratio as it is pooled.
template <class Loss, class V>
HENCE_FN constexpr auto log_ratio_to_pool(const Loss& loss, V logp, V anchor, V advantage) {
  const dual<V, one, zero> d{logp - anchor, {}, {}};
  if constexpr (limits_before_pooling<typename facts<Loss>::surrogate, V>)
    return loss.surrogate.before_pooling(d, advantage);
  else
    return d;
}

/// The row's numbers; 0 where the loss does not ask.
template <class V> struct row_numbers {
  V log_ratio, mismatch, gate, row_sum;
  V veto{};

  /// As built-in numbers.
  HENCE_FN constexpr auto plain() const {
    return row_numbers<typename V::scalar>{log_ratio.v, mismatch.v, gate.v, row_sum.v, veto.v};
  }
};

/// \param sum `sum(x, y, f)` is the exact sum over the row's policy tokens of f(x, y), x and y
/// being two of its arrays; `sum.with_advantage(x, y, f)` that of f(x, y, A).
template <class S, class V, class Loss, class Sum>
HENCE_FN row_numbers<V> row_numbers_of(const Loss& loss, const row_data<S>& row, std::int64_t n,
                                       Sum&& sum) {
  using part = facts<Loss>;
  using surrogate = typename part::surrogate;
  row_numbers<V> out{V(S(0)), V(S(0)), V(S(0)), V(S(0)), V(S(0))};
  if constexpr (part::ratio::pooled) {
    if constexpr (limits_before_pooling<surrogate, V>)
      out.log_ratio = pooled_value<S>(
          loss.ratio.averages,
          sum.with_advantage(
              row.logp, row.anchor,
              [&](auto x, auto y, auto a) { return detach(log_ratio_to_pool(loss, x, y, a)); }),
          n);
    else
      out.log_ratio = pooled_value<S>(
          loss.ratio.averages, sum(row.logp, row.anchor, [](auto x, auto y) { return x - y; }), n);
  }
  if constexpr (part::correction_pools)
    out.mismatch = pooled_value<S>(
        loss.correction.averages,
        sum(row.old, row.rollout, [&](auto x, auto y) { return loss.correction.summand(x - y); }),
        n);
  if constexpr (part::vetoes)
    out.veto = static_cast<S>(
        sum(row.old, row.rollout, [&](auto x, auto y) { return loss.correction.outlier(x - y); }));
  if constexpr (part::with_gate)
    out.gate = row_mean<S>(
        sum(loss.gate.anchor.of(row), row.logp, [](auto x, auto y) { return x - y; }), n);
  if constexpr (has_prepass<surrogate, V>) {
    auto total =
        sum(row.logp, row.anchor, [&](auto x, auto y) { return loss.surrogate.prepass(x - y); });
    using W = decltype(total);
    if constexpr (part::with_correction) {
      const auto of_weight = [&](auto e) {
        const decltype(e) vetoes(out.veto.v);
        return loss.surrogate.prepass_of_weight(log(weight_of(loss.correction, e, vetoes)));
      };
      if constexpr (part::correction_pools)
        total = arithmetic<W>::add(
            total,
            arithmetic<W>::mul(static_cast<W>(n), static_cast<W>(of_weight(out.mismatch).v)));
      else
        total = arithmetic<W>::add(
            total, sum(row.old, row.rollout, [&](auto x, auto y) { return of_weight(x - y); }));
    }
    out.row_sum = static_cast<S>(total);
  }
  return out;
}

}  // namespace hence::inline v0::detail
