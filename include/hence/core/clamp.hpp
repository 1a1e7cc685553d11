/// \file
/// min, max and clamp of numbers and duals, with the gradient conventions of the conformance
/// contract.
#pragma once

#include <hence/core/dual.hpp>

namespace hence::inline v0 {

/// The smaller; at a tie, and where a is NaN, b with b's gradient.
template <class A, class B>
  requires detail::mixes<A, B>
HENCE_FN constexpr auto min(const A& a, const B& b) {
  return select(a < b, a, b);
}
// for two equal types a better match than std::min in a file that is using namespace std
template <class V, class P, class Q>
HENCE_FN constexpr auto min(const dual<V, P, Q>& a, const dual<V, P, Q>& b) {
  return select(a < b, a, b);
}

/// The larger; at a tie, and where a is NaN, b with b's gradient.
template <class A, class B>
  requires detail::mixes<A, B>
HENCE_FN constexpr auto max(const A& a, const B& b) {
  return select(a > b, a, b);
}
template <class V, class P, class Q>
HENCE_FN constexpr auto max(const dual<V, P, Q>& a, const dual<V, P, Q>& b) {
  return select(a > b, a, b);
}

/// x limited to [low, high]; NaN stays NaN. The gradient is 1 on the closed interval and 0 outside.
/// An absent bound is an infinity. low and high are numbers or scalars.
template <class V, class L, class H>
  requires detail::is_number<V>
HENCE_FN constexpr V clamp(V x, L low, H high) {
  return lesser(V(high), greater(V(low), x));
}
template <class V, class P, class Q, class L, class H>
HENCE_FN constexpr auto clamp(const dual<V, P, Q>& x, L low, H high) {
  const V value = clamp(x.value, low, high);
  return select(value == x.value, dual<V, P, Q>{value, x.pooled, x.own}, value);
}

}  // namespace hence::inline v0
