/// \file
/// Selection of a tile of rows: the best groups, then the k best experts of these.
#pragma once

#include <hence/moe/row.hpp>

namespace hence::inline v0::detail {

/// The k slots of each row: slot j of row l at [j lanes + l]; expert as a whole number, -1 if
/// empty.
template <class V> struct slot_table {
  using T = typename V::scalar;
  T* data;
  HENCE_FN V operator[](std::int64_t j) const { return load_as<V>(data + j * lane_count<V>); }
  HENCE_FN void set(std::int64_t j, V x) const { store_as(data + j * lane_count<V>, x); }
  HENCE_FN T& at(std::int64_t j, int lane) const { return data[j * lane_count<V> + lane]; }
  /// The expert of one row's slot.
  HENCE_FN std::int64_t expert(std::int64_t j, int lane) const {
    return static_cast<std::int64_t>(static_cast<std::int32_t>(at(j, lane)));
  }
};

/// Which groups a row keeps: those that rank no later than the last of the best.
template <class V> struct kept_groups {
  slot_table<V> score;  ///< [groups]
  V last, last_group;
  HENCE_FN mask_of<V> operator()(std::int64_t group) const {
    using T = typename V::scalar;
    const V x = score[group];
    return (x > last) | ((x == last) & (V(static_cast<T>(group)) <= last_group));
  }
};

/// \param memory (groups + 2 max(kept, terms)) lanes.
template <class V>
kept_groups<V> keep_groups(const selection_table<V>& c, const grouping& g,
                           typename V::scalar* memory) {
  using T = typename V::scalar;
  const slot_table<V> score{memory};
  T* const rest = memory + g.count * lane_count<V>;
  for (std::int64_t i = 0; i < g.count; ++i) score.set(i, group_score(c, i * g.size, g, rest));
  ranking<V, 0> best(rest, g.kept);
  for (std::int64_t i = 0; i < g.count; ++i) best.offer(score[i], V(static_cast<T>(i)));
  return {score, best.value(g.kept - 1), best.index(g.kept - 1)};
}

/// Offers every expert that may be selected, in index order.
template <class V, class Ranking>
HENCE_FN void offer_experts(const selection_table<V>& c, const grouping& g, Ranking& best,
                            typename V::scalar* memory) {
  using T = typename V::scalar;
  V index(T(0));
  if (g.kept == g.count) {
    for (std::int64_t e = 0; e < g.count * g.size; ++e, index = index + V(T(1)))
      best.offer(c[e], index);
    return;
  }
  const kept_groups<V> kept = keep_groups(c, g, memory);
  for (std::int64_t i = 0; i < g.count; ++i) {
    const auto is_kept = kept(i);
    for (std::int64_t e = i * g.size; e < (i + 1) * g.size; ++e, index = index + V(T(1)))
      best.offer(select(is_kept, c[e], minus_infinity<V>()), index);
  }
}

template <int K, class V>
HENCE_FN void select_in_registers(const selection_table<V>& c, const grouping& g, std::int64_t k,
                                  slot_table<V> slots, typename V::scalar* memory) {
  ranking<V, K> best;
  offer_experts(c, g, best, memory);
  for (std::int64_t j = 0; j < k; ++j) slots.set(j, best.index(j));
}

/// Lanes of memory that `select_experts` needs for one row.
HENCE_FN constexpr std::int64_t selection_memory(const grouping& g, std::int64_t k) {
  return 2 * k + (g.kept == g.count ? 0 : g.count + 2 * (g.kept > g.terms ? g.kept : g.terms));
}

/// The k best experts of each row, best first; empty slots last.
template <class V>
void select_experts(const selection_table<V>& c, const grouping& g, std::int64_t k,
                    slot_table<V> slots, typename V::scalar* memory) {
  typename V::scalar* const rest = memory + 2 * k * lane_count<V>;
  if constexpr (lane_count<V> > 1) {
    if (k == 1) return select_in_registers<1>(c, g, k, slots, rest);
    if (k == 2) return select_in_registers<2>(c, g, k, slots, rest);
    if (k <= 4) return select_in_registers<4>(c, g, k, slots, rest);
    if (k <= 6) return select_in_registers<6>(c, g, k, slots, rest);
    if (k <= 8) return select_in_registers<8>(c, g, k, slots, rest);
  }
  ranking<V, 0> best(memory, k);
  offer_experts(c, g, best, rest);
  for (std::int64_t j = 0; j < k; ++j) slots.set(j, best.index(j));
}

}  // namespace hence::inline v0::detail
