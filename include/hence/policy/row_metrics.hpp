/// \file
/// The metrics of a block from the ratios and KL values that the hot loop left in scratch.
#pragma once

#include <hence/policy/row_gather.hpp>
#include <hence/policy/row_lanes.hpp>

namespace hence::inline v0::detail {

/// How many of n gathered tokens are metric tokens with a policy term, and with a KL term.
struct metric_tokens {
  int policy, kl;
};
/// Moves the ratios and advantages of the former together, and the KL values of the latter; the
/// last packs are filled up with 0.
template <class Isa> metric_tokens select_metric_tokens(block_scratch& s, int n) {
  constexpr int lanes = pack<float, Isa>::lanes;
  int policy = 0, kl = 0;
  for (int i = 0; i < n; ++i) {
    if (s.metric_live[i] == 0.0f) continue;
    if (s.kl_live[i] != 0.0f) s.kl[kl++] = s.kl[i];
    if (s.policy_live[i] != 0.0f)
      s.ratio[policy] = s.ratio[i], s.advantage[policy++] = s.advantage[i];
  }
  for (int i = policy; i % lanes != 0; ++i) s.ratio[i] = s.advantage[i] = 0.0f;
  for (int i = kl; i % lanes != 0; ++i) s.kl[i] = 0.0f;
  return {policy, kl};
}

/// Notes n ratios whose advantages are at `advantage`, one a token or, with step 0, one pack for
/// all. The last packs are filled up with ratio 0 and advantage 0, which count as nothing.
template <class Isa, class Rule>
void note_ratios(policy_metrics<float>& m, const Rule& rule, const float* ratio,
                 const float* advantage, int advantage_step, int n) {
  using V = pack<float, Isa>;
  using I = typename V::ints;
  m.tokens += n;
  int guess = 2;  // ratios lie around 1
  guessed_sum<Isa> sum(guess);
  I low{}, high{};
  for (int i = 0; i < n; i += V::lanes) {
    const V r = V::load(ratio + i);
    sum.add(r);
    if constexpr (has_bounds<Rule>) {
      const V a = V::load(advantage + i * advantage_step);
      low -= ((r < V(rule.low)) & (a < V(0.0f))).m;
      high -= ((r > V(rule.high)) & (a > V(0.0f))).m;
    }
  }
  m.clipped_low += sum_lanes(low), m.clipped_high += sum_lanes(high);
  m.note_ratio(__builtin_bit_cast(float, sum.top()));  // no ratio is negative
  sum.add_to(m.ratios, ratio, n, guess);
}

template <class Isa> void note_kls(policy_metrics<float>& m, const float* kl, int n) {
  m.kl_tokens += n;
  add_block<Isa>(m.kls, kl, n);
}

}  // namespace hence::inline v0::detail
