/// \file
/// What rules that read the whole batch know of it: one prepass over all rewards.
///
/// The sums are those of one group that holds every row (advantage_sums.hpp), so their bits depend
/// neither on the order of the rows nor on the executor.
#pragma once

#include <hence/core/layout.hpp>
#include <hence/policy/advantage_checks.hpp>
#include <hence/policy/advantage_reference.hpp>

namespace hence::inline v0::detail {

/// Sums of the rows that `has(i)` names, each about their mean and about that of its own group's.
/// Their rewards are finite.
template <class S, class Isa, class Has>
advantage::batch_moments moments_of_batch(const offsets& cu, view<const S> rewards, Has has) {
  using V = num<double, Isa>;
  const std::int64_t rows = cu[cu.rows()];
  const auto count = [&](std::int64_t begin, std::int64_t end) {
    std::int64_t n = 0;
    for (std::int64_t i = begin; i < end; ++i) n += has(i);
    return n;
  };
  const std::int64_t counted = count(0, rows);
  advantage::batch_moments batch{static_cast<double>(counted), 0, 0, 0, 0, 0};
  if (counted == 0) return batch;
  V low, high;
  const auto all = measure_rows<S, Isa>(rewards, 0, rows, true, batch, low, high, has);
  batch.mean = all.moments.mean.v, batch.squares = all.moments.squares.v;
  batch.unit = all.moments.unit.v;
  const V batch_unit = batch.unit;
  for (std::int64_t i = 0; i < rows; ++i) batch.nonzero += has(i) && rewards[i] != 0 ? 1 : 0;
  // in units of a square above every one, so that the sum is within the range of an exact_sum
  const V side = greater(power_above((high - low) / batch_unit), V(0x1p-400)), square = side * side;
  basic_exact_sum<Isa> centred;
  for (std::int64_t g = 0; g < cu.rows(); ++g) {
    if (count(cu[g], cu[g + 1]) == 0) continue;
    const auto group = measure_rows<S, Isa>(rewards, cu[g], cu[g + 1], true, batch, low, high, has);
    centred.add((group.moments.squares / square).v);
  }
  batch.centred = (V(centred.value()) * square).v;
  return batch;
}

template <class Rule> constexpr bool rule_reads_batch() {
  if constexpr (requires { Rule::batch_of_scored; })
    return Rule::batch_of_scored;
  else if constexpr (group_function<Rule>)
    return false;
  else
    return reads_batch<Rule>;
}
/// Whether a row counts for a rule that reads the batch: all do, but those without a score of a
/// rule that drops them.
template <class Rule, class S> HENCE_FN bool counts_reward(S reward) {
  if constexpr (requires { Rule::batch_of_scored; })
    return reward == reward;
  else
    return true;
}
/// What a rule that reads the batch gives one that has an infinity or a NaN.
template <class Rule, class Isa, class S>
bool spoil_batch(view<const S> rewards, view<S> out, std::int64_t rows) {
  bool finite = true;
  for (std::int64_t i = 0; i < rows; ++i)
    finite = finite && (rewards[i] - rewards[i] == 0 || !counts_reward<Rule>(rewards[i]));
  for (std::int64_t i = 0; i < rows && !finite; ++i)
    out[i] = counts_reward<Rule>(rewards[i]) ? static_cast<S>(__builtin_nan("")) : S(0);
  return !finite;
}

/// How a rule runs groups [begin, end): by the executor's engine, or by itself.
template <class Executor, class Rule, class S>
status run_groups(const Rule& rule, const advantage::batch_moments& batch, const offsets& cu,
                  view<const S> rewards, view<S> out, std::int64_t begin, std::int64_t end) {
  if constexpr (group_function<Rule>) {
    status found = status::ok;
    using isa = executor_isa<Executor>;
    for (std::int64_t i = begin; i < end; ++i) {
      if (cu[i + 1] == cu[i]) continue;
      if constexpr (requires { Rule::batch_of_scored; })
        found |= rule.template run<S, isa>(batch, rewards, out, cu[i], cu[i + 1]);
      else
        found |= rule.template run<S, isa>(rewards, out, cu[i], cu[i + 1]);
    }
    return found;
  } else {
    return group_engine<Executor>::run(rule, batch, cu, rewards, out, begin, end);
  }
}

/// What a rule needs to know of the batch: nothing, unless it says so.
template <class S, class Isa, class Rule>
advantage::batch_moments batch_for(const Rule&, const offsets& cu, view<const S> rewards) {
  if constexpr (rule_reads_batch<Rule>())
    return moments_of_batch<S, Isa>(
        cu, rewards, [&](std::int64_t i) { return counts_reward<Rule>(rewards[i]); });
  else
    return {0, 0, 0, 0, 0, 0};
}

}  // namespace hence::inline v0::detail
