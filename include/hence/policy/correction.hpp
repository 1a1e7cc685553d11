/// \file
/// Correction for rollout mismatch: the sampling engine's probabilities are not the trainer's, so
/// the terms are weighted with rho = pi_old/pi_rollout, taken of a token or of a row, and bounded.
///
/// A correction is three choices by type (level, mode, scope) and perhaps a log clamp. The weight
/// is constant in the gradient. A weight of 0 gives exactly 0, also where the term is infinite.
///
/// The denominator is kept: tokens of weight 0 still count in it. Where they shall leave it, and
/// with it the ratio's pooling, the KL, the entropy and the metrics, let `shrink_mask`
/// (policy/shrink_mask.hpp) take them off the response mask before the loss counts.
#pragma once

#include <hence/policy/ratio.hpp>

namespace hence::inline v0::correction {

/// No correction; the rollout's log-probs are not asked for.
struct none {};

/// rho of each token. Truncated: TIS; masked: IcePop.
struct token_level {
  static constexpr bool pooled = false, averages = false;
};
/// rho of the whole row, the product over its live tokens. verl, TRL.
struct sequence_level {
  static constexpr bool pooled = true, averages = false;
};
/// The geometric mean over the row's live tokens. SkyRL, ms-swift's "sequence".
struct geometric_level {
  static constexpr bool pooled = true, averages = true;
};

/// The policy term is weighted, the KL term is not: TRL, Liger, NeMo-RL, verl.
struct policy_only {};
/// Both terms are weighted: ms-swift.
struct policy_and_kl {};

/// Refuses bounds that no rho lies between; an absent bound is an infinity.
template <class S>
[[gnu::always_inline]] inline void check_interval(const char* mode, S low, S high) {
  if (!(low <= high) || high <= S(0))
    detail::refuse(detail::message()
                   << "hence: " << mode << " has bounds [" << static_cast<double>(low) << ", "
                   << static_cast<double>(high) << "], expected low <= high and high above 0");
}

/// NaN is inside: the loss reports it.
template <class V, class S> HENCE_FN constexpr auto is_outside(V rho, S low, S high) {
  return (rho < V(low)) | (rho > V(high));
}

/// w = clamp(rho, [low, high]). Truncated importance sampling, Yao et al. (2025).
template <class S = float> struct truncate {
  using scalar = S;
  S low, high;
  template <class V> HENCE_FN constexpr V operator()(V rho) const {
    return hence::clamp(rho, low, high);
  }
  template <class V> HENCE_FN constexpr auto rejects(V) const { return V(1) < V(0); }
  [[gnu::always_inline]] void check() const { check_interval("truncate", low, high); }
};
/// w = rho if low <= rho <= high, else 0. IcePop, arXiv:2510.18855.
template <class S = float> struct mask {
  using scalar = S;
  S low, high;
  template <class V> HENCE_FN constexpr V operator()(V rho) const {
    return select(rejects(rho), V(0), rho);
  }
  template <class V> HENCE_FN constexpr auto rejects(V rho) const {
    return is_outside(rho, low, high);
  }
  [[gnu::always_inline]] void check() const { check_interval("mask", low, high); }
};
/// w = 1 if low <= rho <= high, else 0.
template <class S = float> struct reject {
  using scalar = S;
  S low, high;
  template <class V> HENCE_FN constexpr V operator()(V rho) const {
    return select(rejects(rho), V(0), V(1));
  }
  template <class V> HENCE_FN constexpr auto rejects(V rho) const {
    return is_outside(rho, low, high);
  }
  [[gnu::always_inline]] void check() const { check_interval("reject", low, high); }
};
template <class S> truncate(S, S) -> truncate<S>;
template <class S> mask(S, S) -> mask<S>;
template <class S> reject(S, S) -> reject<S>;

/// w = mode(exp(clamp(E))), E = log pi_old - log pi_rollout of the token, or its sum or mean over
/// the row.
template <class Level, class Mode, class Scope, class Clamp = ratio::unclamped> struct rollout {
  using scalar = typename Mode::scalar;
  Level level;  ///< `token_level`, `sequence_level` or `geometric_level`
  Mode mode;
  Scope scope;
  Clamp clamp{};
  static constexpr bool pooled = Level::pooled, averages = Level::averages;

  /// What a token adds to its row's E.
  template <class V> HENCE_FN constexpr V summand(V e) const { return e; }
  template <class V> HENCE_FN constexpr V weight(V e) const { return mode(exp(clamp(e))); }
  /// Whether the tokens of this E are the ones that a shrunk denominator leaves out.
  template <class V> HENCE_FN constexpr auto rejects(V e) const {
    return mode.rejects(exp(clamp(e)));
  }
  [[gnu::always_inline]] void check() const { ratio::check_clamp(clamp), mode.check(); }
};
template <class L, class M, class S> rollout(L, M, S) -> rollout<L, M, S, ratio::unclamped>;
template <class L, class M, class S, class C> rollout(L, M, S, C) -> rollout<L, M, S, C>;

/// w = 0 for the whole row if any of its tokens has rho outside [low, high], else 1. AReaL, SkyRL.
template <class S, class Scope> struct veto {
  using scalar = S;
  S low, high;
  Scope scope;
  static constexpr bool pooled = true, averages = false;

  template <class V> HENCE_FN constexpr V summand(V e) const {
    return select(is_outside(exp(e), low, high), V(1), e * V(0));  // NaN stays NaN
  }
  template <class V> HENCE_FN constexpr V weight(V outliers) const {
    return select(rejects(outliers), V(0), V(1));
  }
  template <class V> HENCE_FN constexpr auto rejects(V outliers) const { return outliers > V(0); }
  [[gnu::always_inline]] void check() const { check_interval("veto", low, high); }
};
template <class S, class Scope> veto(S, S, Scope) -> veto<S, Scope>;

}  // namespace hence::inline v0::correction

