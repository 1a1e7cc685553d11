/// \file
/// Sums of unlike roots and powers of pi: 1 + sqrt(2) + sqrt(3), (1 + sqrt(5)) / 2, pi + 1. Square
/// roots of different square-free numbers are linearly independent over the rationals (Besicovitch
/// 1940), and pi is transcendental: two sums are equal exactly if their terms are.
#pragma once

#include <hence/reward/exact.hpp>

namespace hence::inline v0::reward {

/// Terms that a sum holds; a ninth is a fault.
inline constexpr int most_terms = 8;

/// At most eight terms q sqrt(root) pi^pi, none of them zero, by ascending pi, then root. The sum
/// of no terms is 0.
struct exact_sum {
  exact term[most_terms];  ///< by ascending pi, then root
  int terms;
  exact_fault fault;  ///< why this is no number

  /// 0
  HENCE_FN constexpr exact_sum() : term{}, terms(0), fault(exact_fault::none) {}
  // NOLINTNEXTLINE: a number is a sum
  HENCE_FN constexpr exact_sum(const exact& x)
      : term{x}, terms(x.ok() && x.num != 0), fault(x.fault) {}
  HENCE_FN constexpr bool ok() const { return fault == exact_fault::none; }
  /// One term without root and pi, a whole number.
  HENCE_FN constexpr bool integer() const { return single().integer(); }
  /// One term without root and pi.
  HENCE_FN constexpr bool rational() const { return single().rational(); }
  /// The one term; `not_exact` where there are more.
  HENCE_FN constexpr exact single() const {
    return !ok() || terms > 1 ? detail::fail(ok() ? exact_fault::not_exact : fault)
           : terms == 1       ? term[0]
                              : detail::fail(exact_fault::none);
  }
  /// Whether both have a value and it is the same one.
  friend HENCE_FN constexpr bool operator==(const exact_sum& a, const exact_sum& b) {
    bool same = a.ok() && b.ok() && a.terms == b.terms;
    for (int i = 0; same && i < a.terms; ++i) same = a.term[i] == b.term[i];
    return same;
  }
};

/// -x.
HENCE_FN constexpr exact_sum negated(exact_sum x) {
  for (int i = 0; i < x.terms; ++i) x.term[i] = negated(x.term[i]);
  return x;
}

/// a + b; a fault if it has too many terms or one does not fit.
template <class Isa = native_isa> constexpr exact_sum add(const exact_sum& a, const exact_sum& b) {
  if (!a.ok()) return a;
  if (!b.ok()) return b;
  const auto before = [](const exact& x, const exact& y) {
    return x.pi != y.pi ? x.pi < y.pi : x.root < y.root;
  };
  exact_sum sum = detail::fail(exact_fault::none);
  for (int i = 0, j = 0; i < a.terms || j < b.terms;) {
    const bool left = j == b.terms || (i < a.terms && before(a.term[i], b.term[j]));
    const bool right = i == a.terms || (j < b.terms && before(b.term[j], a.term[i]));
    const exact x = left ? a.term[i] : right ? b.term[j] : add<Isa>(a.term[i], b.term[j]);
    i += !right, j += !left;
    if (!x.ok()) return x;
    if (x.num == 0) continue;
    if (sum.terms == most_terms) return detail::fail(exact_fault::overflow);
    sum.term[sum.terms++] = x;
  }
  return sum;
}

/// a b; a fault if it has too many terms or one does not fit.
template <class Isa = native_isa>
constexpr exact_sum multiply(const exact_sum& a, const exact_sum& b) {
  if (!a.ok()) return a;
  if (!b.ok()) return b;
  exact_sum sum = detail::fail(exact_fault::none);
  for (int i = 0; i < a.terms; ++i)
    for (int j = 0; j < b.terms; ++j)
      sum = add<Isa>(sum, exact_sum(multiply<Isa>(a.term[i], b.term[j])));
  return sum;
}

/// 1 / x for one term, and for two by their conjugate: 1 / (s + t) = (s - t) / (s^2 - t^2), which
/// needs equal powers of pi. Else `not_exact`.
template <class Isa = native_isa> constexpr exact_sum inverse(const exact_sum& x) {
  if (x.terms != 2) return inverse<Isa>(x.single());
  const exact s = x.term[0], t = x.term[1];
  const exact norm = add<Isa>(multiply<Isa>(s, s), negated(multiply<Isa>(t, t)));
  const exact_sum conjugate = add<Isa>(exact_sum(s), exact_sum(negated(t)));
  return multiply<Isa>(conjugate, exact_sum(inverse<Isa>(norm)));
}
/// a/b; a fault if it does not fit, or b is 0 or has more terms than two.
template <class Isa = native_isa>
constexpr exact_sum divide(const exact_sum& a, const exact_sum& b) {
  return multiply<Isa>(a, inverse<Isa>(b));
}

/// x^n; of several terms for |n| <= 16.
template <class Isa = native_isa> constexpr exact_sum power(const exact_sum& x, wide n) {
  if (x.terms < 2) return power<Isa>(x.single(), n);
  if (n > 16 || n < -16) return detail::fail(exact_fault::overflow);
  const exact_sum base = n < 0 ? inverse<Isa>(x) : x;
  exact_sum y = exact{1, 1, 1, 0, exact_fault::none};
  for (wide i = n < 0 ? -n : n; i > 0 && y.ok(); --i) y = multiply<Isa>(y, base);
  return y;
}

/// The root of a single term; sums are not denested.
template <class Isa = native_isa> constexpr exact_sum root_of(const exact_sum& x, int k) {
  return root_of<Isa>(x.single(), k);
}

namespace detail {

HENCE_FN constexpr exact single(const exact& x) { return x; }
HENCE_FN constexpr exact single(const exact_sum& x) { return x.single(); }
/// Whether z = x + y has as many terms as both: 1 + sqrt(2) is not left to compute, 1 + 1 is.
HENCE_FN constexpr bool keeps_terms(const exact&, const exact&, const exact&) { return false; }
HENCE_FN constexpr bool keeps_terms(const exact_sum& x, const exact_sum& y, const exact_sum& z) {
  return z.terms == x.terms + y.terms;
}

}  // namespace detail

}  // namespace hence::inline v0::reward
