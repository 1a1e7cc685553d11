/// \file
/// Live tokens moved together, so that the hot loop sees packs without gaps, and their gradients
/// spread back. Dead tokens are not read.
#pragma once

#include <hence/core/sum_pack.hpp>
#include <hence/policy/row_reference.hpp>

namespace hence::inline v0::detail {

/// Scratch of one row; about 55 KiB, on the stack of the thread that runs the row.
struct block_scratch {
  static constexpr int size = block_tokens + 16;  // a pack beyond the end may be read and written
  alignas(64) float logp[size], anchor[size], ref[size], advantage[size], mismatch[size],
      policy_live[size], kl_live[size], metric_live[size];
  alignas(64) float gradient[size], term[size], pooled[size], ratio[size], kl[size];
  alignas(64) float row_advantage[16];
  int guess, entropy_guess;  // of the terms' largest exponents, see guessed_sum

  // an implicit one would be shared by differently compiled translation units
  HENCE_FN block_scratch() : guess(2), entropy_guess(2) {}
};

/// Live tokens of positions [begin, end), moved together; returns how many. The last pack is filled
/// up with tokens whose roles are all dead.
template <class Isa, class Loss>
int gather_live(const row_data<float>& row, std::int64_t begin, std::int64_t end,
                block_scratch& s) {
  using reads = token_reads<Loss>;
  using V = num<float, Isa>;
  int n = 0;
  for (std::int64_t t = begin; t < end; ++t) {
    if (!row.mask.live(t)) continue;
    const bool policy = row.mask.policy_live(t), kl = row.mask.kl_live(t);
    s.logp[n] = reads::logp(policy, kl) ? row.logp[t] : 0.0f;
    s.anchor[n] = reads::anchor(policy, kl) ? row.anchor[t] : s.logp[n];
    s.advantage[n] = !policy                ? 0.0f
                     : row.token_advantages ? row.token_advantages[t]
                                            : row.advantage;
    if constexpr (reads::mismatch)
      s.mismatch[n] = reads::rollout(policy, kl) ? (V(row.old[t]) - V(row.rollout[t])).v : 0.0f;
    if constexpr (facts<Loss>::with_kl) s.ref[n] = kl ? row.ref[t] : s.logp[n];
    s.policy_live[n] = policy ? 1.0f : 0.0f;
    s.kl_live[n] = kl ? 1.0f : 0.0f;
    s.metric_live[n] = row.mask.metric_live(t) ? 1.0f : 0.0f;
    ++n;
  }
  for (int i = n; i % pack<float, Isa>::lanes != 0; ++i) {
    for (float* a : {s.logp, s.anchor, s.ref, s.advantage, s.mismatch, s.policy_live, s.kl_live,
                     s.metric_live})
      a[i] = 0.0f;
  }
  return n;
}

/// Spreads a gathered block's gradient back, 0 at dead positions.
template <class Isa>
void scatter_gradient(const row_data<float>& row, std::int64_t begin, std::int64_t end,
                      const block_scratch& s) {
  int n = 0;
  for (std::int64_t t = begin; t < end; ++t)
    row.gradient[t] = row.mask.live(t) ? s.gradient[n++] : 0.0f;
}

/// The row without the dead tokens around its live ones, if those are a run, as responses mostly
/// are; else the row. The gradients that are left out are set to 0.
template <class Isa> row_data<float> trimmed(const row_data<float>& row, std::int64_t live_tokens) {
  if (!row.mask.response || !row.mask.one_role()) return row;
  std::int64_t begin = 0, end = row.length;
  while (begin < end && !row.mask.live(begin)) ++begin;
  while (begin < end && !row.mask.live(end - 1)) --end;
  if (end - begin != live_tokens) return row;
  row_data<float> run = row;
  for (float** out : {&run.gradient, &run.entropy_gradient}) {
    if (*out == nullptr) continue;
    for (std::int64_t t = 0; t < begin; ++t) (*out)[t] = 0.0f;
    for (std::int64_t t = end; t < row.length; ++t) (*out)[t] = 0.0f;
    *out += begin;
  }
  for (const float** in : {&run.logp, &run.old, &run.ref, &run.token_advantages, &run.rollout,
                           &run.anchor, &run.entropy})
    if (*in != nullptr) *in += begin;
  run.mask = {};
  run.length = live_tokens;
  return run;
}

}  // namespace hence::inline v0::detail
