/// \file
/// Advantages of grouped rewards, A = c / (s + eps): three choices by type, their numbers as
/// members.
///
///     baseline   what is subtracted:       baseline_group           c = r - mu
///     scale      what divides:             scale_group, scale_none  s = sigma, or A = c
///     singleton  what a group of one gets: singleton_zero, singleton_raw, singleton_error
///
/// A baseline or a scale is a functor of a group's `moments`, written once: scalars, packs (one
/// group per lane) and kernels evaluate the same text, in float64.
#pragma once

#include <hence/core/check.hpp>
#include <hence/core/math_sqrt.hpp>

namespace hence::inline v0::advantage {

/// What is known of a group once its rewards were read, in units of `unit`.
/// \tparam V `num<double>`, or `pack<double>` with one group per lane.
template <class V> struct moments {
  V count;    ///< G, at least 1
  V mean;     ///< mu
  V squares;  ///< sum (r - mu)^2; exactly 0 if and only if all rewards are equal
  V unit;     ///< a power of two; 1 but for float64 rewards, whose squares it keeps in range
};

/// c = r - mu, the group's mean. DeepSeekMath, arXiv:2402.03300, 4.1.2.
struct baseline_group {
  /// \param e r - mu; every baseline is written with it.
  template <class V> HENCE_FN V operator()(V e, const moments<V>&) const { return e; }
};

/// A = c/(sigma + eps), sigma = sqrt(sum (r - mu)^2 / max(G - ddof, 1)). Frameworks differ in both
/// numbers: TRL has ddof 1 and eps 1e-4, verl 1 and 1e-6, OpenRLHF 1 and 1e-9. Relative error of
/// sigma: at most (G + 8) 2^-51 for fp32 rewards, far below an ulp of fp32 (two rewards far apart
/// and all others in between come nearest), (sqrt(2 G) + 4) 2^-53 for `reference<double>`.
struct scale_group {
  std::int64_t ddof;  ///< 1: the deviation of a sample, 0: of a population
  double eps;         ///< 0 or more
  static constexpr bool reads_squares = true;
  /// What c is multiplied by. A constant group gets 0, whatever eps is.
  template <class V> HENCE_FN V operator()(const moments<V>& g) const {
    const V divisor = greater(g.count - V(static_cast<double>(ddof)), V(1.0));
    const V sigma = sqrt(g.squares * (V(1.0) / divisor));
    return select(g.squares > V(0.0), V(1.0) / (sigma + V(eps) / g.unit), V(0.0));
  }
  /// A group of one with baseline 0: its deviation counts as 1.
  template <class V> HENCE_FN V single(V r) const { return r / (V(1.0) + V(eps)); }
};

/// A = c. Dr. GRPO, arXiv:2503.20783.
struct scale_none {
  static constexpr bool reads_squares = false;
  template <class V> HENCE_FN V operator()(const moments<V>& g) const { return g.unit; }
  template <class V> HENCE_FN V single(V r) const { return r; }
};

/// A group of one gets A = 0: its mean is its reward.
struct singleton_zero {
  static constexpr status condition = status::ok;
  template <class V> HENCE_FN V operator()(V) const { return V(0.0); }
};
/// A group of one keeps its reward: baseline 0, then scaled.
struct singleton_raw {
  static constexpr status condition = status::ok;
  template <class V> HENCE_FN V operator()(V scaled) const { return scaled; }
};
/// A group of one is a fault of the data: A = NaN and `status::singleton`.
struct singleton_error {
  static constexpr status condition = status::singleton;
  template <class V> HENCE_FN V operator()(V) const { return V(__builtin_nan("")); }
};

/// The rule itself. Any of its parts may be a `std::variant` of such parts.
template <class Baseline, class Scale, class Singleton> struct group_baseline {
  Baseline baseline;
  Scale scale;
  Singleton singleton;
};
template <class B, class S, class O> group_baseline(B, S, O) -> group_baseline<B, S, O>;

/// GRPO's advantage, (r - mean)/(std + eps): "subtracting the group average and dividing by the
/// group standard deviation", DeepSeekMath, arXiv:2402.03300, 4.1.2. The paper states neither ddof
/// nor eps, nor what a group of one gets.
template <class Singleton>
[[gnu::always_inline]] constexpr auto grpo(std::int64_t ddof, double eps, Singleton singleton) {
  return group_baseline<baseline_group, scale_group, Singleton>{{}, {ddof, eps}, singleton};
}

/// Dr. GRPO's advantage, r - mean, without the division by the deviation. arXiv:2503.20783, 3.2.
template <class Singleton> [[gnu::always_inline]] constexpr auto dr_grpo(Singleton singleton) {
  return group_baseline<baseline_group, scale_none, Singleton>{{}, {}, singleton};
}

/// Without a policy for groups of one there is no rule.
template <class Ddof, class Eps> constexpr auto grpo(Ddof, Eps) {
  static_assert(detail::always_false<Ddof>::value,
                "hence: advantage::grpo needs to know what a group of one gets: singleton_zero{}, "
                "singleton_raw{} or singleton_error{}");
}

}  // namespace hence::inline v0::advantage
