/// \file
/// `opo`: the baseline of least variance, a mean weighted by the lengths of the responses.
#pragma once

#include <hence/policy/advantage_checks.hpp>
#include <hence/policy/advantage_reference.hpp>

namespace hence::inline v0::advantage {

/// A = r - sum l r / sum l over the group, l the live tokens of each row. OPO, arXiv:2505.23585,
/// eq. 5. A group of equal rewards gets exactly 0, as does one without a live token.
/// `singleton_raw` leaves r as it is.
template <class Singleton> struct opo {
  static constexpr bool by_group = true;
  view<const std::int64_t> lengths;  ///< `[rows]`, 0 or more, at most 2^31 each
  Singleton singleton;

  template <class Isa = native_isa>
  void check(std::int64_t rows, hence::detail::byte_range out) const {
    using namespace hence::detail;
    if (lengths.extent[0] != rows)
      refuse(message() << "hence: lengths has " << lengths.extent[0]
                       << " entries, cu_groups describes " << rows << " rows");
    if (overlap(out, range_of(lengths)))
      refuse(message() << "hence: out overlaps lengths, expected separate arrays of " << rows
                       << " rows");
    for (std::int64_t i = 0; i < rows; ++i)
      if (lengths[i] < 0 || lengths[i] > (std::int64_t{1} << 31))
        refuse(message() << "hence: lengths[" << i << "] is " << lengths[i]
                         << ", expected 0 to 2^31");
  }
  /// The rows [begin, end) of one group.
  template <class S, class Isa>
  status run(view<const S> rewards, view<S> out, std::int64_t begin, std::int64_t end) const {
    using V = num<double, Isa>;
    status found = status::ok;
    if (hence::detail::is_special_group<S, Isa>(singleton, rewards, out, begin, end, found))
      return found;
    V low, high;
    const auto group = hence::detail::measure_rows<S, Isa>(rewards, begin, end, false, {}, low,
                                                           high, [](std::int64_t) { return true; });
    const V side = hence::detail::power_above(group.scaled(high) - group.scaled(low));
    const auto placed = [&](std::int64_t i) { return group.centred(V(rewards[i])) / side; };
    basic_exact_sum<Isa> weighted;
    std::int64_t tokens = 0;
    for (std::int64_t i = begin; i < end; ++i) {  // exact: the product, and what rounding took
      const V l = static_cast<double>(lengths[i]), x = placed(i), product = l * x;
      weighted.add(product.v), weighted.add(fma(l, x, -product).v);
      tokens += lengths[i];
    }
    const bool none = tokens == 0 || low == high;
    const V mean = none ? V(0.0) : V(weighted.value()) / V(static_cast<double>(tokens));
    for (std::int64_t i = begin; i < end; ++i) {
      out[i] = none ? S(0) : static_cast<S>(((placed(i) - mean) * side * group.moments.unit).v);
      if (out[i] - out[i] != 0) found = status::non_finite;
    }
    return found;
  }
};
template <class O> opo(view<const std::int64_t>, O) -> opo<O>;

}  // namespace hence::inline v0::advantage
