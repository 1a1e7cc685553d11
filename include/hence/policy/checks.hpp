/// \file
/// Compile-time checks of a composition, one sentence each.
#pragma once

#include <hence/policy/inputs.hpp>

namespace hence::inline v0::detail {

template <class D> struct denominator_traits {
  static constexpr bool is_one = false;
  using aggregation = void;
  using scope = scope::call;
};
template <> struct denominator_traits<over_this_call_t> {
  static constexpr bool is_one = true;
  using aggregation = void;
  using scope = scope::call;
};
template <class A, class S> struct denominator_traits<denominator<A, S>> {
  static constexpr bool is_one = true;
  using aggregation = A;
  using scope = S;
};

template <class L>
concept composition = requires(const L& l) {
  l.ratio;
  l.surrogate;
  l.kl;
  l.aggregation;
};
/// The loss's aggregation; of what is no composition, none.
template <class L> struct aggregation_in {
  using type = void;
};
template <composition L> struct aggregation_in<L> {
  using type = std::remove_cvref_t<decltype(L::aggregation)>;
};
template <class L> using aggregation_of = typename aggregation_in<L>::type;
template <class R>
concept ratio_rule = requires(const R& r) {
  r.clamp;
  r.anchor;
  { R::pooled } -> std::convertible_to<bool>;
  { R::shares_gradient } -> std::convertible_to<bool>;
  { r.averages } -> std::convertible_to<bool>;
};

/// The token that a rule of this ratio sees in arithmetic of S.
template <class V, class Ratio> struct token_for {
  using log_ratio =
      decltype(std::declval<const Ratio&>().clamp(std::declval<dual<V, one, zero>>()));
  using ratio = decltype(exp(std::declval<log_ratio>()));
  using type = token<ratio, log_ratio, dual<V, zero, one>, V>;
};

template <class Rule, class Token, class V>
concept takes_two =
    requires(const Rule& rule, const Token& t, const V& advantage) { rule(t.ratio, advantage); };
template <class Rule, class Token>
concept takes_token = requires(const Rule& rule, const Token& t) { rule(t); };

template <class K>
concept kl_rule = std::same_as<K, kl::none> || requires(const K& k) {
  k.coef;
  k.gradient;
};

/// Whether a part's numbers are no wider than the executor's.
template <class S, class Part> constexpr bool numbers_fit() {
  if constexpr (requires { typename Part::scalar; })
    return sizeof(typename Part::scalar) <= sizeof(S);
  else if constexpr (requires(Part p) { p.low; })
    return sizeof(Part::low) <= sizeof(S);
  else if constexpr (requires(Part p) { p.coef; })
    return sizeof(Part::coef) <= sizeof(S);
  else
    return true;
}

template <class V, class Ratio, class Rule> constexpr bool check_call(const Rule*);

/// A surrogate that is not a variant, or each alternative of one.
template <class V, class Ratio, class Rule> constexpr bool check_surrogate(const Rule*) {
  constexpr bool fit = numbers_fit<typename V::scalar, Rule>();
  static_assert(
      fit, "hence: the surrogate's numbers are double, the executor computes in float: write 0.8f");
  if constexpr (fit)
    return check_call<V, Ratio>(static_cast<const Rule*>(nullptr));
  else
    return false;
}
template <class V, class Ratio, class Rule> constexpr bool check_call(const Rule*) {
  using token_t = typename token_for<V, Ratio>::type;
  constexpr bool two = takes_two<Rule, token_t, V>;
  constexpr bool callable = two || takes_token<Rule, token_t>;
  static_assert(callable,
                "hence: a surrogate is called with (ratio, advantage) or with one token; this one "
                "takes neither, or its body does not compile for hence's numbers (errors above)");
  if constexpr (callable) {
    using result = std::remove_cvref_t<decltype(apply_rule(std::declval<const Rule&>(),
                                                           std::declval<const token_t&>()))>;
    constexpr bool number = dual_v<result> || is_number<result>;
    static_assert(number,
                  "hence: a surrogate returns a number made from its arguments; this one returns "
                  "something else (a built-in float?)");
    static_assert(!number || dual_v<result>,
                  "hence: the surrogate has no gradient: every path to the log-probs is detached");
    return dual_v<result>;
  }
  return callable;
}
template <class V, class Ratio, template <class...> class Variant, class... Rules>
  requires variant_like<Variant<Rules...>>
constexpr bool check_surrogate(const Variant<Rules...>*) {
  return (check_surrogate<V, Ratio>(static_cast<const Rules*>(nullptr)) && ...);
}

/// The ratio with which the surrogate is tried: the first of a variant.
template <class R> struct first_alternative {
  using type = R;
};
template <template <class...> class Variant, class R, class... Rest>
  requires variant_like<Variant<R, Rest...>>
struct first_alternative<Variant<R, Rest...>> {
  using type = R;
};

template <class S, class K> constexpr bool check_kl(const K*) {
  constexpr bool fit = numbers_fit<S, K>();
  static_assert(
      fit, "hence: the KL coefficient is a double, the executor computes in float: write 0.04f");
  constexpr bool sound = kl_rule<K>;  // a variable: of a concept the compiler would list every part
  static_assert(sound,
                "hence: the KL term is kl::none, kl::k1, kl::k2, kl::k3 or an estimator with coef "
                "and gradient members");
  return sound && fit;
}
template <class S, template <class...> class Variant, class... Ks>
  requires variant_like<Variant<Ks...>>
constexpr bool check_kl(const Variant<Ks...>*) {
  return (check_kl<S>(static_cast<const Ks*>(nullptr)) && ...);
}

/// The numbers a surrogate is tried with: packs where there are some, as they allow the least.
#if defined(__CUDACC__)
template <class S> using trial_number = num<S>;
#else
template <class S>
using trial_number = std::conditional_t<std::same_as<S, float>, pack<float>, num<S>>;
#endif

/// Whether a ratio, and every alternative of one, is the row's mean with a shared gradient.
template <class R>
constexpr bool is_sequence_ratio = R::pooled && R::shares_gradient && R::averages;
template <template <class...> class Variant, class... Rs>
  requires variant_like<Variant<Rs...>>
constexpr bool is_sequence_ratio<Variant<Rs...>> = (is_sequence_ratio<Rs> && ...);
/// Whether a rule, or an alternative of one, makes sense with such a ratio only.
template <class R>
constexpr bool needs_sequence_ratio = requires { requires R::needs_sequence_ratio; };
template <template <class...> class Variant, class... Rs>
  requires variant_like<Variant<Rs...>>
constexpr bool needs_sequence_ratio<Variant<Rs...>> = (needs_sequence_ratio<Rs> || ...);

template <class C>
concept correction_part =
    !has_correction<C> || variant_like<C> || requires(const C& c, num<double> e) {
      c.scope;
      c.weight(e);
    };
template <class G>
concept gate_part = !has_gate<G> || variant_like<G> || requires(const G& g, num<double> x) {
  g.anchor;
  g.closes(x, x);
};
template <class E>
concept entropy_part = !has_entropy<E> || variant_like<E> || requires(const E& e) { e.coef; };

/// The parts that may be left out.
template <class Loss, class S> constexpr bool check_optional_parts() {
  using part = facts<Loss>;
  constexpr bool correction = correction_part<typename part::correction>;
  static_assert(correction,
                "hence: the fifth part of a policy_loss is a correction: correction::rollout, "
                "correction::veto or correction::none");
  constexpr bool gate = gate_part<typename part::gate>;
  static_assert(!correction || gate,
                "hence: the sixth part of a policy_loss is a gate: gate::opsm or gate::none");
  constexpr bool entropy = entropy_part<typename part::entropy>;
  static_assert(!correction || !gate || entropy,
                "hence: the seventh part of a policy_loss is entropy::bonus or entropy::none");
  constexpr bool fit = numbers_fit<S, typename part::correction>() &&
                       numbers_fit<S, typename part::gate>() &&
                       numbers_fit<S, typename part::entropy>();
  static_assert(fit,
                "hence: the numbers of the correction, gate or entropy bonus are double, the "
                "executor computes in float: write 0.5f");
  return correction && gate && entropy && fit;
}

/// Layered: the first fault speaks, the rest is not instantiated.
template <class Loss, class S, class D> constexpr bool check_composition() {
  constexpr bool composed = composition<Loss>;
  static_assert(composed, "hence: a loss is a policy_loss{ratio, surrogate, kl, aggregation}");
  if constexpr (composed) {
    using ratio_t = typename first_alternative<std::remove_cvref_t<decltype(Loss::ratio)>>::type;
    using surrogate_t = std::remove_cvref_t<decltype(Loss::surrogate)>;
    using kl_t = std::remove_cvref_t<decltype(Loss::kl)>;
    using aggregation_t = std::remove_cvref_t<decltype(Loss::aggregation)>;
    constexpr bool sound_ratio = ratio_rule<ratio_t>;
    static_assert(
        sound_ratio,
        "hence: the first part of a policy_loss is a ratio: ratio::token or ratio::sequence");
    constexpr bool sound_aggregation = aggregation<aggregation_t>;
    static_assert(
        sound_aggregation,
        "hence: the fourth part of a policy_loss is an aggregation: aggregate::token_mean, ...");
    constexpr bool is_denominator = denominator_traits<D>::is_one;
    static_assert(is_denominator,
                  "hence: a denominator is over_this_call, over_window(...) or "
                  "over_all_ranks(...), never a bare number");
    constexpr bool same =
        std::same_as<typename denominator_traits<D>::aggregation, aggregation_t> ||
        std::same_as<D, over_this_call_t>;
    static_assert(!is_denominator || same,
                  "hence: the denominator was made for another aggregation than the loss's");
    constexpr bool counted =
        !prompt_aggregation<aggregation_t> || !std::same_as<D, over_this_call_t>;
    static_assert(counted,
                  "hence: a call does not know its prompts; a prompt mean's denominator is "
                  "over_window(aggregation, count_prompts(...))");
    constexpr bool meets = [] {
      if constexpr (needs_sequence_ratio<surrogate_t>)
        return is_sequence_ratio<std::remove_cvref_t<decltype(Loss::ratio)>>;
      else
        return true;
    }();
    static_assert(meets,
                  "hence: this surrogate limits log-ratios before their mean over the row; its "
                  "ratio is ratio::sequence");
    if constexpr (sound_ratio && sound_aggregation && is_denominator && same && counted && meets)
      return check_optional_parts<Loss, S>() && check_kl<S>(static_cast<const kl_t*>(nullptr)) &&
             check_surrogate<trial_number<S>, ratio_t>(static_cast<const surrogate_t*>(nullptr));
  }
  return false;
}

}  // namespace hence::inline v0::detail
