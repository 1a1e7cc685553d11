/// \file
/// Surrogates of the form -w A log pi with a constant weight w: REINFORCE, band, TOPR, VESPO; and
/// DRO, whose gradient flows through log r.
///
/// Their numbers are not called `low` and `high`: those would be counted as clipping.
#pragma once

#include <hence/policy/clip.hpp>

namespace hence::inline v0::clip {

/// -A log pi: no ratio. Williams (1992).
struct reinforce {
  static constexpr bool vanishes_with_advantage = true, gradient_follows_value = true;
  HENCE_FN constexpr auto operator()(const auto& t) const { return -(t.advantage * t.logp); }
};

/// -sg(r) A log pi where least <= r <= greatest, else 0: a hard band on the weight.
template <class S = float> struct band {
  static_assert(!std::integral<S>,
                "hence: bounds of a ratio are floating-point numbers: write 0.8f");
  using scalar = S;
  S least, greatest;
  static constexpr bool vanishes_with_advantage = true, gradient_follows_value = true;
  HENCE_FN constexpr auto operator()(const auto& t) const {
    using V = std::remove_cvref_t<decltype(t.advantage)>;
    const V r = detach(t.ratio);
    const V weight = select((r >= V(least)) & (r <= V(greatest)), r, V(0));
    return -weight * t.advantage * t.logp;
  }
  [[gnu::always_inline]] void check() const { check_bounds("band", least, greatest); }
};
template <class S> band(S, S) -> band<S>;

/// Tapered off-policy REINFORCE: -A log pi where the row's score is above 0, else
/// -sg(clamp(r, [least, greatest])) A log pi. arXiv:2503.14286; the sign is the raw reward's.
template <class S = float> struct topr {
  static_assert(!std::integral<S>,
                "hence: bounds of a ratio are floating-point numbers: write 1.0f");
  using scalar = S;
  S least, greatest;
  static constexpr bool vanishes_with_advantage = true, gradient_follows_value = true,
                        reads_scores = true;
  HENCE_FN constexpr auto operator()(const auto& t) const {
    using V = std::remove_cvref_t<decltype(t.advantage)>;
    const V weight =
        select(t.score > V(0), V(1), clamp(detach(t.ratio), least, greatest)) + t.score * V(0);
    return -weight * t.advantage * t.logp;
  }
  [[gnu::always_inline]] void check() const { check_bounds("topr", least, greatest); }
};
template <class S> topr(S, S) -> topr<S>;

/// -sg(phi) A log pi with log phi = lambda + k W - lambda e^W, W the row's log importance weight,
/// limited to [ln 1e-8, 20]; (k, lambda) by the sign of A (positive at 0). VESPO, arXiv:2602.10693.
/// A rollout correction enters W and weights nothing else.
template <class S = float> struct vespo {
  static_assert(!std::integral<S>, "hence: VESPO's numbers are floating-point: write 2.0f");
  using scalar = S;
  S k_pos, lambda_pos, k_neg, lambda_neg;  ///< k and lambda for A >= 0 and for A < 0
  static constexpr bool vanishes_with_advantage = true, gradient_follows_value = true,
                        absorbs_correction = true;
  static constexpr double log_least = -18.420680743952367;  ///< ln 1e-8: W is at least this
  /// What a token adds to W: its log-ratio and the logarithm of its correction weight.
  template <class V> HENCE_FN constexpr V prepass(V log_ratio) const {
    return clamp(log_ratio, S(-20), S(20));
  }
  /// The logarithm of a correction weight, limited.
  template <class V> HENCE_FN constexpr V prepass_of_weight(V log_weight) const {
    return clamp(log_weight, S(log_least), S(20));
  }
  HENCE_FN constexpr auto operator()(const auto& t) const {
    using V = std::remove_cvref_t<decltype(t.advantage)>;
    const V w = clamp(t.row_sum, S(log_least), S(20));
    const auto positive = t.advantage >= V(0);
    const V k = select(positive, V(k_pos), V(k_neg));
    const V lambda = select(positive, V(lambda_pos), V(lambda_neg));
    return -exp(lambda + (k * w - lambda * exp(w))) * t.advantage * t.logp;
  }
  [[gnu::always_inline]] void check() const {
    for (const S x : {k_pos, lambda_pos, k_neg, lambda_neg})
      if (!(x >= S(0)) || x > S(1e6))
        detail::refuse(detail::message() << "hence: vespo has a number " << static_cast<double>(x)
                                         << ", expected 0 or more");
  }
};
template <class S> vespo(S, S, S, S) -> vespo<S>;

/// 1/2 beta l^2, l = log r of the token or the row.
template <class S> HENCE_FN constexpr auto dro_penalty(const auto& log_ratio, S beta) {
  using V = hence::detail::plain_t<std::remove_cvref_t<decltype(log_ratio)>>;
  return log_ratio * log_ratio * (V(S(0.5)) * V(beta));
}

/// 1/2 beta (log r)^2 - A log pi: direct reward optimization, arXiv:2405.19107; Kimi k1.5 as ROLL
/// has it, whose tau is beta. Not 0 where A = 0.
template <class S = float> struct dro {
  static_assert(!std::integral<S>, "hence: beta is a floating-point number: write 0.1f");
  using scalar = S;
  S beta;
  static constexpr bool gradient_follows_value = true;
  HENCE_FN constexpr auto operator()(const auto& t) const {
    return dro_penalty(t.log_ratio, beta) - t.advantage * t.logp;
  }
  [[gnu::always_inline]] void check() const {
    if (!(beta >= S(0)) || beta > S(1e6))
      detail::refuse(detail::message() << "hence: dro has beta = " << static_cast<double>(beta)
                                       << ", expected a finite number, 0 or more");
  }
};
template <class S> dro(S) -> dro<S>;

/// DRO through the log-ratio l: 1/2 beta l^2 - A l. Of a token its gradient is `dro`'s; with
/// `ratio::sequence_product` and `aggregate::sequence_mean_token_mean` it is Kimi k1.5's as the
/// paper writes it, l being the whole output's. arXiv:2501.12599 eq. 3; the paper's tau is beta.
template <class S = float> struct dro_log_ratio {
  static_assert(!std::integral<S>, "hence: beta is a floating-point number: write 0.1f");
  using scalar = S;
  S beta;
  static constexpr bool gradient_follows_value = true;
  HENCE_FN constexpr auto operator()(const auto& t) const {
    return dro_penalty(t.log_ratio, beta) - t.advantage * t.log_ratio;
  }
  [[gnu::always_inline]] void check() const { dro<S>{beta}.check(); }
};
template <class S> dro_log_ratio(S) -> dro_log_ratio<S>;

}  // namespace hence::inline v0::clip
