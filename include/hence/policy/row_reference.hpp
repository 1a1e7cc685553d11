/// \file
/// One row of a policy loss by scalar loops in S: the canonical order, and the accuracy oracle.
#pragma once

#include <hence/core/execute.hpp>
#include <hence/policy/inputs.hpp>

namespace hence::inline v0::detail {

/// max(n, 1) in the type that a sum of S is divided in: at least double.
template <class S> HENCE_FN constexpr auto mean_divisor(std::int64_t n) {
  using W = std::conditional_t<std::same_as<S, float>, double, S>;
  return static_cast<W>(n > 1 ? n : 1);
}

/// 1 / (denominator x row divisor), what the row's gradient is multiplied by.
template <class S, class W> HENCE_FN S gradient_scale(W divisor, W row_divisor) {
  return static_cast<S>(arithmetic<W>::div(W(1), arithmetic<W>::mul(divisor, row_divisor)));
}
/// A row's sum as a mean over n tokens.
template <class S, class W> HENCE_FN S row_mean(W sum, std::int64_t n) {
  return static_cast<S>(arithmetic<W>::div(sum, mean_divisor<S>(n)));
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
template <class V> struct token_values {
  V logp, old, ref, advantage;
  bool policy_live, kl_live;
};

/// What a token leaves behind. At sequence level the gradient lacks the part through the pooled
/// ratio.
template <class V, bool HasPooled> struct token_outcome {
  static constexpr bool has_pooled = HasPooled;  ///< whether the term depends on the pooled ratio
  V term, gradient, pooled, ratio, kl;
};

/// One live token of a row: the step that the reference and the kernels share.
template <class V, class Loss>
HENCE_FN auto token_step(const Loss& loss, const token_values<V>& x, V score, V mean_log_ratio,
                         V scale) {
  constexpr bool pooled = std::remove_cvref_t<decltype(loss.ratio)>::pooled;
  token_inputs<V> in{x.logp, x.old, V(0), x.advantage, score, mean_log_ratio};
  if constexpr (!pooled) in.log_ratio = x.policy_live ? x.logp - x.old : V(0);
  if constexpr (has_kl<std::remove_cvref_t<decltype(loss.kl)>>)
    in.reference = x.kl_live ? x.ref : x.logp;
  const auto out = term_of(loss, in, x.policy_live, x.kl_live);
  constexpr bool has_pooled =
      pooled && !std::same_as<std::remove_cvref_t<decltype(out.pooled)>, zero>;
  if constexpr (pooled)
    return token_outcome<V, has_pooled>{out.value, as_number<V>(out.own) * scale,
                                        as_number<V>(out.pooled), out.ratio, out.kl};
  else
    return token_outcome<V, has_pooled>{out.value, sum_partial<V>(out.pooled, out.own) * scale,
                                        V(0), out.ratio, out.kl};
}

/// \param scale 1 / (denominator x row divisor), what the row's gradient is multiplied by.
template <class S, class Isa, class Loss, class Metrics>
void row_by_reference(const Loss& loss, const row_data<S>& row, const counts& n, S scale,
                      sum_of<S>& row_sum, Metrics& metrics) {
  using V = num<S, Isa>;
  constexpr bool pooled = std::remove_cvref_t<decltype(loss.ratio)>::pooled;
  constexpr bool with_kl = has_kl<std::remove_cvref_t<decltype(loss.kl)>>;
  V mean_log_ratio = S(0);
  if constexpr (pooled) {
    sum_of<S> log_ratios;
    for (std::int64_t t = 0; t < row.length; ++t)
      if (row.mask.live(t) && row.mask.policy_live(t))
        log_ratios.add((V(row.logp[t]) - V(row.old[t])).v);
    mean_log_ratio = row_mean<S>(log_ratios.value(), n.policy_tokens);
  }
  sum_of<S> pooled_partials;
  bool has_pooled_partial = false;
  for (std::int64_t t = 0; t < row.length; ++t) {
    if (!row.mask.live(t)) {
      row.gradient[t] = S(0);
      continue;
    }
    const bool policy_live = row.mask.policy_live(t), kl_live = row.mask.kl_live(t);
    token_values<V> x{V(S(0)), V(S(0)), V(S(0)), V(S(0)), policy_live, kl_live};
    if (policy_live || (with_kl && kl_live)) x.logp = row.logp[t];
    if (policy_live) {
      x.old = row.old[t];
      x.advantage = row.token_advantages ? row.token_advantages[t] : row.advantage;
    }
    if (with_kl && kl_live) x.ref = row.ref[t];
    const auto out = token_step(loss, x, V(row.score), mean_log_ratio, V(scale));
    row_sum.add(out.term.v);
    row.gradient[t] = out.gradient.v;
    has_pooled_partial = out.has_pooled;
    if (out.has_pooled && policy_live) pooled_partials.add(out.pooled.v);
    if constexpr (!std::same_as<Metrics, no_metrics>)
      if (row.mask.metric_live(t)) {
        if (policy_live) note_ratio(metrics, loss.surrogate, out.ratio.v, x.advantage.v);
        if (kl_live) note_kl(metrics, out.kl.v);
      }
  }
  if (!pooled || !has_pooled_partial) return;
  // every policy token moves the mean log-ratio by 1/n, and with it every term of the row
  const V share = row_mean<S>(pooled_partials.value(), n.policy_tokens);
  for (std::int64_t t = 0; t < row.length; ++t)
    if (row.mask.live(t) && row.mask.policy_live(t))
      row.gradient[t] = fma(share, V(scale), V(row.gradient[t])).v;
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
