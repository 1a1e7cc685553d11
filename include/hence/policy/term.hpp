/// \file
/// The loss of one token, composed from its parts. Every executor instantiates this text and no
/// other.
#pragma once

#include <hence/policy/aggregate.hpp>
#include <hence/policy/clip.hpp>
#include <hence/policy/kl.hpp>
#include <hence/policy/ratio.hpp>

#include <concepts>     // same_as
#include <type_traits>  // remove_cvref_t

namespace hence::inline v0 {

/// A policy loss: four choices by type, their numbers as members.
/// loss = aggregate(surrogate(ratio, A) + kl.coef kl(u)).
template <class Ratio, class Surrogate, class Kl, class Aggregation> struct policy_loss {
  Ratio ratio;
  Surrogate surrogate;
  Kl kl;
  Aggregation aggregation;
};
template <class R, class S, class K, class A> policy_loss(R, S, K, A) -> policy_loss<R, S, K, A>;

/// What a rule sees if it takes one argument. The numbers are `num` or `pack`, or `dual` of them.
template <class Ratio, class LogRatio, class Logp, class V> struct token {
  Ratio ratio;         ///< r
  LogRatio log_ratio;  ///< ln r, limited as the ratio says
  Logp logp;           ///< log pi of the token
  V anchor;            ///< log pi_old of the token, constant
  V advantage;         ///< A, constant
  V score;             ///< the row's raw reward, constant; NaN if the call has no scores
};

namespace detail {

/// A `std::variant`, recognised by its members so that `<variant>` need not be included.
template <class X>
concept variant_like = requires(const X& x) {
  x.valueless_by_exception();
  x.index();
};

template <class K> constexpr bool has_kl = true;
template <> inline constexpr bool has_kl<kl::none> = false;

template <class R>
concept vanishes_with_advantage = requires { requires R::vanishes_with_advantage; };

/// Calls a rule in the form it has.
template <class Rule, class Token>
HENCE_FN constexpr auto apply_rule(const Rule& rule, const Token& t) {
  if constexpr (requires { rule(t.ratio, t.advantage); })
    return rule(t.ratio, t.advantage);
  else
    return rule(t);
}

/// One token's inputs; `log_ratio` is its own log pi - log pi_old, or the row's mean of them.
template <class V> struct token_inputs {
  V logp, anchor, reference, advantage, score, log_ratio;
};

/// A token's loss with its partials, and what the metrics need; kl is before its coefficient.
template <class V, class Pooled, class Own> struct token_loss {
  V value;
  [[no_unique_address]] Pooled pooled;
  [[no_unique_address]] Own own;
  V ratio, kl;

  HENCE_FN constexpr token_loss(const dual<V, Pooled, Own>& term, V r, V k)
      : value(term.value), pooled(term.pooled), own(term.own), ratio(r), kl(k) {}
};

/// Every lane has the term.
struct every_token {};
/// x where live, else 0 with gradient 0. `select`, not a product: a dead term may be infinite.
template <class V, class Live> HENCE_FN constexpr auto where(Live live, const auto& x) {
  if constexpr (std::same_as<Live, every_token>)
    return x;
  else
    return select(live, x, V(0));
}

/// x + 0 probe: NaN wherever an input is not finite, though a clip may have hidden it; else x.
template <class V, class P, class Q>
HENCE_FN constexpr auto poisoned_by(V probe, const dual<V, P, Q>& x) {
  return dual<V, P, Q>{fma(probe, V(0), x.value), x.pooled, x.own};
}

/// \tparam PolicyLive, KlLive `every_token`, or the mask of lanes that have that term.
template <class Loss, class V, class PolicyLive, class KlLive>
HENCE_FN constexpr auto term_of(const Loss& loss, const token_inputs<V>& in, PolicyLive policy_live,
                                KlLive kl_live) {
  const dual<V, zero, one> logp{in.logp, {}, {}};
  const auto log_ratio = loss.ratio.clamp(dual<V, one, zero>{in.log_ratio, {}, {}});
  const V ratio_value = exp(detach(log_ratio));
  const auto policy = [&] {
    V r = ratio_value;
    if constexpr (vanishes_with_advantage<std::remove_cvref_t<decltype(loss.surrogate)>>)
      r = select(in.advantage == V(0), V(1), r);  // an overflowed ratio times 0 is 0, not NaN
    const auto ratio = chain(log_ratio, r, r);
    using token_t = token<std::remove_cvref_t<decltype(ratio)>,
                          std::remove_cvref_t<decltype(log_ratio)>, dual<V, zero, one>, V>;
    const auto p = apply_rule(loss.surrogate,
                              token_t{ratio, log_ratio, logp, in.anchor, in.advantage, in.score});
    return poisoned_by(in.advantage, poisoned_by(in.log_ratio, where<V>(policy_live, p)));
  }();
  if constexpr (has_kl<std::remove_cvref_t<decltype(loss.kl)>>) {
    const auto u = in.reference - logp;
    const auto v = where<V>(kl_live, kl::estimate(loss.kl, u));
    const auto term = poisoned_by(u.value, policy + v * V(loss.kl.coef));
    return token_loss(term, ratio_value, detach(v));
  } else {
    return token_loss(policy, ratio_value, V(0));
  }
}

}  // namespace detail

}  // namespace hence::inline v0
