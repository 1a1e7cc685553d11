/// \file
/// Surrogates (clip rules): the per-token policy term, to be minimised, as a function of the ratio.
///
/// A rule is a functor of `(ratio, advantage)` or of a `token` (policy/term.hpp). It returns its
/// value as the paper writes it; the gradient follows. A rule that is 0 wherever the advantage is 0
/// says so with `vanishes_with_advantage`: then an overflowing ratio times 0 is 0 and not NaN. One
/// whose gradient is finite wherever its value is, though the ratio overflows, may say
/// `gradient_follows_value`; of any other that is checked token by token, and reported. A rule with
/// `low` and `high` members has clip fractions in the metrics; one that reads `token::score` says
/// `reads_scores`; a `check()` member refuses numbers that make no sense, once per call.
#pragma once

#include <hence/core/check.hpp>
#include <hence/core/math.hpp>

namespace hence::inline v0::clip {

/// Refuses bounds that are no bounds of a ratio: NaN, or apart from 1, as the epsilons themselves
/// are.
template <class S>
[[gnu::always_inline]] inline void check_bounds(const char* rule, S low, S high) {
  if (!(low <= S(1) && high >= S(1)))
    detail::refuse(detail::message()
                   << "hence: " << rule << " has bounds [" << static_cast<double>(low) << ", "
                   << static_cast<double>(high)
                   << "] without 1 in them; they are bounds of the ratio, e.g. 0.8 and 1.28");
}

/// Two-sided PPO clip, -min(r A, clamp(r, [low, high]) A). arXiv:1707.06347 eq. 7; asymmetric
/// bounds
/// ("clip-higher"): DAPO, arXiv:2503.14476 eq. 10. At a bound the gradient passes.
template <class S = float> struct two_sided {
  static_assert(!std::integral<S>,
                "hence: bounds of a ratio are floating-point numbers: write 0.8f");
  S low, high;  // bounds of the ratio, e.g. 0.8 and 1.2; an absent one is an infinity
  static constexpr bool vanishes_with_advantage = true, gradient_follows_value = true;
  HENCE_FN constexpr auto operator()(const auto& ratio, const auto& advantage) const {
    return -min(ratio * advantage, clamp(ratio, low, high) * advantage);
  }
  [[gnu::always_inline]] void check() const { check_bounds("two_sided", low, high); }
};
template <class S> two_sided(S, S) -> two_sided<S>;

/// CISPO, -sg(clamp(r, [low, high])) A log pi: every token keeps its gradient. MiniMax-M1,
/// arXiv:2506.13585 eq. 4.
template <class S = float> struct cispo {
  static_assert(!std::integral<S>,
                "hence: bounds of a ratio are floating-point numbers: write 0.8f");
  S low, high;  // TRL's epsilon_high is `high` itself; verl's clip_ratio_high is `high` - 1
  static constexpr bool vanishes_with_advantage = true, gradient_follows_value = true;
  HENCE_FN constexpr auto operator()(const auto& t) const {
    return -detach(clamp(t.ratio, low, high)) * t.advantage * t.logp;
  }
  [[gnu::always_inline]] void check() const { check_bounds("cispo", low, high); }
};
template <class S> cispo(S, S) -> cispo<S>;

}  // namespace hence::inline v0::clip
