/// \file
/// A warp on one row of router logits: its memory, its sums, its search for the best, in the order
/// of the CPU.
///
/// The formulas are those of moe/row.hpp, row_weights.hpp and gate_backward.hpp, called with a
/// `warp_team`: each thread takes every 32nd expert or slot.
#pragma once

#include <hence/cuda/launch.cuh>
#include <hence/cuda/warp.cuh>
#include <hence/moe/gate_tile.hpp>
#include <hence/moe/replay.hpp>

#include <initializer_list>

namespace hence::inline v0::cuda {

/// Sizes of a launch. Results do not depend on them.
struct gate_tuning {
  std::int64_t max_blocks = 2048;  ///< each strides over the rows
  int warps = 4;                   ///< rows of a block at a time, 1 to 8; fewer where memory ends

  template <class Stream> friend Stream& operator<<(Stream& out, const gate_tuning& t) {
    out << "gate_tuning{.max_blocks = " << t.max_blocks << ", .warps = " << t.warps << "}";
    return out;
  }
};

namespace detail {

constexpr int gate_threads = 256;  // most of a block

using gate_number = num<float>;
using gate_memory = hence::detail::row_memory<gate_number>;

/// The 32 threads of a warp on one row (the CPU's is `alone`).
struct warp_team {
  static constexpr std::int64_t size = 32;
  __device__ __forceinline__ std::int64_t first() const { return lane_id(); }
  __device__ __forceinline__ void meet() const { __syncwarp(); }
  /// A NaN is not passed in.
  __device__ __forceinline__ gate_number greatest(gate_number x) const {
    return of_ordered_bits(__reduce_max_sync(whole_warp, ordered_bits(x.v)));
  }
  /// term(0) + ... + term(n - 1) in the four chains of `alone`: each thread takes part in one of
  /// them, 32 terms at a time.
  template <class V, class Term>
  __device__ __forceinline__ V sum_in_chains(std::int64_t n, Term term) const {
    const std::int64_t whole = n / 4 * 4;
    V sum(0.0f);
    for (std::int64_t begin = 0; begin < n; begin += 32) {
      const std::int64_t e = begin + lane_id();
      const float y = e < n ? term(e).v : 0.0f;
      for (int i = 0; i < 32; i += 4) {
        const V next(__shfl_sync(whole_warp, y, i + lane_id() % 4));
        if (begin + i < whole) sum = sum + next;
      }
      for (int i = 0; i < 3; ++i) {  // the last n % 4 go to the first chain
        const std::int64_t at = whole - begin + i;
        if (at >= 32 || begin + at >= n) break;
        const V next(__shfl_sync(whole_warp, y, static_cast<int>(at)));
        if (lane_id() % 4 == 0) sum = sum + next;
      }
    }
    const auto of = [&](int chain) { return V(__shfl_sync(whole_warp, sum.v, chain)); };
    return (of(0) + of(1)) + (of(2) + of(3));
  }
};

/// A place in a gate's order, which is value descending, index ascending.
struct gate_place {
  float value = __builtin_inff();
  std::int32_t index = -1;
};

/// The best of n values behind a place; -inf and -1 if there is none. Every thread gets it. -inf is
/// never ranked; there is no NaN and no -0.
template <class Values>
__device__ __forceinline__ gate_place next_best(const Values& values, std::int64_t n,
                                                gate_place last) {
  gate_place best{-__builtin_inff(), -1};
  for (std::int64_t i = lane_id(); i < n; i += 32) {
    const float x = values[i].v;
    const bool is_behind = x < last.value || (x == last.value && i > last.index);
    if (is_behind && x > best.value) best = {x, static_cast<std::int32_t>(i)};
  }
  const float most = warp_team().greatest(gate_number(best.value)).v;
  const unsigned mine =
      best.index >= 0 && best.value == most ? static_cast<unsigned>(best.index) : 0xffffffffu;
  return {most, static_cast<std::int32_t>(__reduce_min_sync(whole_warp, mine))};
}

/// A group has no more terms than experts.
template <class Gate>
hence::detail::grouping grouping_of_row(const Gate& gate, std::int64_t experts) {
  hence::detail::grouping g = hence::detail::grouping_of(gate.groups, gate.k, experts);
  g.terms = g.terms < g.size ? g.terms : g.size;
  return g;
}
/// Numbers of a row's memory besides scores and slots: scores of groups and, a thread each, what
/// `group_score` needs.
HENCE_FN std::int64_t gate_selection(const hence::detail::grouping& g, std::int64_t k) {
  const std::int64_t scoring = g.count < 32 ? g.count : 32;
  const std::int64_t groups = g.kept < g.count ? g.count + scoring * 2 * g.terms : 0;
  return k > groups ? k : groups;
}
HENCE_FN std::int64_t gate_row_bytes(const hence::detail::grouping& g, std::int64_t experts,
                                     std::int64_t k) {
  hence::detail::carver c;
  gate_memory(c, experts, k, gate_selection(g, k));
  return c.used();
}

/// A group's values from another one of them on for each thread, so that threads that read their
/// groups side by side do not meet in a bank.
struct turned_group {
  const float* data;
  std::int64_t first, size, turn;

