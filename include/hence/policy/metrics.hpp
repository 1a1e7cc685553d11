/// \file
/// Metrics of the same pass, as sums and counts that merge like the loss; TRL's names in comments.
#pragma once

#include <hence/core/sum.hpp>
#include <hence/policy/aggregate.hpp>

namespace hence::inline v0 {

/// No metrics are computed; their cost is not paid.
struct no_metrics {
  HENCE_FN no_metrics& operator+=(const no_metrics&) { return *this; }
};

/// Sums over the live tokens of the metric mask.
template <class S> struct policy_metrics {
  std::int64_t tokens = 0;        ///< live metric tokens
  std::int64_t clipped_low = 0;   ///< r < low and A < 0
  std::int64_t clipped_high = 0;  ///< r > high and A > 0
  S max_ratio = 0;                ///< importance_sampling_ratio/max; 0 without tokens
  sum_of<S> ratios;
  sum_of<S> kls;

  HENCE_FN policy_metrics() {}

  HENCE_FN policy_metrics& operator+=(const policy_metrics& o) {
    tokens += o.tokens, clipped_low += o.clipped_low, clipped_high += o.clipped_high;
    if (!(o.max_ratio <= max_ratio)) max_ratio = o.max_ratio;  // NaN wins
    ratios += o.ratios, kls += o.kls;
    return *this;
  }

  HENCE_FN double ratio_mean() const { return mean(ratios); }   ///< importance_sampling_ratio/mean
  HENCE_FN double kl_mean() const { return mean(kls); }         ///< kl
  HENCE_FN double clip_low_mean() const { return share(clipped_low); }    ///< clip_ratio/low_mean
  HENCE_FN double clip_high_mean() const { return share(clipped_high); }  ///< clip_ratio/high_mean
  HENCE_FN double clip_region_mean() const { return share(clipped_low + clipped_high); }  ///< clip_ratio/region_mean

 private:
  HENCE_FN double mean(const sum_of<S>& s) const { return static_cast<double>(s.value()) / detail::at_least_one(tokens); }
  HENCE_FN double share(std::int64_t n) const { return static_cast<double>(n) / detail::at_least_one(tokens); }
};

}  // namespace hence::inline v0
