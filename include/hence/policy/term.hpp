/// \file
/// The loss of one token, composed from its parts. Every executor instantiates this text and no
/// other.
#pragma once

#include <hence/policy/aggregate.hpp>
#include <hence/policy/clip.hpp>
#include <hence/policy/correction.hpp>
#include <hence/policy/kl.hpp>
#include <hence/policy/ratio.hpp>

#include <concepts>     // same_as
#include <type_traits>  // remove_cvref_t

namespace hence::inline v0 {

/// A policy loss: choices by type, their numbers as members; the last three may be left out.
/// loss = aggregate(w surrogate(ratio, A) + kl.coef kl(u)) - entropy.coef aggregate(H), w the
/// correction's weight, 0 where the gate is closed.
template <class Ratio, class Surrogate, class Kl, class Aggregation,
          class Correction = correction::none, class Gate = gate::none,
          class Entropy = entropy::none>
struct policy_loss {
  Ratio ratio;
  Surrogate surrogate;
  Kl kl;
  Aggregation aggregation;  ///< what the sum is divided by
  Correction correction{};
  Gate gate{};
  Entropy entropy{};
};
template <class R, class S, class K, class A> policy_loss(R, S, K, A) -> policy_loss<R, S, K, A>;
template <class R, class S, class K, class A, class C>
policy_loss(R, S, K, A, C) -> policy_loss<R, S, K, A, C>;
template <class R, class S, class K, class A, class C, class G>
policy_loss(R, S, K, A, C, G) -> policy_loss<R, S, K, A, C, G>;
template <class R, class S, class K, class A, class C, class G, class E>
policy_loss(R, S, K, A, C, G, E) -> policy_loss<R, S, K, A, C, G, E>;

/// What a rule sees if it takes one argument. The numbers are `num` or `pack`, or `dual` of them.
template <class Ratio, class LogRatio, class Logp, class V> struct token {
  Ratio ratio;         ///< r
  LogRatio log_ratio;  ///< ln r, limited as the ratio says
  Logp logp;           ///< log pi of the token
  V anchor;            ///< log pi_anchor of the token, constant
  V advantage;         ///< A, constant
  V score;             ///< the row's raw reward, constant; NaN if the call has no scores
  V row_sum;           ///< the sum over the row of the rule's own `prepass`, constant; else 0
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

template <class C> constexpr bool has_correction = true;
template <> inline constexpr bool has_correction<correction::none> = false;
template <class G> constexpr bool has_gate = true;
template <> inline constexpr bool has_gate<gate::none> = false;
template <class E> constexpr bool has_entropy = true;
template <> inline constexpr bool has_entropy<entropy::none> = false;

template <class R>
concept vanishes_with_advantage = requires { requires R::vanishes_with_advantage; };
template <class R>
concept gradient_follows_value = requires { requires R::gradient_follows_value; };
/// Whether a rule takes the correction into its own prepass: then it weights nothing else.
template <class R>
concept absorbs_correction = requires { requires R::absorbs_correction; };

/// A loss's parts by type, and what follows from them.
template <class Loss> struct facts {
  using ratio = std::remove_cvref_t<decltype(std::declval<const Loss&>().ratio)>;
  using surrogate = std::remove_cvref_t<decltype(std::declval<const Loss&>().surrogate)>;
  using kl = std::remove_cvref_t<decltype(std::declval<const Loss&>().kl)>;
  using correction = std::remove_cvref_t<decltype(std::declval<const Loss&>().correction)>;
  using gate = std::remove_cvref_t<decltype(std::declval<const Loss&>().gate)>;
  using entropy = std::remove_cvref_t<decltype(std::declval<const Loss&>().entropy)>;

  static constexpr bool with_kl = has_kl<kl>, with_gate = has_gate<gate>,
                        with_correction = has_correction<correction>,
                        with_entropy = has_entropy<entropy>;
  /// Whether the correction weights the terms, and whether the KL term too.
  static constexpr bool weighted = with_correction && !absorbs_correction<surrogate>;
  static constexpr bool weighted_kl = [] {
    if constexpr (weighted && with_kl)
      return std::same_as<decltype(correction::scope), hence::correction::policy_and_kl>;
    else
      return false;
  }();
  /// Whether the correction's E is the row's.
  static constexpr bool correction_pools = [] {
    if constexpr (with_correction)
      return correction::pooled;
    else
      return false;
  }();
  /// Whether single tokens may veto their row.
  static constexpr bool vetoes = requires { requires correction::vetoes; };
  /// Whether the KL term needs log pi_anchor.
  static constexpr bool kl_reads_anchor = [] {
    if constexpr (with_kl)
      return hence::kl::reads_anchor<kl>;
    else
      return false;
  }();
};

/// Calls a rule in the form it has.
template <class Rule, class Token>
HENCE_FN constexpr auto apply_rule(const Rule& rule, const Token& t) {
  if constexpr (requires { rule(t.ratio, t.advantage); })
    return rule(t.ratio, t.advantage);
  else
    return rule(t);
}

/// One token's inputs; `log_ratio` is its own log pi - log pi_anchor, or the row's pooled one.
template <class V> struct token_inputs {
  V logp, anchor, reference, advantage, score, log_ratio;
  V mismatch{};  ///< the correction's E, of the token or the row
  V gate{};      ///< what the gate judges the row by
  V row_sum{};   ///< of the rule's prepass
  V veto{};      ///< how many of the row's tokens veto it
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

/// The largest finite number.
template <class V> HENCE_FN constexpr V largest() {
  if constexpr (sizeof(typename V::scalar) == 4)
    return V(0x1.fffffep+127f);
  else
    return V(static_cast<typename V::scalar>(0x1.fffffffffffffp+1023));
}

/// x + 0 probe: NaN wherever an input is not finite, though a clip may have hidden it; else x.
template <class V, class X> HENCE_FN constexpr auto poisoned_by(V probe, const X& x) {
  if constexpr (dual_v<X>)
    return X{fma(probe, V(0), x.value), x.pooled, x.own};
  else
    return fma(probe, V(0), x);
}
/// The same where a gradient is not finite though its value is.
template <class V, class P, class Q>
HENCE_FN constexpr auto poisoned_by_gradient(const dual<V, P, Q>& x) {
  V value = x.value;
  if constexpr (std::same_as<P, V>) value = fma(x.pooled, V(0), value);
  if constexpr (std::same_as<Q, V>) value = fma(x.own, V(0), value);
  return dual<V, P, Q>{value, x.pooled, x.own};
}

/// w of a token with the correction's E, in a row with that many vetoes.
template <class C, class V> HENCE_FN constexpr V weight_of(const C& correction, V e, V vetoes) {
  if constexpr (requires { requires C::vetoes; })
    return select(vetoes > V(0), V(0), correction.weight(e));
  else
    return correction.weight(e);
}
/// x times a constant weight; a weight of 0 gives 0, also where x is infinite.
template <class V> HENCE_FN constexpr auto weighed(V weight, const auto& x) {
  return select(weight == V(0), V(0), x * weight);
}

/// The surrogate of one token, corrected and gated.
template <class Loss, class V, class Ratio, class PolicyLive>
HENCE_FN constexpr auto policy_term(const Loss& loss, const token_inputs<V>& in,
                                    const auto& log_ratio, const Ratio& ratio, V weight,
                                    PolicyLive live) {
  using part = facts<Loss>;
  using surrogate = typename part::surrogate;
  const dual<V, zero, one> logp{in.logp, {}, {}};
  using token_t = token<Ratio, std::remove_cvref_t<decltype(log_ratio)>, dual<V, zero, one>, V>;
  const auto p = apply_rule(loss.surrogate, token_t{ratio, log_ratio, logp, in.anchor, in.advantage,
                                                    in.score, in.row_sum});
  const auto reported = [&] {
    if constexpr (gradient_follows_value<surrogate>)
      return p;
    else
      return poisoned_by_gradient(p);
  }();
  const auto corrected = [&] {
    if constexpr (part::weighted)
      return weighed(weight, reported);
    else
      return reported;
  }();
  const auto gated = [&] {
    if constexpr (part::with_gate)
      return select(loss.gate.closes(in.gate, in.advantage), V(0), corrected);
    else
      return corrected;
  }();
  return where<V>(live, gated);
}

/// The KL of one token as the metrics see it: before its weights and its coefficient.
template <class Loss, class V, class KlLive>
HENCE_FN constexpr auto kl_of_token(const Loss& loss, const token_inputs<V>& in, const auto& u,
                                    KlLive live) {
  const V log_importance = in.logp - in.anchor;
  const auto estimated = where<V>(live, kl::estimate(loss.kl, u, log_importance));
  if constexpr (kl::is_importance<kl::gradient_of<typename facts<Loss>::kl>>)
    return poisoned_by_gradient(poisoned_by(where<V>(live, log_importance), estimated));
  else
    return estimated;
}

/// The KL of one token as the loss adds it, before its coefficient.
template <class Loss, class V, class Ratio, class KlLive>
HENCE_FN constexpr auto kl_term(const auto& estimated, const Ratio& ratio, V weight, KlLive live) {
  using part = facts<Loss>;
  const auto weighted = [&] {
    if constexpr (kl::weighs_by_ratio<typename part::kl>)
      return where<V>(live, estimated * ratio);
    else
      return estimated;
  }();
  if constexpr (part::weighted_kl)
    return weighed(weight, weighted);
  else
    return weighted;
}

/// \tparam PolicyLive, KlLive `every_token`, or the mask of lanes that have that term.
template <class Loss, class V, class PolicyLive, class KlLive>
HENCE_FN constexpr auto term_of(const Loss& loss, const token_inputs<V>& in, PolicyLive policy_live,
                                KlLive kl_live) {
  using part = facts<Loss>;
  const dual<V, zero, one> logp{in.logp, {}, {}};
  const auto log_ratio = loss.ratio.clamp(dual<V, one, zero>{in.log_ratio, {}, {}});
  const V ratio_value = exp(detach(log_ratio));
  V weight = V(1);
  if constexpr (part::weighted) weight = weight_of(loss.correction, in.mismatch, in.veto);
  const auto policy = [&] {
    V r = ratio_value;
    if constexpr (vanishes_with_advantage<typename part::surrogate>)
      r = select(in.advantage == V(0), V(1), r);  // an overflowed ratio times 0 is 0, not NaN
    V slope = r;
    if constexpr (!gradient_follows_value<typename part::surrogate>)
      slope = lesser(r, largest<V>());  // a slope of 0 times an overflowed ratio is 0, not NaN
    const auto p =
        policy_term(loss, in, log_ratio, chain(log_ratio, r, slope), weight, policy_live);
    return poisoned_by(in.advantage, poisoned_by(in.log_ratio, p));
  }();
  const auto checked = [&] {
    if constexpr (part::with_gate && part::with_correction)
      return poisoned_by(in.gate, poisoned_by(in.mismatch, policy));
    else if constexpr (part::with_gate)
      return poisoned_by(in.gate, policy);
    else if constexpr (part::with_correction)
      return poisoned_by(in.mismatch, policy);
    else
      return policy;
  }();
  if constexpr (part::with_kl) {
    const auto u = in.reference - logp;
    const auto k = kl_of_token(loss, in, u, kl_live);
    const auto term = kl_term<Loss>(k, chain(log_ratio, ratio_value, ratio_value), weight, kl_live);
    return token_loss(poisoned_by(u.value, checked + term * V(loss.kl.coef)), ratio_value,
                      detach(k));
  } else {
    return token_loss(checked, ratio_value, V(0));
  }
}

}  // namespace detail

}  // namespace hence::inline v0
