/// \file
/// A correction with a veto: the weights are those of another correction, and one token beyond the
/// veto's own, wider bounds takes its whole row out.
#pragma once

#include <hence/policy/correction.hpp>

namespace hence::inline v0::correction {

/// w = 0 for the whole row if any of its policy tokens has rho outside [low, high], else the w of
/// `rollout`. SkyRL's and AReaL's veto beside their token or sequence weights.
///
///     namespace c = hence::correction;
///     auto both = c::vetoed{
///         c::rollout{c::token_level{}, c::truncate{0.0f, 2.0f}, c::policy_only{}}, 1e-4f, 1e4f};
///
/// \tparam Rollout a `correction::rollout`; its scope is the veto's too.
template <class Rollout, class S> struct vetoed {
  using scalar = S;
  static_assert(std::same_as<S, typename Rollout::scalar>,
                "hence: the bounds of a veto are of the same type as those of its correction");
  Rollout rollout;
  S low, high;  ///< of the veto; an absent bound is an infinity
  [[no_unique_address]] decltype(Rollout::scope) scope{};
  static constexpr bool pooled = Rollout::pooled, averages = Rollout::averages, vetoes = true;

  template <class V> HENCE_FN constexpr V summand(V e) const { return rollout.summand(e); }
  /// The w of a row without an outlier.
  template <class V> HENCE_FN constexpr V weight(V e) const { return rollout.weight(e); }
  template <class V> HENCE_FN constexpr auto rejects(V e) const { return rollout.rejects(e); }
  /// 1 for a token that vetoes its row, else 0; NaN stays NaN.
  template <class V> HENCE_FN constexpr V outlier(V e) const {
    return select(is_outside(exp(e), low, high), V(1), e * V(0));
  }
  [[gnu::always_inline]] void check() const {
    rollout.check(), check_interval("vetoed", low, high);
  }
};
template <class R, class S> vetoed(R, S, S) -> vetoed<R, S>;

}  // namespace hence::inline v0::correction
