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

/// The clip bounds that a rule shows to the metrics.
template <class Rule> concept has_bounds = requires(const Rule& r) { r.low; r.high; };

template <class S> HENCE_FN void note_token(policy_metrics<S>& m, const auto& rule, S ratio, S kl, S advantage) {
  ++m.tokens;
  if (!(ratio <= m.max_ratio)) m.max_ratio = ratio;
  m.ratios.add(ratio);
  m.kls.add(kl);
  if constexpr (has_bounds<std::remove_cvref_t<decltype(rule)>>) {
    m.clipped_low += ratio < static_cast<S>(rule.low) && advantage < 0;
    m.clipped_high += ratio > static_cast<S>(rule.high) && advantage > 0;
  }
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
      if (row.mask.live(t) && row.mask.policy_live(t)) log_ratios.add((V(row.logp[t]) - V(row.old[t])).v);
    mean_log_ratio = static_cast<S>(log_ratios.value() / mean_divisor<S>(n.policy_tokens));
  }
  sum_of<S> pooled_partials;
  bool has_pooled_partial = false;
  for (std::int64_t t = 0; t < row.length; ++t) {
    if (!row.mask.live(t)) {
      row.gradient[t] = S(0);
      continue;
    }
    const bool policy_live = row.mask.policy_live(t), kl_live = row.mask.kl_live(t);
    token_inputs<V> in{V(S(0)), V(S(0)), V(S(0)), V(S(0)), V(row.score), mean_log_ratio};
    if (policy_live || (with_kl && kl_live)) in.logp = row.logp[t];
    if (policy_live) {
      in.anchor = row.old[t];
      in.advantage = row.token_advantages ? row.token_advantages[t] : row.advantage;
      if constexpr (!pooled) in.log_ratio = in.logp - in.anchor;
    }
    if constexpr (with_kl) in.reference = kl_live ? V(row.ref[t]) : in.logp;
    const auto out = term_of(loss, in, policy_live, kl_live);
    row_sum.add(out.value.v);
    const auto own = as_number<V>(out.own), through_ratio = as_number<V>(out.pooled);
    if constexpr (!pooled) {
      row.gradient[t] = (sum_partial<V>(out.pooled, out.own) * V(scale)).v;
    } else {
      row.gradient[t] = (own * V(scale)).v;
      has_pooled_partial = !std::same_as<std::remove_cvref_t<decltype(out.pooled)>, zero>;
      if (policy_live) pooled_partials.add(through_ratio.v);
    }
    if constexpr (!std::same_as<Metrics, no_metrics>)
      if (row.mask.metric_live(t)) note_token(metrics, loss.surrogate, out.ratio.v, out.kl.v, in.advantage.v);
  }
  if (!pooled || !has_pooled_partial) return;
  // every policy token moves the mean log-ratio by 1/n, and with it every term of the row
  const V share = static_cast<S>(pooled_partials.value() / mean_divisor<S>(n.policy_tokens));
  for (std::int64_t t = 0; t < row.length; ++t)
    if (row.mask.live(t) && row.mask.policy_live(t)) row.gradient[t] = fma(share, V(scale), V(row.gradient[t])).v;
}

/// How an executor runs one row.
template <class Executor> struct row_engine;

template <class S, class Isa> struct row_engine<reference<S, Isa>> {
  struct scratch {};
  template <class Loss, class Metrics>
  static void run(const Loss& loss, const row_data<S>& row, const counts& n, S scale, sum_of<S>& row_sum,
                  Metrics& metrics, scratch&) {
    row_by_reference<S, Isa>(loss, row, n, scale, row_sum, metrics);
  }
};

}  // namespace hence::inline v0::detail
