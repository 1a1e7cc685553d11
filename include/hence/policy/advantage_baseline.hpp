/// \file
/// What is subtracted from a reward. Every baseline is a functor of (e, moments) with e = r - mu,
/// or of (r, moments) if it says `reads_reward`.
#pragma once

#include <hence/policy/advantage_rule.hpp>

namespace hence::inline v0::advantage {

/// c = r - mu, the group's mean. DeepSeekMath, arXiv:2402.03300, 4.1.2.
struct baseline_group {
  /// \param e r - mu
  template <class V> HENCE_FN V operator()(V e, const moments<V>&) const { return e; }
};

/// c = (r - mu) G/(G - 1) = r - the mean of the group's other rewards. RLOO, arXiv:2402.14740,
/// eq. 8.
struct baseline_leave_one_out {
  template <class V> HENCE_FN V operator()(V e, const moments<V>&) const { return e; }
  /// Of the whole group, so that it is computed once: c = e weight.
  template <class V> HENCE_FN V weight(const moments<V>& g) const {
    return g.count / greater(g.count - V(1.0), V(1.0));
  }
};

/// c = r - the mean of all rewards of the batch. Groups do not matter to it, so its rule has
/// `singleton_as_group`.
struct baseline_batch {
  static constexpr bool reads_reward = true, keeps_group_mean = true, reads_batch = true;
  template <class V> HENCE_FN V operator()(V r, const moments<V>& g) const {
    return r - V(g.batch.mean);
  }
};

/// c = r. REINFORCE without a baseline.
struct baseline_none {
  static constexpr bool reads_reward = true, keeps_group_mean = true;
  template <class V> HENCE_FN V operator()(V r, const moments<V>&) const { return r; }
};

}  // namespace hence::inline v0::advantage
