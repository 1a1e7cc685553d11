/// \file
/// A tile: as many valid rows as a register has lanes, routed together.
#pragma once

#include <hence/moe/gate_checks.hpp>
#include <hence/moe/lanes.hpp>

namespace hence::inline v0::detail {

/// The memory of the rows of one register. Selection values take the place of the logits that they
/// are made of.
template <class V> struct row_memory {
  using T = typename V::scalar;
  T* logits;              // [experts lanes]
  score_table<V> scores;  // [experts lanes]
  slot_table<V> slots;    // [k lanes]
  T* numbers;             // [k lanes], scores of the slots, then cotangents
  T* results;             // [k lanes]
  T* selection;           // [selected lanes]

  HENCE_FN row_memory(carver& c, std::int64_t experts, std::int64_t k, std::int64_t selected) {
    constexpr std::int64_t L = lane_count<V>;
    logits = c.take<T>(experts * L);
    scores = {c.take<T>(experts * L)};
    slots = {c.take<T>(k * L)};
    numbers = c.take<T>(k * L);
    results = c.take<T>(k * L);
    selection = c.take<T>(selected * L);
  }
};
/// And of all tiles of a part.
template <class V> struct tile_memory : row_memory<V> {
  std::uint8_t* seen;  // [experts], all 0 between rows
  std::int64_t* load;  // [experts]

  HENCE_FN tile_memory(carver& c, std::int64_t experts, std::int64_t k, const grouping& g)
      : row_memory<V>(c, experts, k, selection_memory(g, k)) {
    seen = c.take<std::uint8_t>(experts);
    load = c.take<std::int64_t>(experts);
  }
  HENCE_FN void clear(std::int64_t experts) {
    for (std::int64_t e = 0; e < experts; ++e) seen[e] = 0, load[e] = 0;
  }
};

/// Rows of a tile: up to `lane_count<V>` valid ones.
template <class V> struct tile_rows {
  per_lane<V, std::int64_t> row = {};
  int count = 0;
  HENCE_FN tile_rows() {}
};

/// Calls f with tile after tile of the valid rows in [begin, end), and dead(row) for the others.
template <class V, class Dead, class F>
HENCE_FN void for_tiles(const view<const std::uint8_t>& valid, std::int64_t begin, std::int64_t end,
                        Dead dead, F f) {
  for (std::int64_t i = begin; i < end;) {
    tile_rows<V> tile;
    for (; i < end && lane_count<V> > tile.count; ++i) {  // nvcc would read "count <" as a template
      if (!valid.present() || valid.data[i] != 0)
        tile.row[tile.count++] = i;
      else
        dead(i);
    }
    if (tile.count == 0) return;
    for (int l = 0; l < lane_count<V>; ++l)
      if (l >= tile.count) tile.row[l] = tile.row[0];
    f(tile);
  }
}

/// Reads a row's given ids into its lane of the slots; what is wrong with them. Such a row is
/// empty.
template <class V, class Id>
HENCE_FN std::uint8_t read_ids(const Id* ids, std::int64_t k, std::int64_t experts, int lane,
                               const slot_table<V>& slots, std::uint8_t* seen) {
  using T = typename V::scalar;
  std::uint8_t faults = 0;
  for (std::int64_t j = 0; j < k; ++j) {
    const auto e = static_cast<std::int64_t>(ids[j]);
    if (e < -1 || e >= experts) {
      faults |= moe::row_fault::id_range;
    } else if (e >= 0) {
      if (seen[e]++ != 0) faults |= moe::row_fault::id_repeated, seen[e] = 1;
    }
  }
  for (std::int64_t j = 0; j < k; ++j) {
    const auto e = static_cast<std::int64_t>(ids[j]);
    if (e >= 0 && e < experts) seen[e] = 0;
    slots.at(j, lane) = faults != 0 ? T(-1) : static_cast<T>(e);
  }
  return faults;
}

template <class V> HENCE_FN void lanes_of_mask(mask_of<V> m, typename V::scalar* out) {
  using T = typename V::scalar;
  store_as(out, select(m, V(T(1)), V(T(0))));
}
/// The faults of each row's logits; a row with +inf loses its slots.
template <class V>
HENCE_FN void note_faults(const row_faults<V>& found, per_lane<V, std::uint8_t>& faults,
                          std::int64_t k, const slot_table<V>& slots) {
  using T = typename V::scalar;
  alignas(64) per_lane<V, T> nan, infinite;
  lanes_of_mask<V>(found.nan, nan);
  lanes_of_mask<V>(found.infinite, infinite);
  for (int l = 0; l < lane_count<V>; ++l) {
    if (nan[l] > 0) faults[l] |= moe::row_fault::nan_logit;
    if (infinite[l] > 0) {
      faults[l] |= moe::row_fault::infinite_logit;
      for (std::int64_t j = 0; j < k; ++j) slots.at(j, l) = T(-1);
    }
  }
}

/// Routes one tile.
template <class V, class Gate, class Z, class Id, class Out>
HENCE_FN void route_tile(const Gate& gate, const grouping& groups,
                         const moe::gate_inputs<typename V::scalar, Z, Id>& in,
                         const moe::gate_outputs<typename V::scalar, Out>& out,
                         const tile_rows<V>& tile, tile_memory<V>& memory,
                         moe::route_counts& counts) {
  using T = typename V::scalar;
  constexpr int L = lane_count<V>;
  const std::int64_t experts = in.logits.extent[1], k = gate.k;
  per_lane<V, const Z*> rows;
  for (int l = 0; l < L; ++l) rows[l] = in.logits.data + tile.row[l] * in.logits.stride[0];
  rows_to_lanes<V>(rows, experts, memory.logits);
  const selection_table<V> c{memory.logits};
  const auto found =
      score_rows<V>(gate.score, gate.precision, memory.logits,
                    in.bias.present() ? in.bias.data : nullptr, experts, memory.scores, c);
  per_lane<V, std::uint8_t> faults = {};
  if (in.replay.present()) {
    for (int l = 0; l < L; ++l)
      faults[l] = read_ids(in.replay.data + tile.row[l] * in.replay.stride[0], k, experts, l,
                           memory.slots, memory.seen);
  } else {
    select_experts(c, groups, k, memory.slots, memory.selection);
  }
  note_faults<V>(found, faults, k, memory.slots);
  const selected_scores<V> s{memory.numbers};
  gather_scores<V>(gate.score, memory.scores, memory.slots, k, s);
  weigh<V>(gate.score, gate.weights, gate.precision, s, k, V(static_cast<T>(gate.scale)),
           [&](std::int64_t j, V w)
               __attribute__((always_inline)) { store_as(memory.results + j * L, w); });
  for (int l = 0; l < tile.count; ++l) {
    Out* const ids = out.ids.data + tile.row[l] * out.ids.stride[0];
    T* const weights = out.weights.data + tile.row[l] * out.weights.stride[0];
    std::int64_t empty = 0;
    for (std::int64_t j = 0; j < k; ++j) {
      const std::int64_t e = memory.slots.expert(j, l);
      ids[j] = static_cast<Out>(e);
      weights[j] = e < 0 ? T(0) : memory.results[j * L + l];
      if (e < 0)
        ++empty;
      else
        ++memory.load[e];
    }
    counts.empty_slots += empty;
    counts.short_rows += empty > 0;
    counts.note(faults[l]);
    if (out.row_faults.present()) out.row_faults.data[tile.row[l]] = faults[l];
  }
  counts.rows += tile.count;
  if (in.replay.present()) counts.replayed_rows += tile.count;
}

/// An invalid row: read nothing, select nothing.
template <class S, class Out>
HENCE_FN void write_dead_row(const moe::gate_outputs<S, Out>& out, std::int64_t row,
                             std::int64_t k) {
  for (std::int64_t j = 0; j < k; ++j) {
    out.ids.data[row * out.ids.stride[0] + j] = Out(-1);
    out.weights.data[row * out.weights.stride[0] + j] = S(0);
  }
  if (out.row_faults.present()) out.row_faults.data[row] = 0;
}

}  // namespace hence::inline v0::detail

namespace hence::inline v0::moe {

/// Bytes of workspace that `route` and `route_backward` need, to be aligned to 64.
template <class Executor, class Gate>
std::int64_t route_workspace_bytes(const Executor&, const Gate& gate, std::int64_t tokens,
                                   std::int64_t experts) {
  detail::check_gate(gate, experts);
  detail::check_count("tokens", tokens);
  detail::carver c;
  detail::tile_memory<detail::row_number_t<Executor>>(
      c, experts, gate.k, detail::grouping_of(gate.groups, gate.k, experts));
  return c.used() * detail::row_parts<Executor>(tokens);
}

}  // namespace hence::inline v0::moe
