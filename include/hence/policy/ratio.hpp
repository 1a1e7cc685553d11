/// \file
/// The importance ratio r = pi(o)/pi_old(o): at which level it is taken, and whether its logarithm
/// is limited before the exponential.
#pragma once

#include <hence/core/check.hpp>
#include <hence/core/math.hpp>

namespace hence::inline v0::ratio {

/// No limit on the log-ratio: r may overflow to infinity. TRL, Liger, NeMo-RL, slime, AReaL.
struct unclamped {
  HENCE_FN constexpr auto operator()(const auto& log_ratio) const { return log_ratio; }
};

/// The log-ratio limited to [low, high], with gradient 0 outside. verl, OpenRLHF, SkyRL: +-20.
/// An absent bound is an infinity.
template <class S = float> struct log_clamp {
  static_assert(!std::integral<S>,
                "hence: bounds of a log-ratio are floating-point numbers: write 20.0f");
  S low, high;
  HENCE_FN constexpr auto operator()(const auto& log_ratio) const {
    return hence::clamp(log_ratio, low, high);
  }
  [[gnu::always_inline]] void check() const {
    if (!(low <= S(0) && high >= S(0)))
      detail::refuse(detail::message()
                     << "hence: log_clamp has bounds [" << static_cast<double>(low) << ", "
                     << static_cast<double>(high)
                     << "] without 0 in them; they are bounds of the log-ratio, e.g. -20 and 20");
  }
};
template <class S> log_clamp(S, S) -> log_clamp<S>;

/// r_t = exp(log pi(o_t) - log pi_old(o_t)). DeepSeekMath, arXiv:2402.03300 eq. 3; PPO,
/// arXiv:1707.06347.
template <class Clamp = unclamped> struct token {
  Clamp clamp{};
  [[gnu::always_inline]] void check() const {
    if constexpr (requires { clamp.check(); }) clamp.check();
  }
  static constexpr bool pooled = false;
};

/// s_i = exp(mean over the row's live tokens of log pi - log pi_old), differentiated through every
/// token. GSPO, arXiv:2507.18071 eq. 7.
template <class Clamp = unclamped> struct sequence {
  Clamp clamp{};
  [[gnu::always_inline]] void check() const {
    if constexpr (requires { clamp.check(); }) clamp.check();
  }
  static constexpr bool pooled = true;
};

token() -> token<unclamped>;
template <class C> token(C) -> token<C>;
sequence() -> sequence<unclamped>;
template <class C> sequence(C) -> sequence<C>;

}  // namespace hence::inline v0::ratio
