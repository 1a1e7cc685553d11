/// \file
/// `drop_unscored`: a reward of NaN means that nobody could score the row.
#pragma once

#include <hence/policy/advantage_checks.hpp>
#include <hence/policy/advantage_reference.hpp>

namespace hence::inline v0::advantage {

/// Rows whose reward is NaN get A = 0 and count for nothing; the others are a group, and a batch,
/// among themselves (TRL). Without this wrapper a NaN makes its whole group NaN, of a rule that
/// reads the batch every row. An infinity still does, but for the rows without a score.
/// \tparam Rule a `group_baseline`.
template <class Rule> struct drop_unscored {
  static constexpr bool by_group = true;
  /// Whether the rule reads the batch: that of the rows with a score.
  static constexpr bool batch_of_scored = hence::detail::reads_batch<Rule>;
  Rule rule;  ///< for the rewards that are there

  template <class Isa = native_isa> void check(std::int64_t, hence::detail::byte_range) const {
    static_assert(hence::detail::check_advantage_rule<Rule>());
    hence::detail::check_scale(rule.scale);
  }
  /// The rows [begin, end) of one group.
  template <class S, class Isa>
  status run(const batch_moments& batch, view<const S> rewards, view<S> out, std::int64_t begin,
             std::int64_t end) const {
    const auto scored = [&](std::int64_t i) { return rewards[i] == rewards[i]; };
    for (std::int64_t i = begin; i < end; ++i)
      if (!scored(i)) out[i] = static_cast<S>(0);
    return hence::detail::group_of<S, Isa>(rule, batch, rewards, out, begin, end, scored);
  }
};
template <class R> drop_unscored(R) -> drop_unscored<R>;

}  // namespace hence::inline v0::advantage
