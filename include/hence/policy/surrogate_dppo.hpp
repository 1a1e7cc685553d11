/// \file
/// DPPO: a trust region on the probabilities themselves instead of on their ratio.
/// arXiv:2602.04879.
///
/// P = pi(token), Q = pi_anchor(token). A token that has left the region in the direction that its
/// advantage pushes loses its term; the others keep -w A log pi (`weight_capped`) or -r A
/// (`through_ratio`).
#pragma once

#include <hence/policy/clip.hpp>

namespace hence::inline v0::clip {

/// -sg(min(r, cap)) A log pi; an absent cap is an infinity. verl.
template <class S = float> struct weight_capped {
  S cap;
  HENCE_FN constexpr auto operator()(const auto& t) const {
    return -lesser(detach(t.ratio), decltype(t.advantage + t.advantage)(cap)) * t.advantage *
           t.logp;
  }
  [[gnu::always_inline]] void check() const {
    if (!(cap > S(0)))
      detail::refuse(detail::message() << "hence: weight_capped has cap "
                                       << static_cast<double>(cap) << ", expected it above 0");
  }
};
template <class S> weight_capped(S) -> weight_capped<S>;
/// -r A, the ratio differentiable. SkyRL, prime-rl.
struct through_ratio {
  HENCE_FN constexpr auto operator()(const auto& t) const { return -(t.ratio * t.advantage); }
  [[gnu::always_inline]] void check() const {}
};

/// Refuses negative thresholds and NaN.
template <class S>
[[gnu::always_inline]] inline void check_deltas(const char* rule, S low, S high) {
  if (!(low >= S(0) && high >= S(0)))
    detail::refuse(detail::message()
                   << "hence: " << rule << " has deltas " << static_cast<double>(low) << " and "
                   << static_cast<double>(high) << ", expected 0 or more");
}

/// Total variation: kept while P - Q <= delta_high (A > 0) or P - Q >= -delta_low (A < 0).
template <class S, class Form> struct dppo_tv {
  static_assert(!std::integral<S>, "hence: deltas are floating-point numbers: write 0.2f");
  using scalar = S;
  S delta_low, delta_high;
  Form form;  ///< how the kept tokens are weighted
  static constexpr bool vanishes_with_advantage = true, gradient_follows_value = true;
  HENCE_FN constexpr auto operator()(const auto& t) const {
    using V = std::remove_cvref_t<decltype(t.advantage)>;
    const V moved = exp(detach(t.logp)) - exp(t.anchor);
    const auto up = t.advantage > V(0), down = !up;
    const auto kept = (up & (moved <= V(delta_high))) | (down & (moved >= V(-delta_low)));
    return select(kept, form(t), V(0));
  }
  [[gnu::always_inline]] void check() const {
    check_deltas("dppo_tv", delta_low, delta_high), form.check();
  }
};
template <class S, class F> dppo_tv(S, S, F) -> dppo_tv<S, F>;

/// Binary KL, D = Q (log Q - log P) + (1 - Q) ln((1 - Q + 1e-8)/(1 - P + 1e-8)): kept while
/// D <= delta_high or P <= Q (A > 0), D <= delta_low or P >= Q (A < 0). 1 - P is taken without
/// cancellation.
template <class S, class Form> struct dppo_kl {
  static_assert(!std::integral<S>, "hence: deltas are floating-point numbers: write 0.05f");
  using scalar = S;
  S delta_low, delta_high;
  Form form;  ///< how the kept tokens are weighted
  static constexpr bool vanishes_with_advantage = true, gradient_follows_value = true;
  HENCE_FN constexpr auto operator()(const auto& t) const {
    using V = std::remove_cvref_t<decltype(t.advantage)>;
    const V logp = detach(t.logp), q = exp(t.anchor), tiny(S(1e-8));
    const V rest_p = tiny - expm1(logp), rest_q = tiny - expm1(t.anchor);
    const V divergence = q * (t.anchor - logp) - expm1(t.anchor) * (log(rest_q) - log(rest_p));
    const auto up = t.advantage > V(0), down = !up;
    const auto kept = (up & ((divergence <= V(delta_high)) | (logp <= t.anchor))) |
                      (down & ((divergence <= V(delta_low)) | (logp >= t.anchor)));
    return select(kept, form(t), V(0));
  }
  [[gnu::always_inline]] void check() const {
    check_deltas("dppo_kl", delta_low, delta_high), form.check();
  }
};
template <class S, class F> dppo_kl(S, S, F) -> dppo_kl<S, F>;

}  // namespace hence::inline v0::clip
