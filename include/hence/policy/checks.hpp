/// \file
/// Compile-time checks of a composition, one sentence each, and visiting of `std::variant` rules.
#pragma once

#include <hence/policy/inputs.hpp>

#include <cstddef>  // byte

namespace hence::inline v0::detail {

/// A `std::variant`, recognised by its members so that `<variant>` need not be included.
template <class X>
concept variant_like = requires(const X& x) { x.valueless_by_exception(); x.index(); };

/// Calls f with the loss's alternatives in place of its variants: one visit per rule and call.
template <class Loss, class F> void with_concrete_rules(const Loss& loss, F&& f) {
  if constexpr (variant_like<std::remove_cvref_t<decltype(loss.ratio)>>)
    visit([&](const auto& r) { with_concrete_rules(policy_loss{r, loss.surrogate, loss.kl, loss.aggregation}, f); }, loss.ratio);
  else if constexpr (variant_like<std::remove_cvref_t<decltype(loss.surrogate)>>)
    visit([&](const auto& s) { with_concrete_rules(policy_loss{loss.ratio, s, loss.kl, loss.aggregation}, f); }, loss.surrogate);
  else if constexpr (variant_like<std::remove_cvref_t<decltype(loss.kl)>>)
    visit([&](const auto& k) { with_concrete_rules(policy_loss{loss.ratio, loss.surrogate, k, loss.aggregation}, f); }, loss.kl);
  else
    f(loss);
}

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

template <class L> concept composition = requires(const L& l) { l.ratio; l.surrogate; l.kl; l.aggregation; };
template <class R> concept ratio_rule = requires(const R& r) { r.clamp; { R::pooled } -> std::convertible_to<bool>; };

/// The token that a rule of this ratio sees in arithmetic of S.
template <class V, class Ratio> struct token_for {
  using log_ratio = decltype(std::declval<const Ratio&>().clamp(std::declval<dual<V, one, zero>>()));
  using ratio = decltype(exp(std::declval<log_ratio>()));
  using type = token<ratio, log_ratio, dual<V, zero, one>, V>;
};

template <class Rule, class Token, class V>
concept takes_two = std::invocable<const Rule&, const decltype(Token::ratio)&, const V&>;
template <class Rule, class Token> concept takes_token = std::invocable<const Rule&, const Token&>;

template <class K> concept kl_rule = std::same_as<K, kl::none> || requires(const K& k) { k.coef; k.gradient; };

/// A surrogate that is not a variant, or each alternative of one.
template <class V, class Ratio, class Rule> constexpr bool check_surrogate(const Rule*) {
  using token_t = typename token_for<V, Ratio>::type;
  constexpr bool two = takes_two<Rule, token_t, V>;
  constexpr bool callable = two || takes_token<Rule, token_t>;
  static_assert(callable, "hence: a surrogate is called with (ratio, advantage) or with one token; this one takes neither");
  if constexpr (callable) {
    using result = std::remove_cvref_t<decltype(apply_rule(std::declval<const Rule&>(), std::declval<const token_t&>()))>;
    constexpr bool number = dual_v<result> || is_number<result>;
    static_assert(number, "hence: a surrogate returns a number made from its arguments; this one returns something else (a built-in float?)");
    static_assert(!number || dual_v<result>, "hence: the surrogate has no gradient: every path to the log-probs is detached");
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
template <class R> struct first_alternative { using type = R; };
template <template <class...> class Variant, class R, class... Rest>
  requires variant_like<Variant<R, Rest...>>
struct first_alternative<Variant<R, Rest...>> { using type = R; };

template <class K> constexpr bool check_kl(const K*) {
  static_assert(kl_rule<K>, "hence: the KL term is kl::none, kl::k1, kl::k2, kl::k3 or an estimator with coef and gradient members");
  return kl_rule<K>;
}
template <template <class...> class Variant, class... Ks> requires variant_like<Variant<Ks...>>
constexpr bool check_kl(const Variant<Ks...>*) {
  return (check_kl(static_cast<const Ks*>(nullptr)) && ...);
}

/// Layered: the first fault speaks, the rest is not instantiated.
template <class Loss, class S, class D> constexpr bool check_composition() {
  static_assert(composition<Loss>, "hence: a loss is a policy_loss{ratio, surrogate, kl, aggregation}");
  if constexpr (composition<Loss>) {
    using ratio_t = typename first_alternative<std::remove_cvref_t<decltype(Loss::ratio)>>::type;
    using surrogate_t = std::remove_cvref_t<decltype(Loss::surrogate)>;
    using kl_t = std::remove_cvref_t<decltype(Loss::kl)>;
    using aggregation_t = std::remove_cvref_t<decltype(Loss::aggregation)>;
    constexpr bool sound_ratio = ratio_rule<ratio_t>;
    static_assert(sound_ratio, "hence: the first part of a policy_loss is a ratio: ratio::token or ratio::sequence");
    constexpr bool sound_aggregation = aggregation<aggregation_t>;
    static_assert(sound_aggregation, "hence: the last part of a policy_loss is an aggregation: aggregate::token_mean, ...");
    constexpr bool is_denominator = denominator_traits<D>::is_one;
    static_assert(is_denominator, "hence: a denominator is over_this_call, over_window(...) or over_all_ranks(...), never a bare number");
    constexpr bool same = std::same_as<typename denominator_traits<D>::aggregation, aggregation_t> || std::same_as<D, over_this_call_t>;
    static_assert(!is_denominator || same, "hence: the denominator was made for another aggregation than the loss's");
    if constexpr (sound_ratio && sound_aggregation && is_denominator && same)
      return check_kl(static_cast<const kl_t*>(nullptr)) && check_surrogate<num<S>, ratio_t>(static_cast<const surrogate_t*>(nullptr));
  }
  return false;
}

template <class Loss, class A, class Scope> [[gnu::always_inline]] inline void check_denominator(const Loss& loss, const denominator<A, Scope>& d) {
  positive("denominator", d.value);
  if constexpr (requires { loss.aggregation.value; }) {
    if (loss.aggregation.value != d.value)
      refuse(message() << "hence: the loss divides by the constant " << loss.aggregation.value << ", the denominator is " << d.value);
  } else if constexpr (std::same_as<A, aggregate::sequence_mean_token_mean_over>) {
    if (loss.aggregation.rows != d.value)
      refuse(message() << "hence: the loss counts " << loss.aggregation.rows << " rows, the denominator is " << d.value);
  }
}

template <class Isa = native_isa> void check_workspace(const view<std::byte>& w, std::int64_t bytes) {
  if (!w.present()) return;
  if (w.extent[0] < bytes) refuse(message() << "hence: workspace has " << w.extent[0] << " bytes, expected at least " << bytes);
  if (reinterpret_cast<std::uintptr_t>(w.data) % 64 != 0) refuse(message() << "hence: workspace is not aligned to 64 bytes");
  if (w.stride[0] != 1) refuse(message() << "hence: workspace is not contiguous");
}

}  // namespace hence::inline v0::detail
