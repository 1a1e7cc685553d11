/// \file
/// One row of a policy loss by scalar loops in S: the canonical order, and the accuracy oracle.
#pragma once

#include <hence/core/execute.hpp>
#include <hence/policy/row_sums.hpp>

namespace hence::inline v0::detail {

/// 1 / (denominator x row divisor), what the row's gradient is multiplied by.
template <class S, class W> HENCE_FN S gradient_scale(W divisor, W row_divisor) {
  return static_cast<S>(arithmetic<W>::div(W(1), arithmetic<W>::mul(divisor, row_divisor)));
}
/// The clip bounds that a rule shows to the metrics.
template <class Rule>
concept has_bounds = requires(const Rule& r) {
  r.low;
  r.high;
};

template <class S> HENCE_FN bool is_clipped_low(const auto& rule, S ratio, S advantage) {
  if constexpr (has_bounds<std::remove_cvref_t<decltype(rule)>>)
    return ratio < static_cast<S>(rule.low) && advantage < 0;
  else
    return false;
}
template <class S> HENCE_FN bool is_clipped_high(const auto& rule, S ratio, S advantage) {
  if constexpr (has_bounds<std::remove_cvref_t<decltype(rule)>>)
    return ratio > static_cast<S>(rule.high) && advantage > 0;
  else
    return false;
}

template <class S> HENCE_FN void note_kl(policy_metrics<S>& m, S kl) {
  ++m.kl_tokens;
  m.kls.add(kl);
}
template <class S>
HENCE_FN void note_ratio(policy_metrics<S>& m, const auto& rule, S ratio, S advantage) {
  ++m.tokens;
  m.note_ratio(ratio);
  m.ratios.add(ratio);
  m.clipped_low += is_clipped_low(rule, ratio, advantage);
  m.clipped_high += is_clipped_high(rule, ratio, advantage);
}

/// A live token as the arrays hold it; what only its dead roles would need is 0 and was not read.
/// `mismatch` is log pi_old - log pi_rollout where the correction is of tokens.
template <class V> struct token_values {
  V logp, anchor, ref, advantage, mismatch;
  bool policy_live, kl_live;
};

/// Which roles read an array of the token.
template <class Loss> struct token_reads {
  using part = facts<Loss>;
  static constexpr bool mismatch = part::with_correction && !part::correction_pools;
  static HENCE_FN constexpr bool logp(bool policy, bool kl) {
    return policy || (part::with_kl && kl);
  }
  static HENCE_FN constexpr bool anchor(bool policy, bool kl) {
    return policy || (part::kl_reads_anchor && kl);
  }
  static HENCE_FN constexpr bool rollout(bool policy, bool kl) {
    return mismatch && (policy || (part::weighted_kl && kl));
  }
};

/// What a token leaves behind. If `shares`, the gradient lacks the part through the pooled ratio.
template <class V, bool Shares> struct token_outcome {
  static constexpr bool shares = Shares;  ///< whether the term depends on a shared pooled ratio
  V term, gradient, pooled, ratio, kl;
};

/// One live token of a row: the step that the reference and the kernels share.
template <class V, class Loss>
HENCE_FN auto token_step(const Loss& loss, const token_values<V>& x, V score,
                         const row_numbers<V>& numbers, V scale) {
  using part = facts<Loss>;
  const bool anchored = token_reads<Loss>::anchor(x.policy_live, x.kl_live);
  token_inputs<V> in{x.logp,           x.anchor,     V(0),
                     x.advantage,      score,        numbers.log_ratio,
                     numbers.mismatch, numbers.gate, numbers.row_sum,
                     numbers.veto};
  if constexpr (!part::ratio::pooled) in.log_ratio = anchored ? x.logp - x.anchor : V(0);
  if constexpr (token_reads<Loss>::mismatch) in.mismatch = x.mismatch;
  if constexpr (part::with_kl) in.reference = x.kl_live ? x.ref : x.logp;
  const auto out = term_of(loss, in, x.policy_live, x.kl_live);
  constexpr bool shares = part::ratio::shares_gradient &&
                          !std::same_as<std::remove_cvref_t<decltype(out.pooled)>, zero>;
  if constexpr (part::ratio::shares_gradient)
    return token_outcome<V, shares>{out.value, as_number<V>(out.own) * scale,
                                    as_number<V>(out.pooled), out.ratio, out.kl};
  else
    return token_outcome<V, shares>{out.value,
                                    as_number<V>(sum_partial<V>(out.pooled, out.own)) * scale, V(0),
                                    out.ratio, out.kl};
}

/// How far a policy token moves the pooled log-ratio, times the terms' slopes in it: what its
/// gradient still lacks. \param share the row's sum of those slopes, over n if the level averages.
template <class Loss, class V>
HENCE_FN constexpr V share_of_token(const Loss& loss, V share, V logp, V anchor, V advantage) {
  if constexpr (limits_before_pooling<typename facts<Loss>::surrogate, V>)
    return share * as_number<V>(log_ratio_to_pool(loss, logp, anchor, advantage).pooled);
  else
    return share;
}

/// Sums over the row's policy tokens, by scalar loops.
template <class S, class Isa> struct reference_sums {
  const row_data<S>& row;

  template <class F> HENCE_FN auto with_advantage(const S* x, const S* y, F&& f) const {
    sum_of<S> total;
    for (std::int64_t t = 0; t < row.length; ++t)
      if (row.mask.live(t) && row.mask.policy_live(t))
        total.add(f(num<S, Isa>(x[t]), num<S, Isa>(y[t]), advantage_at(t)).v);
    return total.value();
  }
  template <class F> HENCE_FN auto operator()(const S* x, const S* y, F&& f) const {
    sum_of<S> total;
    for (std::int64_t t = 0; t < row.length; ++t)
      if (row.mask.live(t) && row.mask.policy_live(t))
        total.add(f(num<S, Isa>(x[t]), num<S, Isa>(y[t])).v);
    return total.value();
  }
  HENCE_FN num<S, Isa> advantage_at(std::int64_t t) const {
    return row.token_advantages ? row.token_advantages[t] : row.advantage;
  }
};

/// The entropy bonus of a row: -coef H of every policy token, its gradient the same for all.
template <class S, class Isa, class Loss, class Metrics>
void entropy_by_reference(const Loss& loss, const row_data<S>& row, S scale, sum_of<S>& row_sum,
                          Metrics& metrics) {
  using V = num<S, Isa>;
  const V factor = V(static_cast<S>(-loss.entropy.coef)), slope = factor * V(scale);
  for (std::int64_t t = 0; t < row.length; ++t) {
    const bool live = row.mask.live(t) && row.mask.policy_live(t);
    row.entropy_gradient[t] = live ? slope.v : S(0);
    if (!live) continue;
    row_sum.add((factor * V(row.entropy[t])).v);
    if constexpr (!std::same_as<Metrics, no_metrics>)
      if (row.mask.metric_live(t)) metrics.entropies.add(row.entropy[t]);
  }
}

/// \param scale 1 / (denominator x row divisor), what the row's gradient is multiplied by.
template <class S, class Isa, class Loss, class Metrics>
void row_by_reference(const Loss& loss, const row_data<S>& row, const counts& n, S scale,
                      sum_of<S>& row_sum, Metrics& metrics) {
  using V = num<S, Isa>;
  using part = facts<Loss>;
  using reads = token_reads<Loss>;
  const reference_sums<S, Isa> sums{row};
  const auto numbers = row_numbers_of<S, V>(loss, row, n.policy_tokens, sums);
  sum_of<S> pooled_partials;
  bool shares = false;
  for (std::int64_t t = 0; t < row.length; ++t) {
    if (!row.mask.live(t)) {
      row.gradient[t] = S(0);
      continue;
    }
    const bool policy_live = row.mask.policy_live(t), kl_live = row.mask.kl_live(t);
    token_values<V> x{V(S(0)), V(S(0)), V(S(0)), V(S(0)), V(S(0)), policy_live, kl_live};
    if (reads::logp(policy_live, kl_live)) x.logp = row.logp[t];
    if (reads::anchor(policy_live, kl_live)) x.anchor = row.anchor[t];
    if (policy_live) x.advantage = sums.advantage_at(t);
    if (reads::rollout(policy_live, kl_live)) x.mismatch = V(row.old[t]) - V(row.rollout[t]);
    if (part::with_kl && kl_live) x.ref = row.ref[t];
    const auto out = token_step(loss, x, V(row.score), numbers, V(scale));
    row_sum.add(out.term.v);
    row.gradient[t] = out.gradient.v;
    shares = out.shares;
    if (out.shares) pooled_partials.add(out.pooled.v);
    if constexpr (!std::same_as<Metrics, no_metrics>)
      if (row.mask.metric_live(t)) {
        if (policy_live) note_ratio(metrics, loss.surrogate, out.ratio.v, x.advantage.v);
        if (kl_live) note_kl(metrics, out.kl.v);
      }
  }
  if constexpr (part::with_entropy)
    entropy_by_reference<S, Isa>(loss, row, scale, row_sum, metrics);
  if (!shares) return;
  // every policy token moves the pooled log-ratio, and with it every term of the row
  const V share = pooled_value<S>(loss.ratio.averages, pooled_partials.value(), n.policy_tokens);
  for (std::int64_t t = 0; t < row.length; ++t)
    if (row.mask.live(t) && row.mask.policy_live(t))
      row.gradient[t] =
          fma(share_of_token(loss, share, V(row.logp[t]), V(row.anchor[t]), sums.advantage_at(t)),
              V(scale), V(row.gradient[t]))
              .v;
}

/// How an executor runs one row.
template <class Executor> struct row_engine;

template <class S, class Isa> struct row_engine<reference<S, Isa>> {
  struct scratch {};
  template <class Loss, class Metrics>
  static void run(const Loss& loss, const row_data<S>& row, const counts& n, S scale,
                  sum_of<S>& row_sum, Metrics& metrics, scratch&) {
    row_by_reference<S, Isa>(loss, row, n, scale, row_sum, metrics);
  }
};

}  // namespace hence::inline v0::detail
