/// \file
/// Surrogates whose gradient flows through the ratio: dual clip, upper bound, none, SAPO, GMPO.
#pragma once

#include <hence/policy/clip.hpp>

namespace hence::inline v0::clip {

/// Two-sided clip whose term is cut at -c A where A < 0 and r > c. Dual-clip PPO, arXiv:1912.09729.
/// verl applies it by default with c = 3.
template <class S = float> struct dual {
  static_assert(!std::integral<S>,
                "hence: bounds of a ratio are floating-point numbers: write 3.0f");
  S low, high, c;
  static constexpr bool vanishes_with_advantage = true, gradient_follows_value = true;
  HENCE_FN constexpr auto operator()(const auto& ratio, const auto& advantage) const {
    using V = std::remove_cvref_t<decltype(advantage)>;
    const auto inner = two_sided<S>{low, high}(ratio, advantage);
    return select((advantage < V(0)) & (detach(ratio) > V(c)), -(V(c) * advantage), inner);
  }
  [[gnu::always_inline]] void check() const {
    check_bounds("dual", low, high);
    if (!(c > S(1)))
      detail::refuse(detail::message() << "hence: dual has c = " << static_cast<double>(c)
                                       << ", expected a bound of the ratio above 1");
  }
};
template <class S> dual(S, S, S) -> dual<S>;

/// -min(min(r, delta) A, clamp(r, [low, high]) A), for both signs of A. INTELLECT-2,
/// arXiv:2505.07291; TRL's and Liger's delta.
template <class S = float> struct upper_bound {
  static_assert(!std::integral<S>,
                "hence: bounds of a ratio are floating-point numbers: write 4.0f");
  S low, high, delta;
  static constexpr bool vanishes_with_advantage = true, gradient_follows_value = true;
  HENCE_FN constexpr auto operator()(const auto& ratio, const auto& advantage) const {
    const S none = -static_cast<S>(__builtin_inff());
    return -min(clamp(ratio, none, delta) * advantage, clamp(ratio, low, high) * advantage);
  }
  [[gnu::always_inline]] void check() const {
    check_bounds("upper_bound", low, high);
    if (!(delta > S(1)))
      detail::refuse(detail::message()
                     << "hence: upper_bound has delta = " << static_cast<double>(delta)
                     << ", expected a bound of the ratio above 1");
  }
};
template <class S> upper_bound(S, S, S) -> upper_bound<S>;

/// -r A, not clipped.
struct none {
  static constexpr bool vanishes_with_advantage = true, gradient_follows_value = true;
  HENCE_FN constexpr auto operator()(const auto& ratio, const auto& advantage) const {
    return -(ratio * advantage);
  }
};

/// Soft adaptive policy optimization, -(4/tau) sigmoid(tau (r - 1)) A, tau by the sign of A
/// (tau_neg at 0). arXiv:2511.20347.
template <class S = float> struct sapo {
  static_assert(!std::integral<S>, "hence: temperatures are floating-point numbers: write 1.0f");
  S tau_pos, tau_neg;  ///< the temperatures for A > 0 and for A <= 0
  static constexpr bool vanishes_with_advantage = true, gradient_follows_value = true;
  HENCE_FN constexpr auto operator()(const auto& ratio, const auto& advantage) const {
    using V = std::remove_cvref_t<decltype(advantage)>;
    const auto positive = advantage > V(0);
    const V tau = select(positive, V(tau_pos), V(tau_neg));
    const V factor =
        select(positive, V(S(4)) / V(tau_pos), V(S(4)) / V(tau_neg));  // once, out of the loop
    // the gate is saturated far below 2^60, where slope 0 must not meet an infinite ratio
    const auto r = clamp(ratio, S(0), S(0x1p+60f));
    return -(sigmoid((r - V(1)) * tau) * (factor * advantage));
  }
  [[gnu::always_inline]] void check() const {
    if (!(tau_pos > S(1e-6) && tau_pos < S(1e6) && tau_neg > S(1e-6) && tau_neg < S(1e6)))
      detail::refuse(detail::message()
                     << "hence: sapo has temperatures " << static_cast<double>(tau_pos) << " and "
                     << static_cast<double>(tau_neg) << ", expected positive numbers near 1");
  }
};
template <class S> sapo(S, S) -> sapo<S>;

/// Geometric-mean policy optimization: -s A, s the exponential of the row's mean log-ratio, each
/// log-ratio limited on the side that A pushes it to before it is averaged. arXiv:2507.20673.
/// Needs `ratio::sequence`.
template <class S = float> struct gmpo {
  static_assert(!std::integral<S>,
                "hence: bounds of a log-ratio are floating-point numbers: write 0.4f");
  S log_low, log_high;  ///< ends of the log-ratio's interval
  static constexpr bool vanishes_with_advantage = true, gradient_follows_value = true,
                        needs_sequence_ratio = true;
  /// d <- min(d, log_high) where A > 0, max(d, log_low) where A < 0; at a bound the gradient
  /// passes.
  template <class V>
  HENCE_FN constexpr auto before_pooling(const hence::dual<V, one, zero>& d, V advantage) const {
    const S infinity = static_cast<S>(__builtin_inff());
    const V high = select(advantage > V(0), V(log_high), V(infinity));
    const V low = select(advantage < V(0), V(log_low), V(-infinity));
    return clamp(d, low, high);
  }
  HENCE_FN constexpr auto operator()(const auto& ratio, const auto& advantage) const {
    return -(ratio * advantage);
  }
  [[gnu::always_inline]] void check() const {
    if (!(log_low <= S(0) && log_high >= S(0)))
      detail::refuse(detail::message()
                     << "hence: gmpo has bounds [" << static_cast<double>(log_low) << ", "
                     << static_cast<double>(log_high)
                     << "] without 0 in them; they are bounds of the log-ratio, e.g. -0.4 and 0.4");
  }
};
template <class S> gmpo(S, S) -> gmpo<S>;

}  // namespace hence::inline v0::clip
