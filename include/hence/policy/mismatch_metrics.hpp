/// \file
/// How far the sampling engine's log-probs are from the trainer's: TRL's `sampling/` metrics, as
/// sums and extremes that merge over micro-batches and ranks.
#pragma once

#include <hence/policy/correction_row.hpp>

namespace hence::inline v0 {

/// Over metric tokens with a policy term: rho = pi_old/pi_rollout, e = log rho. NaN wins in every
/// extreme.
template <class S> struct mismatch_metrics {
  std::int64_t tokens = 0, weights = 0;  ///< how many e there are, and how many ratios
  sum_of<S> ratios, differences;         ///< of rho or the weights made of it, of |e|
  /// Over all tokens so far.
  S min_ratio = static_cast<S>(__builtin_inff()), max_ratio = 0, max_difference = 0;

  HENCE_FN mismatch_metrics() {}
  HENCE_FN mismatch_metrics& operator+=(const mismatch_metrics& o) {
    tokens += o.tokens, weights += o.weights;
    ratios += o.ratios, differences += o.differences;
    raise(max_ratio, o.max_ratio), raise(max_difference, o.max_difference);
    lower(min_ratio, o.min_ratio);
    return *this;
  }
  /// Takes a token's absolute difference of log-probs.
  HENCE_FN void note_difference(S difference) {
    ++tokens;
    differences.add(difference), raise(max_difference, difference);
  }
  /// Takes a token's ratio or weight.
  HENCE_FN void note_ratio(S ratio) {
    ++weights;
    ratios.add(ratio), raise(max_ratio, ratio), lower(min_ratio, ratio);
  }
  /// sampling/importance_sampling_ratio/mean, /min and /max; 0 without tokens. TRL logs them of the
  /// weights, after truncation or masking.
  HENCE_FN double importance_sampling_ratio_mean() const { return mean(ratios, weights); }
  /// As TRL's .../min; 0 without a token.
  HENCE_FN double importance_sampling_ratio_min() const {
    return weights > 0 ? static_cast<double>(min_ratio) : 0;
  }
  /// As TRL's .../max; 0 without a token.
  HENCE_FN double importance_sampling_ratio_max() const { return static_cast<double>(max_ratio); }
  /// sampling/sampling_logp_difference/mean and /max, of the absolute values.
  HENCE_FN double sampling_logp_difference_mean() const { return mean(differences, tokens); }
  /// As TRL's .../max; 0 without a token.
  HENCE_FN double sampling_logp_difference_max() const {
    return static_cast<double>(max_difference);
  }

 private:
  static HENCE_FN double mean(const sum_of<S>& s, std::int64_t n) {
    return static_cast<double>(s.value()) / detail::at_least_one(n);
  }
  static HENCE_FN void raise(S& a, S x) {
    if (!(x <= a) && a == a) a = x;
  }
  static HENCE_FN void lower(S& a, S x) {
    if (!(x >= a) && a == a) a = x;
  }
};

/// The metrics of a batch with the weights of a correction: one ratio a token, or one a row where
/// the correction is of rows; rows without a metric token with a policy term have none. Bits the
/// same on every executor and for every layout.
/// \param correction of a loss, e.g. `loss.correction`.
/// \param batch `ragged` or `padded`; its response, policy and metric masks say which tokens count.
/// \param in `logp` (for its temperature), `old` and `rollout`.
template <class Executor, class Correction, class Batch>
mismatch_metrics<typename Executor::scalar> mismatch(
    const Executor&, const Correction& correction, const Batch& batch,
    const policy_inputs<typename Executor::scalar>& in) {
  using S = typename Executor::scalar;
  using V = num<S>;
  static_assert(
      detail::has_correction<Correction>,
      "hence: the weights are those of a correction: correction::rollout{...}; without one, leave "
      "the argument out for the ratios themselves");
  const detail::layout b = batch;
  detail::check_layout(b);
  detail::check_part(correction);
  detail::check_logprobs("old", in.old, in.logp, b);
  detail::check_logprobs("rollout", in.rollout, in.logp, b);
  mismatch_metrics<S> m;
  for (std::int64_t i = 0; i < b.rows; ++i) {
    const detail::row_data<S> row = detail::row_of(in, b, {}, i);
    const auto of_row = detail::correction_of_row(correction, row);
    bool any = false;
    for (std::int64_t t = 0; t < row.length; ++t) {
      if (!row.mask.live(t) || !row.mask.policy_live(t) || !row.mask.metric_live(t)) continue;
      const V e = V(row.old[t]) - V(row.rollout[t]);
      m.note_difference(abs(e).v);
      if constexpr (!Correction::pooled)
        m.note_ratio(detail::weight_of(correction, e, of_row.vetoes).v);
      any = true;
    }
    if constexpr (Correction::pooled)
      if (any) m.note_ratio(detail::weight_of(correction, of_row.e, of_row.vetoes).v);
  }
  return m;
}

/// The metrics of a batch with rho itself, token by token.
/// \param executor, batch, in as above.
template <class Executor, class Batch>
mismatch_metrics<typename Executor::scalar> mismatch(
    const Executor& executor, const Batch& batch,
    const policy_inputs<typename Executor::scalar>& in) {
  return mismatch(executor, detail::rho_of_tokens{}, batch, in);
}

}  // namespace hence::inline v0
