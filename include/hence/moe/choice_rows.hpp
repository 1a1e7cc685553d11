/// \file
/// How experts take tokens: scores, then the tokens of each expert, then the experts of each token.
#pragma once

#include <hence/moe/choice_rule.hpp>
#include <hence/moe/gate_tile.hpp>
#include <hence/moe/largest.hpp>

namespace hence::inline v0 {

namespace detail {

/// Expert e's values of all tokens at [e padded]; -inf: not to be taken, or not taken.
template <class S> struct choice_memory {
  std::int64_t padded;  ///< tokens, and whole registers behind them
  S* value;
  std::uint8_t* given;   ///< the same places: whether the token had the expert
  std::int64_t* change;  ///< [2 experts], how many tokens rounding added and removed
  HENCE_FN choice_memory(carver& c, std::int64_t tokens, std::int64_t experts, bool rounds)
      : padded((tokens + 31) / 16 * 16),
        value(c.take<S>(experts * padded)),
        given(c.take<std::uint8_t>(rounds ? experts * padded : 0)),
        change(c.take<std::int64_t>(2 * experts)) {}
};

/// Calls f(e) for every expert, on the executor's pool if it has one.
template <class Executor, class F>
HENCE_FN void for_experts(const Executor& executor, std::int64_t experts, F&& f) {
  if constexpr (Executor::is_parallel)
    executor.pool->parallel_for(experts, f);
  else
    for (std::int64_t e = 0; e < experts; ++e) f(e);
}

/// A tile's selection values to each expert's array.
template <class V, class Gate, class Z>
HENCE_FN void spread_values(const Gate& gate, const grouping& groups,
                            const view<const Z, 2>& logits, const tile_rows<V>& tile,
                            tile_memory<V>& memory, const choice_memory<typename V::scalar>& to,
                            moe::choice_counts& counts) {
  using T = typename V::scalar;
  constexpr int L = lane_count<V>;
  const std::int64_t experts = logits.extent[1];
  per_lane<V, const Z*> rows;
  for (int l = 0; l < L; ++l) rows[l] = logits.data + tile.row[l] * logits.stride[0];
  rows_to_lanes<V>(rows, experts, memory.logits);
  const selection_table<V> c{memory.logits};
  const auto found =
      score_rows<V>(gate.score, gate.precision, memory.logits, nullptr, experts, memory.scores, c);
  alignas(64) per_lane<V, T> nan, infinite;
  lanes_of_mask<V>(found.nan, nan);
  lanes_of_mask<V>(found.infinite, infinite);
  const auto spread = [&](std::int64_t e, mask_of<V> is_kept) __attribute__((always_inline)) {
    alignas(64) per_lane<V, T> out;
    store_as(out, select(is_kept, c[e], minus_infinity<V>()));
    for (int l = 0; l < tile.count; ++l)
      to.value[e * to.padded + tile.row[l]] =
          infinite[l] > 0 ? -static_cast<T>(__builtin_inff()) : out[l];
  };
  const auto all = V(T(0)) == V(T(0));
  if (groups.kept == groups.count) {
    for (std::int64_t e = 0; e < experts; ++e) spread(e, all);
  } else {
    const kept_groups<V> kept = keep_groups(c, groups, memory.selection);
    for (std::int64_t i = 0; i < groups.count; ++i) {
      const auto is_kept = kept(i);
      for (std::int64_t e = i * groups.size; e < (i + 1) * groups.size; ++e) spread(e, is_kept);
    }
  }
  for (int l = 0; l < tile.count; ++l) {
    counts.nan_rows += nan[l] > 0;
    counts.infinite_rows += infinite[l] > 0;
  }
  counts.rows += tile.count;
}

/// Leaves an expert the tokens that it takes: size(given ones, eligible ones) of them.
template <class S, class Size>
HENCE_FN void take_tokens(S* value, const std::uint8_t* given, std::int64_t tokens,
                          const Size& size, std::int64_t* change) {
  const S none = -static_cast<S>(__builtin_inff());
  std::int64_t eligible = 0, had = 0;
  for (std::int64_t t = 0; t < tokens; ++t) {
    eligible += value[t] > none;
    had += given != nullptr && given[t] != 0 && value[t] > none;
  }
  const std::int64_t n = size(had, eligible);
  // the given ones go before the others, each in the one order; n leaves no place for -inf
  const auto key_if = [&](bool is_given) {
    return [=](std::int64_t t) {
      const bool counts_here = given == nullptr || (given[t] != 0) == is_given;
      return counts_here ? order_key(value[t]) : decltype(order_key(none)){0};
    };
  };
  const std::int64_t of_given = given == nullptr ? 0 : (n < had ? n : had);
  const auto first_key = key_if(true), other_key = key_if(false);
  keep_largest<S> first(given == nullptr ? 0 : tokens, of_given, first_key);
  keep_largest<S> others(tokens, n - of_given, other_key);
  for (std::int64_t t = 0; t < tokens; ++t) {
    const bool is_given = given != nullptr && given[t] != 0;
    if (!(is_given ? first(first_key(t)) : others(other_key(t)))) value[t] = none;
  }
  change[0] = n - of_given, change[1] = had - of_given;
}

/// Tokens [begin, end): the experts that took each, best first.
template <class V, class Id>
HENCE_FN void write_choice(const choice_memory<typename V::scalar>& from, std::int64_t experts,
                           std::int64_t begin, std::int64_t end, const view<Id, 2>& ids,
                           const view<const std::uint8_t>& valid, typename V::scalar* memory,
                           moe::choice_counts& counts) {
  using T = typename V::scalar;
  constexpr int L = lane_count<V>;
  const std::int64_t slots = ids.extent[1];
  for (std::int64_t t = begin; t < end; t += L) {
    ranking<V, 0> best(memory, slots);
    V index(T(0)), taken(T(0));
    for (std::int64_t e = 0; e < experts; ++e, index = index + V(T(1))) {
      const V x = load_as<V>(from.value + e * from.padded + t);
      taken = taken + select(x > minus_infinity<V>(), V(T(1)), V(T(0)));
      best.offer(x, index);
    }
    alignas(64) per_lane<V, T> many, slot;
    store_as(many, taken);
    for (std::int64_t j = 0; j < slots; ++j) {
      store_as(slot, best.index(j));
      for (int l = 0; l < L && t + l < end; ++l)
        ids(t + l, j) = static_cast<Id>(static_cast<std::int32_t>(slot[l]));
    }
    for (int l = 0; l < L && t + l < end; ++l) {
      const auto n = static_cast<std::int64_t>(static_cast<std::int32_t>(many[l]));
      counts.taken += n < slots ? n : slots;
      counts.dropped += n < slots ? 0 : n - slots;
      counts.untaken_rows += n == 0 && (!valid.present() || valid.data[t + l] != 0);
    }
  }
}

/// Both choices: scores, then tokens of each expert, then experts of each token.
template <class Executor, class Gate, class Z, class Id, class Given, class Size>
moe::choice_counts choose(const Executor& executor, const Gate& gate,
                          const view<const Z, 2>& logits, const view<const std::uint8_t>& valid,
                          const view<const Given, 2>& given, const Size& size,
                          const view<Id, 2>& ids, const view<std::byte>& workspace,
                          std::int64_t bytes) {
  using S = typename Executor::scalar;
  using V = row_number_t<Executor>;
  const std::int64_t rows = logits.extent[0], experts = logits.extent[1];
  const grouping groups = grouping_of(gate.groups, gate.k, experts);
  const call_memory memory(workspace, bytes);
  carver c(memory.part(0, bytes));
  const choice_memory<S> chosen(c, rows, experts, given.present());
  for (std::int64_t i = 0; i < experts * chosen.padded; ++i)
    chosen.value[i] = -static_cast<S>(__builtin_inff());
  for (std::int64_t i = 0; given.present() && i < experts * chosen.padded; ++i) chosen.given[i] = 0;
  const std::int64_t parts = row_parts<Executor>(rows);
  const std::int64_t per_part = moe::route_workspace_bytes(executor, gate, rows, experts) / parts;
  std::byte* const rest = memory.part(0, bytes) + c.used();
  const auto tile_memory_of = [&](std::int64_t part) {
    carver own(rest + part * per_part);
    return tile_memory<V>(own, experts, gate.k, groups);
  };
  moe::choice_counts counts[64], total;
  for_row_parts(executor, rows, [&](std::int64_t part, std::int64_t begin, std::int64_t end) {
    tile_memory<V> memory_of_tile = tile_memory_of(part);
    for_tiles<V>(
        valid, begin, end, [](std::int64_t) {},
        [&](const tile_rows<V>& tile) {
          spread_values<V>(gate, groups, logits, tile, memory_of_tile, chosen, counts[part]);
          for (int l = 0; given.present() && l < tile.count; ++l)
            for (std::int64_t j = 0; j < given.extent[1]; ++j) {
              const auto e = static_cast<std::int64_t>(given(tile.row[l], j));
              if (e >= 0) chosen.given[e * chosen.padded + tile.row[l]] = 1;
            }
        });
  });
  for_experts(executor, experts, [&](std::int64_t e) {
    take_tokens(chosen.value + e * chosen.padded,
                given.present() ? chosen.given + e * chosen.padded : nullptr, rows, size,
                chosen.change + 2 * e);
  });
  for_row_parts(executor, rows, [&](std::int64_t part, std::int64_t begin, std::int64_t end) {
    write_choice<V>(chosen, experts, begin, end, ids, valid, tile_memory_of(part).selection,
                    counts[part]);
  });
  for (std::int64_t p = 0; p < parts; ++p) total += counts[p];
  for (std::int64_t e = 0; given.present() && e < experts; ++e)
    total.added += chosen.change[2 * e], total.removed += chosen.change[2 * e + 1];
  return total;
}

template <class Gate, class Z, class Id>
[[gnu::always_inline]] inline void check_choice(const Gate& gate, const view<const Z, 2>& logits,
                                                const view<const std::uint8_t>& valid,
                                                const view<Id, 2>& ids,
                                                const view<std::byte>& workspace) {
  const std::int64_t rows = logits.extent[0], experts = logits.extent[1];
  check_gate(gate, experts);
  check_row_major("logits", logits, rows, experts);
  if (valid.given()) check_vector("valid", valid, rows);
  check_row_major("ids", ids, rows, gate.k);
  check_id_type<Id>("ids", experts);
  check_written_apart({{"ids", range_of(ids)}, {"workspace", range_of(workspace)}},
                      {{"logits", range_of(logits)}, {"valid", range_of(valid)}});
}

}  // namespace detail

}  // namespace hence::inline v0
