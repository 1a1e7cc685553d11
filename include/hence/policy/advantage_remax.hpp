/// \file
/// `remax`: each row against a reward given for it, that of the greedy response.
#pragma once

#include <hence/policy/advantage_checks.hpp>
#include <hence/policy/advantage_reference.hpp>

namespace hence::inline v0::advantage {

/// A = r - baseline, rounded once. ReMax, arXiv:2310.10505, eq. 8. Groups do not matter to it.
/// \tparam S of the rewards.
template <class S> struct remax {
  static constexpr bool by_group = true;
  using scalar = S;
  view<const S> baselines;  ///< `[rows]`

  template <class Isa = native_isa>
  void check(std::int64_t rows, hence::detail::byte_range out) const {
    using namespace hence::detail;
    if (baselines.extent[0] != rows)
      refuse(message() << "hence: baselines has " << baselines.extent[0]
                       << " entries, cu_groups describes " << rows << " rows");
    if (overlap(out, range_of(baselines)))
      refuse(message() << "hence: out overlaps baselines, expected separate arrays of " << rows
                       << " rows");
  }
  /// The rows [begin, end). One that is not finite spoils itself alone.
  template <class T, class Isa>
  status run(view<const T> rewards, view<T> out, std::int64_t begin, std::int64_t end) const {
    using V = num<double, Isa>;
    status found = status::ok;
    for (std::int64_t i = begin; i < end; ++i) {
      const V r = rewards[i], b = baselines[i];
      out[i] = static_cast<T>(((r - b) + ((r - r) + (b - b))).v);
      if (out[i] - out[i] != 0) found = status::non_finite;
    }
    return found;
  }
};
template <class S> remax(view<const S>) -> remax<S>;

}  // namespace hence::inline v0::advantage
