/// \file
/// What divides a centred reward. Every scale is a functor of a group's moments that returns what c
/// is multiplied by, and has `single(r, batch)`: what a group of one gets with baseline 0.
///
/// A divisor of magnitude below 2^-1000 counts as 0, and a divisor of 0 gives A = 0.
#pragma once

#include <hence/policy/advantage_rule.hpp>

namespace hence::inline v0::detail {

template <class V> HENCE_FN V inverse_or_zero(V divisor) {
  return select(abs(divisor) >= V(0x1p-1000), V(1.0) / divisor, V(0.0));
}
/// sqrt(squares / max(count - ddof, 1))
template <class V> HENCE_FN V deviation(V squares, V count, std::int64_t ddof) {
  const V divisor = greater(count - V(static_cast<double>(ddof)), V(1.0));
  return sqrt(squares * (V(1.0) / divisor));
}

}  // namespace hence::inline v0::detail

namespace hence::inline v0::advantage {

/// A = c/(sigma + eps), sigma = sqrt(sum (r - mu)^2 / max(G - ddof, 1)). Frameworks differ in both
/// numbers: TRL has ddof 1 and eps 1e-4, verl 1 and 1e-6, OpenRLHF 1 and 1e-9. Relative error of
/// sigma: at most (G + 8) 2^-51 for fp32 rewards, far below an ulp of fp32 (two rewards far apart
/// and all others in between come nearest), (sqrt(2 G) + 4) 2^-53 for `reference<double>`.
struct scale_group {
  static constexpr const char* name = "scale_group";
  std::int64_t ddof;  ///< 1: the deviation of a sample, 0: of a population
  double eps;         ///< 0 or more
  static constexpr bool reads_squares = true;
  template <class V> HENCE_FN V operator()(const moments<V>& g) const {
    return hence::detail::inverse_or_zero(hence::detail::deviation(g.squares, g.count, ddof) +
                                          V(eps) / g.unit);
  }
  /// Its deviation counts as 1.
  template <class V> HENCE_FN V single(V r, const batch_moments&) const {
    return r / (V(1.0) + V(eps));
  }
};

/// A = c. Dr. GRPO, arXiv:2503.20783.
struct scale_none {
  static constexpr bool reads_squares = false;
  template <class V> HENCE_FN V operator()(const moments<V>& g) const { return g.unit; }
  template <class V> HENCE_FN V single(V r, const batch_moments&) const { return r; }
};

/// A = c/(s + eps), s the deviation of all rewards of the batch about their mean,
/// sqrt(sum (r - m)^2 / max(N - ddof, 1)). TRL's `scale_rewards="batch"`; arXiv:2508.08221.
struct scale_batch {
  static constexpr const char* name = "scale_batch";
  std::int64_t ddof;
  double eps;
  static constexpr bool reads_squares = false, reads_batch = true;
  template <class V> HENCE_FN V operator()(const moments<V>& g) const {
    return hence::detail::inverse_or_zero(
        hence::detail::deviation(V(g.batch.squares), V(g.batch.count), ddof) + V(eps) / g.unit);
  }
  template <class V> HENCE_FN V single(V r, const batch_moments& b) const {
    return r * hence::detail::inverse_or_zero(
                   hence::detail::deviation(V(b.squares), V(b.count), ddof) * V(b.unit) + V(eps));
  }
};

/// A = c/(s + eps), s the deviation of all rewards, each about its own group's mean,
/// sqrt(sum (r - mu)^2 / max(N - ddof, 1)).
struct scale_batch_centred {
  static constexpr const char* name = "scale_batch_centred";
  std::int64_t ddof;
  double eps;
  static constexpr bool reads_squares = false, reads_batch = true;
  template <class V> HENCE_FN V operator()(const moments<V>& g) const {
    return hence::detail::inverse_or_zero(
        hence::detail::deviation(V(g.batch.centred), V(g.batch.count), ddof) + V(eps) / g.unit);
  }
  template <class V> HENCE_FN V single(V r, const batch_moments& b) const {
    return r * hence::detail::inverse_or_zero(
                   hence::detail::deviation(V(b.centred), V(b.count), ddof) * V(b.unit) + V(eps));
  }
};

/// A = c/(mu + eps). MaxRL, arXiv:2602.02710. A group of one keeps r itself.
struct scale_mean {
  static constexpr const char* name = "scale_mean";
  double eps;
  static constexpr bool reads_squares = true;  // a constant group gets +0 where mu is below 0 too
  template <class V> HENCE_FN V operator()(const moments<V>& g) const {
    return hence::detail::inverse_or_zero(g.mean + V(eps) / g.unit);
  }
  template <class V> HENCE_FN V single(V r, const batch_moments&) const { return r; }
};

/// A = alpha c, alpha = N / max(1, rewards of the batch that are not 0). GPG, arXiv:2504.02546.
struct scale_nonzero {
  static constexpr bool reads_squares = false, reads_batch = true;
  template <class V> HENCE_FN V operator()(const moments<V>& g) const {
    return single(g.unit, g.batch);
  }
  template <class V> HENCE_FN V single(V r, const batch_moments& b) const {
    return r * (V(b.count) / greater(V(b.nonzero), V(1.0)));
  }
};

}  // namespace hence::inline v0::advantage