  HENCE_FN gate_number operator[](std::int64_t e) const {
    const std::int64_t at = e + turn;
    return data[at < first + size ? at : at - size];
  }
};

/// The k best experts of a row into its slots, best first; empty ones last.
__device__ __forceinline__ void select_row(const gate_memory& memory,
                                           const hence::detail::grouping& g, std::int64_t k) {
  using namespace hence::detail;
  const selection_table<gate_number> c{memory.logits};
  const std::int64_t experts = g.count * g.size;
  if (g.kept < g.count) {
    const slot_table<gate_number> score{memory.selection};
    float* const rest = memory.selection + g.count + lane_id() * 2 * g.terms;
    for (std::int64_t i = lane_id(); i < g.count; i += 32)
      score.set(i, group_score(turned_group{c.data, i * g.size, g.size, i % g.size}, i * g.size, g,
                               rest));
    __syncwarp();
    gate_place last;
    for (std::int64_t i = 0; i < g.kept; ++i) last = next_best(score, g.count, last);
    const kept_groups<gate_number> kept{score, last.value, static_cast<float>(last.index)};
    for (std::int64_t e = lane_id(); e < experts; e += 32)
      if (!kept(e / g.size)) c.set(e, {minus_infinity<gate_number>()});
    __syncwarp();
  }
  gate_place best;
  for (std::int64_t j = 0; j < k; ++j) {
    best = next_best(c, experts, best);
    if (lane_id() == 0) memory.slots.set(j, static_cast<float>(best.index));
  }
  __syncwarp();
}

/// A row's given ids into its slots; what is wrong with them, as `hence::detail::read_ids`. Such a
/// row is empty.
template <class Id>
__device__ __forceinline__ unsigned read_given(const Id* ids, std::int64_t k, std::int64_t experts,
                                               const gate_memory& memory) {
  unsigned faults = 0;
  for (std::int64_t j = lane_id(); j < k; j += 32) {
    const auto e = static_cast<std::int64_t>(ids[j]);
    if (e < -1 || e >= experts)
      faults |= moe::row_fault::id_range;
    else if (e >= 0 && hence::detail::holds(ids, j, e))
      faults |= moe::row_fault::id_repeated;
  }
  faults = __reduce_or_sync(whole_warp, faults);
  for (std::int64_t j = lane_id(); j < k; j += 32)
    memory.slots.set(j, faults != 0 ? -1.0f : static_cast<float>(ids[j]));
  __syncwarp();
  return faults;
}

/// Counts of a block's warps, joined before they reach global memory.
struct count_sums {
  static constexpr int words = sizeof(moe::route_counts) / 8;
  unsigned long long sum[words];

  /// All threads call it, before any warp has counts.
  __device__ __forceinline__ void clear() {
    if (threadIdx.x < words) sum[threadIdx.x] = 0;
  }
  /// All threads call it; those of a warp have the same counts.
  __device__ __forceinline__ void add_to(const moe::route_counts& mine, moe::route_counts* total) {
    const std::int64_t each[words] = {mine.rows,          mine.nan_rows,      mine.infinite_rows,
                                      mine.range_rows,    mine.repeated_rows, mine.short_rows,
                                      mine.replayed_rows, mine.empty_slots};
#pragma unroll
    for (int i = 0; i < words; ++i)
      if (lane_id() == 0 && each[i] != 0)
        atomicAdd(&sum[i], static_cast<unsigned long long>(each[i]));
    __syncthreads();
    if (threadIdx.x < words && sum[threadIdx.x] != 0)
      atomicAdd(reinterpret_cast<unsigned long long*>(total) + threadIdx.x, sum[threadIdx.x]);
  }
};
static_assert(count_sums::words == 8, "hence: the counts are eight integers");

/// Refuses null counts, and counts inside an array that the call writes.
inline void check_route_counts(moe::route_counts* counts,
                               std::initializer_list<hence::detail::byte_range> written) {
  using namespace hence::detail;
  if (counts == nullptr)
    refuse(message() << "hence: counts is null, expected a moe::route_counts in device memory");
  for (const byte_range& w : written)
    if (overlap(w, {counts, sizeof(moe::route_counts)}))
      refuse(message() << "hence: an output overlaps counts, expected separate arrays");
}

/// Warps of a block that fit into the 48 KiB of shared memory that every launch may ask for; more
/// bytes for a single row are refused.
template <gate_tuning Tuning>
int gate_warps(std::int64_t row_bytes, std::int64_t block_bytes, std::int64_t experts,
               std::int64_t k) {
  static_assert(Tuning.max_blocks > 0 && Tuning.max_blocks <= 0x7fffffff,
                "hence: a grid has 1 to 2^31 - 1 blocks");
  static_assert(Tuning.warps > 0 && Tuning.warps * 32 <= gate_threads,
                "hence: a block of routing has 1 to 8 warps");
  constexpr std::int64_t most = 48 * 1024 - 256;
  if (row_bytes + block_bytes > most)
    hence::detail::refuse(hence::detail::message()
                          << "hence: a row of " << experts << " experts and " << k
                          << " slots needs " << row_bytes + block_bytes
                          << " bytes of shared memory, expected at most " << most);
  const std::int64_t fit = (most - block_bytes) / row_bytes;
  return static_cast<int>(fit < Tuning.warps ? fit : Tuning.warps);
}

}  // namespace detail

}  // namespace hence::inline v0::cuda
