/// \file
/// Metrics of the same pass, as sums and counts that merge like the loss; TRL's names in comments
/// where it logs the same number.
#pragma once

#include <hence/core/sum.hpp>
#include <hence/policy/aggregate.hpp>

namespace hence::inline v0 {

/// No metrics are computed; their cost is not paid.
struct no_metrics {
  HENCE_FN no_metrics& operator+=(const no_metrics&) { return *this; }
};

/// Sums over the tokens of the metric mask: of the ratio those with a policy term, of the KL those
/// with a KL term. A rule without members `low` and `high` (a lambda) has no bounds to count: its
/// clip metrics are 0.
template <class S> struct policy_metrics {
  std::int64_t tokens = 0;        ///< metric tokens with a policy term
  std::int64_t kl_tokens = 0;     ///< metric tokens with a KL term
  std::int64_t clipped_low = 0;   ///< r < low and A < 0
  std::int64_t clipped_high = 0;  ///< r > high and A > 0
  S max_ratio = 0;                ///< of pi/pi_old; 0 without tokens
  sum_of<S> ratios;               ///< of the policy tokens
  sum_of<S> kls;                  ///< of the tokens with a KL term
  sum_of<S> entropies;            ///< over `tokens`; only with an entropy bonus

  HENCE_FN policy_metrics() {}

  HENCE_FN policy_metrics& operator+=(const policy_metrics& o) {
    tokens += o.tokens, kl_tokens += o.kl_tokens, clipped_low += o.clipped_low,
        clipped_high += o.clipped_high;
    note_ratio(o.max_ratio);
    ratios += o.ratios, kls += o.kls, entropies += o.entropies;
    return *this;
  }

  /// NaN wins, whatever the order.
  HENCE_FN void note_ratio(S ratio) {
    if (!(ratio <= max_ratio) && max_ratio == max_ratio) max_ratio = ratio;
  }

  /// Of pi/pi_old as the loss pools and limits it. (TRL's importance_sampling_ratio is another one:
  /// that of the trainer's to the rollout engine's probabilities.)
  HENCE_FN double ratio_mean() const { return mean(ratios, tokens); }
  HENCE_FN double kl_mean() const { return mean(kls, kl_tokens); }          ///< kl
  HENCE_FN double entropy_mean() const { return mean(entropies, tokens); }  ///< entropy
  HENCE_FN double clip_low_mean() const { return share(clipped_low); }      ///< clip_ratio/low_mean
  HENCE_FN double clip_high_mean() const { return share(clipped_high); }  ///< clip_ratio/high_mean
  HENCE_FN double clip_region_mean() const {
    return share(clipped_low + clipped_high);
  }  ///< clip_ratio/region_mean

 private:
  static HENCE_FN double mean(const sum_of<S>& s, std::int64_t n) {
    return static_cast<double>(s.value()) / detail::at_least_one(n);
  }
  HENCE_FN double share(std::int64_t n) const {
    return static_cast<double>(n) / detail::at_least_one(tokens);
  }
};

}  // namespace hence::inline v0