namespace hence::inline v0::gate {

/// Every row's policy term counts.
struct none {};

/// OPSM, off-policy sequence masking: a row with A < 0 loses its policy term if the mean over its
/// live tokens of log pi_anchor - log pi exceeds the threshold. The KL term and the denominator
/// stay. DeepSeek-V3.2, arXiv:2512.02556. Needs one advantage per row.
/// \tparam Anchor `ratio::against_old` or `ratio::against_rollout`.
template <class S, class Anchor> struct opsm {
  using scalar = S;
  S threshold;
  Anchor anchor;
  /// \param mean over the row's live tokens of log pi_anchor - log pi. \param advantage the row's.
  template <class V> HENCE_FN constexpr auto closes(V mean, V advantage) const {
    return (advantage < V(0)) & (mean > V(threshold));
  }
  /// An infinite threshold closes no row.
  HENCE_FN constexpr bool can_close() const { return !(threshold > S(3e38)); }
  [[gnu::always_inline]] void check() const {
    if (threshold != threshold)
      detail::refuse(detail::message() << "hence: opsm has threshold nan, expected a number");
  }
};
template <class S, class A> opsm(S, A) -> opsm<S, A>;

}  // namespace hence::inline v0::gate

namespace hence::inline v0::entropy {

/// No entropy term; the entropies are not asked for.
struct none {};

/// loss - coef aggregate(H), H the entropy of the token's distribution; aggregated like the loss.
template <class S = float> struct bonus {
  S coef;
  [[gnu::always_inline]] void check() const {
    if (!(coef - coef == S(0)))
      detail::refuse(detail::message()
                     << "hence: entropy::bonus has coefficient " << static_cast<double>(coef)
                     << ", expected a finite number");
  }
};
template <class S> bonus(S) -> bonus<S>;

}  // namespace hence::inline v0::entropy
