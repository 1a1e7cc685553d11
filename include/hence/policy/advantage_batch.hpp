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

/// Sums of all rows, each about the batch's mean and about its own group's. Rewards are finite.
template <class S, class Isa>
advantage::batch_moments moments_of_batch(const offsets& cu, view<const S> rewards) {
  using V = num<double, Isa>;
  const std::int64_t rows = cu[cu.rows()];
  advantage::batch_moments batch{static_cast<double>(rows), 0, 0, 0, 0, 0};
  V low, high;
  const auto every = [](std::int64_t) { return true; };
  const auto all = measure_rows<S, Isa>(rewards, 0, rows, true, batch, low, high, every);
  batch.mean = all.moments.mean.v, batch.squares = all.moments.squares.v;
  batch.unit = all.moments.unit.v;
  const V batch_unit = batch.unit;
  for (std::int64_t i = 0; i < rows; ++i) batch.nonzero += rewards[i] != 0 ? 1 : 0;
  // in units of a square above every one, so that the sum is within the range of an exact_sum
  const V side = greater(power_above((high - low) / batch_unit), V(0x1p-400)), square = side * side;
  basic_exact_sum<Isa> centred;
  for (std::int64_t g = 0; g < cu.rows(); ++g) {
    if (cu[g] == cu[g + 1]) continue;
    const auto group =
        measure_rows<S, Isa>(rewards, cu[g], cu[g + 1], true, batch, low, high, every);
    centred.add((group.moments.squares / square).v);
  }
  batch.centred = (V(centred.value()) * square).v;
  return batch;
}

template <class Rule> constexpr bool rule_reads_batch() {
  if constexpr (group_function<Rule>)
    return false;
  else
    return reads_batch<Rule>;
}

/// How a rule runs groups [begin, end): by the executor's engine, or by itself.
template <class Executor, class Rule, class S>
status run_groups(const Rule& rule, const advantage::batch_moments& batch, const offsets& cu,
                  view<const S> rewards, view<S> out, std::int64_t begin, std::int64_t end) {
  if constexpr (group_function<Rule>) {
    status found = status::ok;
    for (std::int64_t i = begin; i < end; ++i)
      if (cu[i + 1] > cu[i])
        found |= rule.template run<S, executor_isa<Executor>>(rewards, out, cu[i], cu[i + 1]);
    return found;
  } else {
    return group_engine<Executor>::run(rule, batch, cu, rewards, out, begin, end);
  }
}

/// What a rule needs to know of the batch: nothing, unless it says so.
template <class S, class Isa, class Rule>
advantage::batch_moments batch_for(const Rule&, const offsets& cu, view<const S> rewards) {
  if constexpr (rule_reads_batch<Rule>())
    return moments_of_batch<S, Isa>(cu, rewards);
  else
    return {0, 0, 0, 0, 0, 0};
}

}  // namespace hence::inline v0::detail
