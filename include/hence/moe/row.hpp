/// \file
/// The formulas of routing, each lane its own row: scores, group scores, selection, weights.
///
/// `reference<S>` calls this text with scalars, `cpu` with packs of `lanes` rows, a CUDA warp with
/// scalars and 32 threads a row; sums run in index order in four chains, so that all have the same
/// bits.
#pragma once

#include <hence/moe/gate_rule.hpp>
#include <hence/moe/ranking.hpp>

namespace hence::inline v0::detail {

template <class V> using mask_of = decltype(V() < V());
template <class V> HENCE_FN V minus_infinity() {
  return V(-static_cast<typename V::scalar>(__builtin_inff()));
}
template <class V> HENCE_FN V largest_number() {
  using T = typename V::scalar;
  return V(static_cast<T>(sizeof(T) == 4 ? 0x1.fffffep+127 : 0x1.fffffffffffffp+1023));
}

/// Which rows hold a NaN, and which a +inf logit.
template <class V> struct row_faults {
  mask_of<V> nan, infinite;
  HENCE_FN row_faults() : nan(V(0) > V(0)), infinite(nan) {}
  HENCE_FN void note(V z) {
    nan = nan | (z != z);
    infinite = infinite | (z > largest_number<V>());
  }
};

/// Neither NaN nor infinite: the expert is scored.
template <class V> HENCE_FN mask_of<V> is_scored(V z) {
  return (z > minus_infinity<V>()) & (z <= largest_number<V>());
}

/// c of one expert; -inf where it is not eligible: unscored, or its bias is -inf.
template <class V>
HENCE_FN moe::selection_value<V> eligible(mask_of<V> scored, moe::score_value<V> s, V bias) {
  const moe::selection_value<V> c = moe::select_by(s, bias);
  const auto is = scored & (bias > minus_infinity<V>()) & (c.v == c.v);
  return {select(is, c.v, minus_infinity<V>())};
}

/// Who works on a row: one thread. Others take every `size`-th element from `first()` on
/// (cuda/gate.cuh).
struct alone {
  static constexpr std::int64_t size = 1;
  HENCE_FN std::int64_t first() const { return 0; }
  /// What each has written is seen by all.
  HENCE_FN void meet() const {}
  /// The largest of what the threads have.
  template <class V> HENCE_FN V greatest(V x) const { return x; }
  /// term(0) + ... + term(n - 1) in four chains.
  template <class V, class Term> HENCE_FN V sum_in_chains(std::int64_t n, Term term) const {
    using T = typename V::scalar;
    V sum[4] = {V(T(0)), V(T(0)), V(T(0)), V(T(0))};
    std::int64_t e = 0;
    for (; e + 4 <= n; e += 4) {
      sum[0] = sum[0] + term(e);
      sum[1] = sum[1] + term(e + 1);
      sum[2] = sum[2] + term(e + 2);
      sum[3] = sum[3] + term(e + 3);
    }
    for (; e < n; ++e) sum[0] = sum[0] + term(e);
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
  }
};

/// Maximum of the scored logits, 0 if there are none, and the sum of e^(z - maximum).
template <class V> struct softmax_of_row {
  V top, sum;
};
/// \param z logits at z[e lanes]. \param keep called with (e, e^(z_e - top)), 0 if unscored.
template <class V, class Keep, class Team = alone>
HENCE_FN softmax_of_row<V> softmax_row(const typename V::scalar* z, std::int64_t n, Keep keep,
                                       const Team& team = {}) {
  using T = typename V::scalar;
  constexpr int L = lane_count<V>;
  V top = minus_infinity<V>();
  for (std::int64_t e = team.first(); e < n; e += Team::size) {
    const V x = load_as<V>(z + e * L);
    top = select(is_scored(x), greater(x, top), top);
  }
  top = team.greatest(top);
  top = select(top > minus_infinity<V>(), top, V(T(0)));
  const V sum =
      team.template sum_in_chains<V>(n, [&](std::int64_t e) __attribute__((always_inline)) {
        const V x = load_as<V>(z + e * L);
        const V y = select(is_scored(x), exp(x - top), V(T(0)));
        keep(e, y);
        return y;
      });
  return {top, sum};
}

/// Scores and selection values of n experts. \param bias [n] or null.
template <class V, class Score, class Precision, class Team = alone>
HENCE_HOST_DEVICE row_faults<V> score_rows(const Score& score, const Precision& rounded,
                                           const typename V::scalar* z,
                                           const typename V::scalar* bias, std::int64_t n,
                                           score_table<V> s, selection_table<V> c,
                                           const Team& team = {}) {
  using T = typename V::scalar;
  constexpr int L = lane_count<V>;
  const auto bias_of = [&](std::int64_t e) __attribute__((always_inline)) {
    return V(bias == nullptr ? T(0) : bias[e]);
  };
  row_faults<V> faults;
  if constexpr (std::same_as<Score, moe::score::softmax>) {
    const auto row = softmax_row<V>(
        z, n, [&](std::int64_t e, V y) __attribute__((always_inline)) { s.set(e, {y}); }, team);
    const V share = select(row.sum > V(T(0)), V(T(1)) / row.sum, V(T(0)));
    for (std::int64_t e = team.first(); e < n; e += Team::size) {
      const V x = load_as<V>(z + e * L);
      faults.note(x);
      const moe::score_value<V> value{rounded(s[e].v * share)};
      s.set(e, value);
      c.set(e, eligible(is_scored(x), value, bias_of(e)));
    }
  } else {
    for (std::int64_t e = team.first(); e < n; e += Team::size) {
      const V x = load_as<V>(z + e * L);
      faults.note(x);
      const auto scored = is_scored(x);
      moe::score_value<V> value;
      if constexpr (std::same_as<Score, moe::score::softmax_after>)
        value = {select(scored, rounded(x), minus_infinity<V>())};  // e^-inf = 0 is no weight
      else
        value = {select(scored, rounded(score(x)), V(T(0)))};
      s.set(e, value);
      c.set(e, eligible(scored, value, bias_of(e)));
    }
  }
  return faults;
}

/// Groups as numbers: consecutive ones of `size` experts; a score sums `terms` values.
struct grouping {
  std::int64_t count, kept, size, terms;
};
HENCE_FN grouping grouping_of(const moe::all_experts&, std::int64_t, std::int64_t experts) {
  return {1, 1, experts, 1};
}
template <class Score>
HENCE_FN grouping grouping_of(const moe::grouped<Score>& g, std::int64_t k, std::int64_t experts) {
  return {g.count, g.kept, experts / g.count, g.score.terms(k, g.kept)};
}

/// The sum of the largest `terms` eligible values from `first` on, largest first; -inf if there is
/// none. In what order the group is read does not matter: a NaN or -0 is not in it.
/// \param c what c[e] is the value of, as `selection_table`.
/// \param memory 2 terms lanes, used beyond two terms.
template <class Table, class S>
HENCE_FN auto group_score(const Table& c, std::int64_t first, const grouping& g, S* memory) {
  using V = std::remove_cvref_t<decltype(c[first])>;
  const V none = minus_infinity<V>();
  V best = none, sum = none;
  if (g.terms <= 2) {
    V second = none;
    for (std::int64_t e = first; e < first + g.size; ++e) {
      const V x = c[e];
      second = greater(second, lesser(best, x));
      best = greater(best, x);
    }
    sum = g.terms == 2 ? select(second > none, best + second, best) : best;
  } else {
    ranking<V, 0> ranked(memory, g.terms);
    for (std::int64_t e = first; e < first + g.size; ++e) ranked.offer(c[e], V(0));
    sum = best = ranked.value(0);
    for (std::int64_t j = 1; j < g.terms; ++j)
      sum = select(ranked.value(j) > none, sum + ranked.value(j), sum);
  }
  return select(best > none, greater(-largest_number<V>(), sum), none);
}

}  // namespace hence::inline v0::detail
