/// \file
/// The importance ratio r = pi(o)/pi_anchor(o): at which level it is taken, against what, and
/// whether its logarithm is limited before the exponential.
///
/// A level is a struct with three facts: `pooled`, its value is the row's; `shares_gradient`, it is
/// differentiated through every token of the row; `averages`, the row's log-ratios are averaged,
/// else summed.
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

/// The ratio is taken against the policy at the beginning of the step.
struct against_old {
  static constexpr bool reads_old = true, reads_rollout = false;
  HENCE_FN constexpr auto of(const auto& row) const { return row.old; }
};
/// Against the engine that sampled the tokens: prime-rl, verl's bypass mode.
struct against_rollout {
  static constexpr bool reads_old = false, reads_rollout = true;
  HENCE_FN constexpr auto of(const auto& row) const { return row.rollout; }
};
/// Against the policy itself: r = 1 with the gradient of log pi. On-policy, REINFORCE's gradient;
/// NeMo-RL's force_on_policy_ratio, TRL without old log-probs.
struct against_self {
  static constexpr bool reads_old = false, reads_rollout = false;
  HENCE_FN constexpr auto of(const auto& row) const { return row.logp; }
};

/// Refuses a log-ratio limit that makes no sense.
template <class Clamp> [[gnu::always_inline]] inline void check_clamp(const Clamp& clamp) {
  if constexpr (requires { clamp.check(); }) clamp.check();
}

/// r_t = exp(log pi(o_t) - log pi_old(o_t)). DeepSeekMath, arXiv:2402.03300 eq. 3; PPO,
/// arXiv:1707.06347.
template <class Clamp = unclamped, class Anchor = against_old> struct token {
  Clamp clamp{};
  Anchor anchor{};  // `against_old`, `against_rollout` or `against_self`
  [[gnu::always_inline]] void check() const { check_clamp(clamp); }
  static constexpr bool pooled = false, shares_gradient = false, averages = false;
};

/// s_i = exp(mean over the row's live tokens of log pi - log pi_old), differentiated through every
/// token. GSPO, arXiv:2507.18071 eq. 7.
template <class Clamp = unclamped, class Anchor = against_old> struct sequence {
  Clamp clamp{};
  Anchor anchor{};  // `against_old`, `against_rollout` or `against_self`
  [[gnu::always_inline]] void check() const { check_clamp(clamp); }
  static constexpr bool pooled = true, shares_gradient = true, averages = true;
};

/// s_it = sg(s_i) pi(o_t)/sg(pi(o_t)): the value of `sequence`, each token's gradient its own.
/// GSPO-token, arXiv:2507.18071 (4.3); verl's and SkyRL's "gspo".
template <class Clamp = unclamped, class Anchor = against_old> struct sequence_token {
  Clamp clamp{};
  Anchor anchor{};  // `against_old`, `against_rollout` or `against_self`
  [[gnu::always_inline]] void check() const { check_clamp(clamp); }
  static constexpr bool pooled = true, shares_gradient = false, averages = true;
};

/// rho_i = pi(o_i)/pi_old(o_i), the product over the row's live tokens: the ratio that DeepSeek-R1
/// writes, arXiv:2501.12948 eq. 1, and TRL's RLOO clips.
template <class Clamp = unclamped, class Anchor = against_old> struct sequence_product {
  Clamp clamp{};
  Anchor anchor{};  // `against_old`, `against_rollout` or `against_self`
  [[gnu::always_inline]] void check() const { check_clamp(clamp); }
  static constexpr bool pooled = true, shares_gradient = true, averages = false;
};

token() -> token<unclamped, against_old>;
template <class C> token(C) -> token<C, against_old>;
template <class C, class A> token(C, A) -> token<C, A>;
sequence() -> sequence<unclamped, against_old>;
template <class C> sequence(C) -> sequence<C, against_old>;
template <class C, class A> sequence(C, A) -> sequence<C, A>;
sequence_token() -> sequence_token<unclamped, against_old>;
template <class C> sequence_token(C) -> sequence_token<C, against_old>;
template <class C, class A> sequence_token(C, A) -> sequence_token<C, A>;
sequence_product() -> sequence_product<unclamped, against_old>;
template <class C> sequence_product(C) -> sequence_product<C, against_old>;
template <class C, class A> sequence_product(C, A) -> sequence_product<C, A>;

}  // namespace hence::inline v0::ratio
