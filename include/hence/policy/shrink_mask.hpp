/// \file
/// `shrink_mask`: takes the tokens that a correction rejects off the response mask, so that they
/// leave the ratio's pooling, the KL, the entropy, the metrics and every count.
///
///     shrink_mask(executor, loss.correction, batch, inputs, kept);
///     batch.mask.response = kept;   // then count(batch), over_window(...), loss_and_gradient(...)
///
/// The loss with the same correction on the shrunk batch is the loss whose denominator is shrunk:
/// a row-level correction rejects a row as a whole, so E of what remains is what it was.
#pragma once

#include <hence/policy/correction_row.hpp>

namespace hence::inline v0 {

/// Writes 1 at live response tokens that the correction keeps and 0 elsewhere. A correction of
/// tokens judges those with a policy term; one of rows takes all of the row's. A token whose E is
/// not finite stays: the loss reports it. Bits: those of the loss, on every executor of the arrays'
/// scalar. Runs in the caller's thread.
/// \param correction of a loss, e.g. `loss.correction`. Truncation rejects nothing.
/// \param batch `ragged` or `padded`; its response and policy masks say which tokens are judged.
/// \param in `logp` (for its temperature), `old` and `rollout`.
/// \param kept `[tokens]` or `[rows, width]`; may be the batch's response mask itself. Every other
/// overlap with what the batch and the inputs hold is refused.
/// \return `status::empty` if nothing is kept.
template <class Executor, class Correction, class Batch>
status shrink_mask(const Executor&, const Correction& correction, const Batch& batch,
                   const policy_inputs<typename Executor::scalar>& in,
                   per_token<std::uint8_t> kept) {
  using S = typename Executor::scalar;
  static_assert(
      detail::has_correction<Correction>,
      "hence: shrink_mask needs a correction of tokens or rows: correction::rollout{...}");
  const detail::layout b = batch;
  detail::check_layout(b);
  detail::check_part(correction);
  detail::check_shape("logp", in.logp.values, b);
  detail::check_logprobs("old", in.old, in.logp, b);
  detail::check_logprobs("rollout", in.rollout, in.logp, b);
  detail::check_shape("kept", kept, b);
  detail::check_apart_from_arrays("kept", detail::place_of(kept, b), in, b);
  detail::check_kept(kept, b);
  using V = num<S>;
  bool any = false;
  for (std::int64_t i = 0; i < b.rows; ++i) {
    detail::row_data<S> row = detail::row_of(in, b, {}, i);
    std::uint8_t* out = b.row(kept, i);
    const auto live = [&](std::int64_t t) { return row.mask.live(t); };
    const auto judged = [&](std::int64_t t) { return live(t) && row.mask.policy_live(t); };
    const auto of_row = detail::correction_of_row(correction, row);
    bool row_is_rejected = of_row.vetoes.v > 0;
    if constexpr (Correction::pooled)
      row_is_rejected = row_is_rejected || (of_row.tokens > 0 && correction.rejects(of_row.e));
    for (std::int64_t t = 0; t < row.length; ++t) {
      bool keep = live(t) && !row_is_rejected;
      if constexpr (!Correction::pooled)
        if (keep && judged(t)) keep = !correction.rejects(V(row.old[t]) - V(row.rollout[t]));
      out[t] = keep;
      any |= keep;
    }
  }
  return any ? status::ok : status::empty;
}

}  // namespace hence::inline v0
