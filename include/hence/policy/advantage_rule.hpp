/// \file
/// Advantages of grouped rewards, A = c / (s + eps): three choices by type, their numbers as
/// members.
///
///     baseline   what is subtracted        advantage_baseline.hpp   c = r - mu, ...
///     scale      what divides              advantage_scale.hpp      s = sigma, or A = c, ...
///     singleton  what a group of one gets  here                     0, r, NaN
///
/// A baseline or a scale is a functor of a group's `moments`, written once: scalars, packs (one
/// group per lane) and kernels evaluate the same text, in float64. The named rules of the papers,
/// `advantage::grpo` and so on, are in advantage_named.hpp.
#pragma once

#include <hence/core/check.hpp>
#include <hence/core/math_sqrt.hpp>

namespace hence::inline v0::advantage {

/// What is known of all rows together, for rules that read it; in units of `unit`.
struct batch_moments {
  double count;    ///< N, rows of all groups
  double mean;     ///< of all rewards
  double squares;  ///< sum (r - mean)^2; exactly 0 if and only if all rewards are equal
  double centred;  ///< sum (r - mu)^2, each reward about its own group's mean
  double nonzero;  ///< how many rewards are not 0
  double unit;     ///< a power of two, that of every group; 0 if the rule does not read the batch
};

/// What is known of a group once its rewards were read, in units of `unit`.
/// \tparam V `num<double>`, or `pack<double>` with one group per lane.
template <class V> struct moments {
  V count;    ///< G, at least 1
  V mean;     ///< mu
  V squares;  ///< sum (r - mu)^2; exactly 0 if and only if all rewards are equal
  V unit;     ///< a power of two; 1 but for float64 rewards, whose squares it keeps in range
  batch_moments batch;  ///< of all groups of the call
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
/// A group of one is like any other. Only for baselines that are not the group's own mean.
struct singleton_as_group {
  static constexpr status condition = status::ok;
  template <class V> HENCE_FN V operator()(V scaled) const { return scaled; }
};

/// The rule itself. Any of its parts may be a `std::variant` of such parts.
template <class Baseline, class Scale, class Singleton> struct group_baseline {
  Baseline baseline;
  Scale scale;
  Singleton singleton;
};
template <class B, class S, class O> group_baseline(B, S, O) -> group_baseline<B, S, O>;

}  // namespace hence::inline v0::advantage

namespace hence::inline v0::detail {

/// What a part says of itself; what it does not say is as for `baseline_group` and `scale_group`.
template <class Baseline>
constexpr bool reads_reward = requires { requires Baseline::reads_reward; };
template <class Baseline>
constexpr bool keeps_group_mean = requires { requires Baseline::keeps_group_mean; };
template <class Part> constexpr bool part_reads_batch = requires { requires Part::reads_batch; };
template <class Rule>
constexpr bool reads_batch = part_reads_batch<std::remove_cvref_t<decltype(Rule::baseline)>> ||
                             part_reads_batch<std::remove_cvref_t<decltype(Rule::scale)>>;
template <class Rule>
constexpr bool reads_squares = std::remove_cvref_t<decltype(Rule::scale)>::reads_squares;
template <class Rule>
constexpr bool has_singleton_rule =
    !std::same_as<std::remove_cvref_t<decltype(Rule::singleton)>, advantage::singleton_as_group>;

/// c of a row. \param r its reward, \param e r - mu, both in units of `g.unit`.
template <class Rule, class V>
HENCE_FN V centre(const Rule& rule, V r, V e, const advantage::moments<V>& g) {
  if constexpr (reads_reward<std::remove_cvref_t<decltype(rule.baseline)>>)
    return rule.baseline(r, g);
  else
    return rule.baseline(e, g);
}
/// What c is multiplied by. A group of equal rewards gets 0 where its own mean is subtracted,
/// whatever eps is.
template <class Rule, class V>
HENCE_FN V factor_of(const Rule& rule, const advantage::moments<V>& g) {
  V factor = rule.scale(g);
  if constexpr (requires { rule.baseline.weight(g); }) factor = factor * rule.baseline.weight(g);
  if constexpr (reads_squares<Rule> &&
                !keeps_group_mean<std::remove_cvref_t<decltype(rule.baseline)>>)
    factor = select(g.squares > V(0.0), factor, V(0.0));
  return factor;
}

}  // namespace hence::inline v0::detail
