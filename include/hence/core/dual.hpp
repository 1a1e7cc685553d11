/// \file
/// Forward-mode dual numbers with two partials, so that a formula is its value and nobody writes a
/// derivative by hand.
///
/// The partials are with respect to (1) the log-ratio before it is clamped (pooled over the row at
/// sequence level) and (2) the token's own log-prob; at sequence level they differ. A partial that
/// is 0 or 1 whatever the data is a type, `zero` or `one`, and costs nothing.
#pragma once

#include <hence/core/num.hpp>

namespace hence::inline v0 {

/// A derivative that is structurally 0.
struct zero {};
/// A derivative that is structurally 1.
struct one {};

/// A value with its two partials. \tparam V `num` or `pack`. \tparam Pooled, Own `V`, `zero` or
/// `one`.
template <class V, class Pooled, class Own> struct dual {
  V value;
  // an empty partial takes no room, or g++ copies the whole through memory
  [[no_unique_address]] Pooled pooled;
  [[no_unique_address]] Own own;  ///< d value / d log-ratio of the token itself
};

namespace detail {

template <class X> struct is_dual {
  static constexpr bool value = false;
};
template <class V, class P, class Q> struct is_dual<dual<V, P, Q>> {
  static constexpr bool value = true;
};
template <class X> constexpr bool dual_v = is_dual<X>::value;

/// The plain number that an operand stands for.
template <class X> struct plain {
  using type = X;
};
template <class V, class P, class Q> struct plain<dual<V, P, Q>> {
  using type = V;
};
template <class X> using plain_t = typename plain<X>::type;

/// Exactly one side is dual, or both are of the same plain number; the other side must convert.
template <class A, class B>
concept mixes =
    (dual_v<A> || dual_v<B>) && ((dual_v<A> && dual_v<B> && std::same_as<plain_t<A>, plain_t<B>>) ||
                                 (dual_v<A> && !dual_v<B> && std::convertible_to<B, plain_t<A>>) ||
                                 (!dual_v<A> && dual_v<B> && std::convertible_to<A, plain_t<B>>));
template <class A, class B> using common_plain = plain_t<std::conditional_t<dual_v<A>, A, B>>;

template <class X> HENCE_FN constexpr auto value_of(const X& x) {
  if constexpr (dual_v<X>)
    return x.value;
  else
    return x;
}
template <class X> HENCE_FN constexpr auto pooled_of(const X& x) {
  if constexpr (dual_v<X>)
    return x.pooled;
  else
    return zero{};
}
template <class X> HENCE_FN constexpr auto own_of(const X& x) {
  if constexpr (dual_v<X>)
    return x.own;
  else
    return zero{};
}

template <class V, class P, class Q> HENCE_FN constexpr auto make_dual(V v, P p, Q q) {
  if constexpr (std::same_as<P, zero> && std::same_as<Q, zero>)
    return v;
  else
    return dual<V, P, Q>{v, p, q};
}

// Partials: the chain rule with zero and one folded away.
template <class V> HENCE_FN constexpr zero scaled(zero, V) { return {}; }
template <class V> HENCE_FN constexpr V scaled(one, V k) { return k; }
template <class V> HENCE_FN constexpr V scaled(V p, V k) { return p * k; }

/// p k + q l, with as few roundings as the operands allow.
template <class V, class P, class Q> HENCE_FN constexpr auto combined(P p, V k, Q q, V l) {
  if constexpr (std::same_as<P, zero>)
    return scaled(q, l);
  else if constexpr (std::same_as<Q, zero>)
    return scaled(p, k);
  else if constexpr (std::same_as<P, one> && std::same_as<Q, one>)
    return k + l;
  else if constexpr (std::same_as<P, one>)
    return fma(q, l, k);
  else if constexpr (std::same_as<Q, one>)
    return fma(p, k, l);
  else
    return fma(p, k, q * l);
}

template <class V, class P> HENCE_FN constexpr auto as_number(P p) {
  if constexpr (std::same_as<P, zero>)
    return V(0);
  else if constexpr (std::same_as<P, one>)
    return V(1);
  else
    return p;
}
template <class V, class P> HENCE_FN constexpr auto negated_partial(P p) {
  if constexpr (std::same_as<P, zero>)
    return zero{};
  else
    return -as_number<V>(p);
}
template <class V, class P, class Q> HENCE_FN constexpr auto sum_partial(P p, Q q) {
  if constexpr (std::same_as<P, zero>)
    return q;
  else if constexpr (std::same_as<Q, zero>)
    return p;
  else
    return as_number<V>(p) + as_number<V>(q);
}
template <class V, class M, class P, class Q>
HENCE_FN constexpr auto select_partial(M m, P p, Q q) {
  if constexpr (std::same_as<P, Q> && !std::same_as<P, V>)
    return p;
  else
    return select(m, as_number<V>(p), as_number<V>(q));
}

}  // namespace detail

/// The value with its gradient stopped: sg(x) of the papers.
template <class X> HENCE_FN constexpr auto detach(const X& x) { return detail::value_of(x); }

/// f(x) for a primitive with value v = f(x) and slope f'(x).
template <class V, class P, class Q>
HENCE_FN constexpr auto chain(const dual<V, P, Q>& x, V v, V slope) {
  return detail::make_dual(v, detail::scaled(x.pooled, slope), detail::scaled(x.own, slope));
}

/// The value of one formula with the gradient of another, never through x - sg(x), which turns an
/// infinite value into NaN.
template <class X, class Y>
HENCE_FN constexpr auto with_gradient_of(const X& value, const Y& gradient) {
  return detail::make_dual(detail::value_of(value), detail::pooled_of(gradient),
                           detail::own_of(gradient));
}

template <class A, class B>
  requires detail::mixes<A, B>
HENCE_FN constexpr auto operator+(const A& a, const B& b) {
  using V = detail::common_plain<A, B>;
  return detail::make_dual(V(detail::value_of(a)) + V(detail::value_of(b)),
                           detail::sum_partial<V>(detail::pooled_of(a), detail::pooled_of(b)),
                           detail::sum_partial<V>(detail::own_of(a), detail::own_of(b)));
}
template <class V, class P, class Q> HENCE_FN constexpr auto operator-(const dual<V, P, Q>& a) {
  return detail::make_dual(-a.value, detail::negated_partial<V>(a.pooled),
                           detail::negated_partial<V>(a.own));
}
template <class A, class B>
  requires detail::mixes<A, B>
HENCE_FN constexpr auto operator-(const A& a, const B& b) {
  using V = detail::common_plain<A, B>;
  return detail::make_dual(
      V(detail::value_of(a)) - V(detail::value_of(b)),
      detail::sum_partial<V>(detail::pooled_of(a),
                             detail::negated_partial<V>(detail::pooled_of(b))),
      detail::sum_partial<V>(detail::own_of(a), detail::negated_partial<V>(detail::own_of(b))));
}
template <class A, class B>
  requires detail::mixes<A, B>
HENCE_FN constexpr auto operator*(const A& a, const B& b) {
  using V = detail::common_plain<A, B>;
  const V x = detail::value_of(a), y = detail::value_of(b);
  return detail::make_dual(x * y,
                           detail::combined(detail::pooled_of(a), y, detail::pooled_of(b), x),
                           detail::combined(detail::own_of(a), y, detail::own_of(b), x));
}
template <class A, class B>
  requires detail::mixes<A, B>
HENCE_FN constexpr auto operator/(const A& a, const B& b) {
  using V = detail::common_plain<A, B>;
  const V y = detail::value_of(b), r = V(1) / y, q = V(detail::value_of(a)) / y;
  return detail::make_dual(
      q, detail::combined(detail::pooled_of(a), r, detail::pooled_of(b), -(q * r)),
      detail::combined(detail::own_of(a), r, detail::own_of(b), -(q * r)));
}

// Comparisons see values: a branch picked by a comparison is constant.
template <class A, class B>
  requires detail::mixes<A, B>
HENCE_FN constexpr auto operator<(const A& a, const B& b) {
  using V = detail::common_plain<A, B>;
  return V(detail::value_of(a)) < V(detail::value_of(b));
}
template <class A, class B>
  requires detail::mixes<A, B>
HENCE_FN constexpr auto operator>(const A& a, const B& b) {
  return b < a;
}
template <class A, class B>
  requires detail::mixes<A, B>
HENCE_FN constexpr auto operator<=(const A& a, const B& b) {
  using V = detail::common_plain<A, B>;
  return V(detail::value_of(a)) <= V(detail::value_of(b));
}
template <class A, class B>
  requires detail::mixes<A, B>
HENCE_FN constexpr auto operator>=(const A& a, const B& b) {
  return b <= a;
}

/// `m ? a : b` on value and partials.
template <class M, class A, class B>
  requires detail::mixes<A, B>
HENCE_FN constexpr auto select(M m, const A& a, const B& b) {
  using V = detail::common_plain<A, B>;
  return detail::make_dual(select(m, V(detail::value_of(a)), V(detail::value_of(b))),
                           detail::select_partial<V>(m, detail::pooled_of(a), detail::pooled_of(b)),
                           detail::select_partial<V>(m, detail::own_of(a), detail::own_of(b)));
}

}  // namespace hence::inline v0
