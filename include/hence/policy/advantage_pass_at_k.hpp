/// \file
/// `pass_at_k`: only the best row of a group learns, by how much it beats the second.
#pragma once

#include <hence/policy/advantage_checks.hpp>
#include <hence/policy/advantage_reference.hpp>

namespace hence::inline v0::advantage {

/// A = (r1 - r2)/(sigma + eps) for the first of the best rows, 0 for all others; r1 >= r2 are the
/// two largest rewards. arXiv:2508.10751 as verl computes it. `singleton_raw` leaves r as it is.
/// \tparam Scale `scale_group` or `scale_none`.
template <class Scale, class Singleton> struct pass_at_k {
  static constexpr bool by_group = true;
  Scale scale;
  Singleton singleton;

  template <class Isa = native_isa> void check(std::int64_t, hence::detail::byte_range) const {
    static_assert(std::same_as<Scale, scale_group> || std::same_as<Scale, scale_none>,
                  "hence: the scale of pass_at_k is scale_group or scale_none");
    hence::detail::check_scale(scale);
  }
  /// The rows [begin, end) of one group.
  template <class S, class Isa>
  status run(view<const S> rewards, view<S> out, std::int64_t begin, std::int64_t end) const {
    using V = num<double, Isa>;
    status found = status::ok;
    if (hence::detail::is_special_group<S, Isa>(singleton, rewards, out, begin, end, found))
      return found;
    V low, high;
    const auto group =
        hence::detail::measure_rows<S, Isa>(rewards, begin, end, Scale::reads_squares, {}, low,
                                            high, [](std::int64_t) { return true; });
    std::int64_t best = begin;
    for (std::int64_t i = begin; i < end; ++i) best = rewards[i] > rewards[best] ? i : best;
    V second = low;
    for (std::int64_t i = begin; i < end; ++i)
      second = i == best ? second : greater(V(rewards[i]), second);
    const V lead = group.scaled(V(rewards[best])) - group.scaled(second);
    for (std::int64_t i = begin; i < end; ++i) out[i] = static_cast<S>(0);
    out[best] = static_cast<S>((lead * scale(group.moments)).v);
    return out[best] - out[best] == 0 ? status::ok : status::non_finite;
  }
};
template <class S, class O> pass_at_k(S, O) -> pass_at_k<S, O>;

}  // namespace hence::inline v0::advantage
