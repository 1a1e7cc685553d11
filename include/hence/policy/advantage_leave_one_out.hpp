/// \file
/// `leave_one_out`: mean and deviation of a group without the row itself.
#pragma once

#include <hence/policy/advantage_checks.hpp>
#include <hence/policy/advantage_reference.hpp>

namespace hence::inline v0::advantage {

/// Where the other rewards are equal: A = 0.
struct zero_variance_zero {
  template <class V> HENCE_FN V operator()(V) const { return V(0.0); }
};
/// Where the other rewards are equal: A = c, undivided (NeMo-RL).
struct zero_variance_centred {
  template <class V> HENCE_FN V operator()(V c) const { return c; }
};

/// A_i = c/(s + eps) with c = r_i - the mean of the others and s = sqrt(the others' squares about
/// their mean / max(G - 1 - ddof, 1)). NeMo-RL's default estimator. Whether the others are equal is
/// seen from the rewards themselves, so no residue of a subtraction is ever divided by.
/// Rows whose s would cancel are measured anew, at most one of a group of four or more.
template <class ZeroVariance, class Singleton> struct leave_one_out {
  static constexpr bool by_group = true;
  std::int64_t ddof;
  double eps;
  ZeroVariance zero_variance;  ///< what equal rewards of the others give
  Singleton singleton;

  template <class Isa = native_isa> void check(std::int64_t, hence::detail::byte_range) const {
    if (ddof < 0)
      hence::detail::refuse(hence::detail::message()
                            << "hence: leave_one_out.ddof is " << ddof << ", expected 0 or more");
    if (!(eps >= 0) || eps > 1.7e308)
      hence::detail::refuse(hence::detail::message() << "hence: leave_one_out.eps is " << eps
                                                     << ", expected a finite number, 0 or more");
  }
  /// The rows [begin, end) of one group.
  template <class S, class Isa>
  status run(view<const S> rewards, view<S> out, std::int64_t begin, std::int64_t end) const {
    using V = num<double, Isa>;
    status found = status::ok;
    if (hence::detail::is_special_group<S, Isa>(singleton, rewards, out, begin, end, found))
      return found;
    V low, high;
    const auto group = hence::detail::measure_rows<S, Isa>(rewards, begin, end, true, {}, low, high,
                                                           [](std::int64_t) { return true; });
    const auto& g = group.moments;
    const V others = g.count - V(1.0), weight = g.count / others;
    for (std::int64_t i = begin; i < end; ++i) {
      const V e = group.centred(V(rewards[i])), c = e * weight;
      V squares = g.squares - e * c;  // sum of the others about their own mean
      if (!(squares > g.squares * V(0.25))) {
        batch_moments same_unit{};
        same_unit.unit = g.unit.v;
        squares = hence::detail::measure_rows<S, Isa>(rewards, begin, end, true, same_unit, low,
                                                      high, [i](std::int64_t j) { return j != i; })
                      .moments.squares;
      }
      const V s = hence::detail::deviation(squares, others, ddof);
      const V a = squares > V(0.0) ? c * hence::detail::inverse_or_zero(s + V(eps) / g.unit)
                                   : zero_variance(c * g.unit);
      out[i] = static_cast<S>(a.v);
      if (out[i] - out[i] != 0) found |= status::non_finite;
    }
    return found;
  }
};
template <class Z, class O> leave_one_out(std::int64_t, double, Z, O) -> leave_one_out<Z, O>;

}  // namespace hence::inline v0::advantage
