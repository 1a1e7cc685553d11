/// \file
/// What happens to large KL values: clamps of the input and of the output, and a limit that keeps a
/// gradient.
///
/// A clamp's gradient is 0 outside: with the output limited to 10, k3 has none from u > 2.61 on,
/// just where the policy is farthest from the reference. `saturated` limits the value and the slope
/// separately instead.
#pragma once

#include <hence/policy/kl.hpp>

namespace hence::inline v0::kl {

/// Refuses bounds without 0 in them.
/// \param what "kl::clamped's input" or output, for the message.
/// \param low at most 0. \param high at least 0.
template <class S>
[[gnu::always_inline]] inline void check_bounds(const char* what, S low, S high) {
  if (!(low <= S(0) && high >= S(0)))
    detail::refuse(detail::message()
                   << "hence: " << what << " has bounds [" << static_cast<double>(low) << ", "
                   << static_cast<double>(high) << "] without 0 in them");
}

/// u limited before the estimator, its value limited after; gradient 0 outside either. An absent
/// bound is an infinity. verl, NeMo-RL, ms-swift: u +-20, value +-10; OpenRLHF, AReaL: value +-10.
template <class S = float> struct clamped {
  S input_low, input_high, output_low, output_high;  ///< of u, and of the estimator's value
  HENCE_FN constexpr auto input(const auto& u) const {
    return hence::clamp(u, input_low, input_high);
  }
  HENCE_FN constexpr auto output(const auto& v) const {
    return hence::clamp(v, output_low, output_high);
  }
  [[gnu::always_inline]] void check() const {
    check_bounds("kl::clamped's input", input_low, input_high);
    check_bounds("kl::clamped's output", output_low, output_high);
  }
};
template <class S> clamped(S, S, S, S) -> clamped<S>;

/// The value limited to [-ceiling, ceiling] and, separately, its slope to [-slope, slope]: far from
/// the reference the value no longer grows and the gradient still points back.
template <class S = float> struct saturated {
  S ceiling, slope;
  HENCE_FN constexpr auto input(const auto& u) const { return u; }
  template <class V, class P, class Q>
  HENCE_FN constexpr auto output(const dual<V, P, Q>& v) const {
    const V own = hence::clamp(detail::as_number<V>(v.own), -slope, slope);
    return dual<V, P, V>{hence::clamp(v.value, -ceiling, ceiling), v.pooled, own};
  }
  template <class V>
    requires detail::is_number<V>
  HENCE_FN constexpr V output(V v) const {
    return hence::clamp(v, -ceiling, ceiling);
  }
  [[gnu::always_inline]] void check() const {
    if (!(ceiling > S(0) && slope > S(0)))
      detail::refuse(detail::message()
                     << "hence: kl::saturated has ceiling " << static_cast<double>(ceiling)
                     << " and slope " << static_cast<double>(slope) << ", expected both above 0");
  }
};
template <class S> saturated(S, S) -> saturated<S>;

}  // namespace hence::inline v0::kl
