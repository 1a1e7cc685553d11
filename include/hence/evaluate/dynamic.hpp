/// \file
/// Dynamic sampling: groups whose samples all score the same teach nothing and are drawn anew.
/// DAPO, arXiv:2503.14476 eq. 11: 0 < number of correct ones < G. The filter reads the raw metric:
/// a reward with a length term in it is never constant, so filtering on that keeps every group.
#pragma once

#include <hence/core/view.hpp>

namespace hence::inline v0::evaluate {

/// What happened to the groups so far, and how many are still to be drawn.
struct refill {
  std::int64_t wanted = 0;     ///< groups of a full batch
  std::int64_t kept = 0;       ///< may exceed `wanted`: the surplus is the caller's to drop or keep
  std::int64_t generated = 0;  ///< groups judged
  std::int64_t all_low = 0;    ///< constant at the lowest: too hard
  std::int64_t all_high = 0;   ///< constant at the highest: too easy
  std::int64_t constant = 0;   ///< constant elsewhere
  std::int64_t broken = 0;     ///< a metric that is NaN or infinite

  /// Groups still wanted.
  HENCE_FN constexpr std::int64_t missing() const { return kept < wanted ? wanted - kept : 0; }
  /// Groups beyond those wanted.
  HENCE_FN constexpr std::int64_t surplus() const { return kept > wanted ? kept - wanted : 0; }
  /// Groups to draw next so that the missing ones come, at the rate so far: ceil(missing x
  /// generated / kept), at most `limit` and at least 1; `limit` where none was kept yet; 0 when
  /// nothing is missing.
  HENCE_FN constexpr std::int64_t next(std::int64_t limit) const {
    if (missing() == 0) return 0;
    if (kept == 0) return limit;
    const std::int64_t n = (missing() * generated + kept - 1) / kept;
    return n < limit ? n : limit;
  }
};

/// The metric's range, so that too hard and too easy are told apart.
struct metric_range {
  float lowest, highest;  ///< of all samples there may be, e.g. 0 and 1
};

namespace detail {

template <class Isa>
void judge_groups(view<const float> metric, view<const std::int64_t> cu_groups, float tolerance,
                  metric_range range, view<std::uint8_t> keep, refill& state) {
  for (std::int64_t g = 0; g < keep.extent[0]; ++g) {
    const std::int64_t begin = cu_groups[g], end = cu_groups[g + 1];
    float low = 0, high = 0;
    bool finite = true;
    for (std::int64_t i = begin; i < end; ++i) {
      const float x = metric[i];
      finite = finite && x - x == 0;
      low = i == begin || x < low ? x : low;
      high = i == begin || x > high ? x : high;
    }
    ++state.generated;
    keep[g] = finite && high - low > tolerance ? 1 : 0;
    if (keep[g] != 0)
      ++state.kept;
    else if (!finite)
      ++state.broken;
    else if (high <= range.lowest + tolerance && begin < end)
      ++state.all_low;
    else if (low >= range.highest - tolerance && begin < end)
      ++state.all_high;
    else
      ++state.constant;
  }
}

}  // namespace detail

/// keep[g] = 1 where the group's largest and smallest metric differ by more than `tolerance`;
/// counts every group in `state`. Empty groups and groups of one are constant.
/// \param metric the raw one, e.g. accuracy, before shaping // [samples]
/// \param cu_groups ascending from 0 // [groups + 1]
/// \param tolerance 0 or more; floating-point rewards differ by rounding.
/// \param range the lowest and the highest metric there is.
/// \param keep // [groups]
/// \param state counts on.
template <class Isa = native_isa>
[[gnu::always_inline]] inline void keep_informative(view<const float> metric,
                                                    view<const std::int64_t> cu_groups,
                                                    float tolerance, metric_range range,
                                                    view<std::uint8_t> keep, refill& state) {
  using hence::detail::message;
  const std::int64_t groups = keep.extent[0];
  if (cu_groups.extent[0] != groups + 1)
    hence::detail::refuse(message{} << "hence: cu_groups has " << cu_groups.extent[0]
                                    << " entries, keep describes " << groups << " groups");
  bool sound = cu_groups[0] == 0 && cu_groups[groups] == metric.extent[0];
  for (std::int64_t g = 0; sound && g < groups; ++g) sound = cu_groups[g] <= cu_groups[g + 1];
  if (!sound)
    hence::detail::refuse(message{} << "hence: cu_groups does not ascend from 0 to "
                                    << metric.extent[0] << ", the number of metrics");
  if (!(tolerance >= 0 && tolerance - tolerance == 0))
    hence::detail::refuse(message{} << "hence: tolerance is " << static_cast<double>(tolerance)
                                    << ", expected 0 or more");
  if (!(range.lowest <= range.highest))
    hence::detail::refuse(message{} << "hence: range.lowest is "
                                    << static_cast<double>(range.lowest)
                                    << ", expected at most range.highest, which is "
                                    << static_cast<double>(range.highest));
  detail::judge_groups<Isa>(metric, cu_groups, tolerance, range, keep, state);
}

/// Whether a prompt is neither too hard nor too easy: low samples <= correct <= high samples.
struct difficulty_filter {
  double low, high;  ///< shares of correct samples, low <= high, e.g. 0.1 and 0.9
  /// \param correct 0 to samples. \param samples of the prompt; without one it is not kept.
  template <class Isa = native_isa>
  [[gnu::always_inline]] constexpr bool operator()(std::int64_t correct,
                                                   std::int64_t samples) const {
    using hence::detail::message;
    if (!(low <= high))
      hence::detail::refuse(message{} << "hence: low is " << low
                                      << ", expected at most high, which is " << high);
    if (correct < 0 || correct > samples)
      hence::detail::refuse(message{} << "hence: correct is " << correct
                                      << ", expected 0 to samples, which is " << samples);
    if (samples == 0) return false;
    const double share = static_cast<double>(correct) / static_cast<double>(samples);
    return share >= low && share <= high;
  }
};

}  // namespace hence::inline v0::evaluate
