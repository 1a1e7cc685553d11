/// \file
/// `cuda::permute`: slots sorted by (expert, token), as `moe::permute` sorts them.
///
/// Three kernels. One warp counts the experts of a tile of slots; one block turns the counts, laid
/// out expert by expert, into where each tile's slots of each expert begin; one warp scatters a
/// tile, its lanes ranked by __match_any_sync.
///
/// Bytes per slot: reads the id twice, writes 8 of `order` and 8 of each position; and 16 per
/// expert and tile of workspace, four times.
///
/// Determinism: integers and a stable order, so the result depends on the ids alone; no atomics but
/// for the status.
///
/// Proof: as for cuda/policy_loss.cuh, see docs/cuda.md. It has not run on a device yet.
#pragma once

#include <hence/cuda/launch.cuh>
#include <hence/cuda/memory_checks.cuh>
#include <hence/cuda/row.cuh>
#include <hence/moe/permute.hpp>

#include <cstddef>
#include <span>

namespace hence::inline v0::cuda {

namespace detail {

constexpr std::int64_t permute_tile = 512;  // slots of a warp
constexpr std::int64_t permute_experts = 4096;
constexpr int permute_scan_threads = 1024;

constexpr std::int64_t permute_tiles(std::int64_t slots) {
  return (slots + permute_tile - 1) / permute_tile;
}

/// A permutation to be made, as the kernels take it.
template <class Id> struct permute_call {
  view<const Id, 2> ids;
  std::int64_t experts, align, tiles;
  std::int64_t* places;  // [experts, tiles]
  moe::permutation out;
  status* conditions;

  /// The expert of a slot; -1 if it is empty, beyond the last one, or out of range.
  __device__ __forceinline__ int expert_of(std::int64_t slot, bool& is_sound) const {
    const std::int64_t k = ids.extent[1];
    if (slot >= ids.extent[0] * k) return -1;
    const auto e = static_cast<std::int64_t>(ids.data[slot / k * ids.stride[0] + slot % k]);
    if (e >= -1 && e < experts) return static_cast<int>(e);
    is_sound = false;
    return -1;
  }
};

/// Calls f(slot, expert, lanes of the same expert) for a tile; lanes beyond the end get -1.
template <class Id, class F>
__device__ __forceinline__ void for_each_slot(const permute_call<Id>& call, bool& is_sound, F&& f) {
  const std::int64_t first = blockIdx.x * permute_tile + lane_id();
  for (std::int64_t step = 0; step < permute_tile; step += 32) {
    const int e = call.expert_of(first + step, is_sound);
    f(first + step, e, __match_any_sync(whole_warp, e));
    __syncwarp();
  }
}
__device__ __forceinline__ bool is_first(unsigned same) {
  return __ffs(static_cast<int>(same)) - 1 == lane_id();
}
__device__ __forceinline__ int rank_in(unsigned same) {
  return __popc(same & ((1u << lane_id()) - 1));
}

/// One warp a block: counts of a tile.
template <class Id> __global__ void permute_count_kernel(permute_call<Id> call) {
  extern __shared__ long long hence_next[];  // [experts]
  for (std::int64_t e = lane_id(); e < call.experts; e += 32) hence_next[e] = 0;
  __syncwarp();
  bool is_sound = true;
  for_each_slot(call, is_sound, [&](std::int64_t, int e, unsigned same) {
    if (e >= 0 && is_first(same)) hence_next[e] += __popc(same);
  });
  for (std::int64_t e = lane_id(); e < call.experts; e += 32)
    call.places[e * call.tiles + blockIdx.x] = hence_next[e];
  if (!is_sound) add_to(*call.conditions, status::malformed);
}

/// The sum of x over the threads before this one, and over all.
__device__ __forceinline__ std::int64_t sum_before(std::int64_t x, std::int64_t (&warps)[32],
                                                   std::int64_t& total) {
  std::int64_t inclusive = x;
#pragma unroll
  for (unsigned by = 1; by < 32; by *= 2) {
    const std::int64_t other = __shfl_up_sync(whole_warp, inclusive, by);
    if (lane_id() >= static_cast<int>(by)) inclusive += other;
  }
  __syncthreads();  // the last sum has been read
  if (lane_id() == 31) warps[warp_id()] = inclusive;
  __syncthreads();
  std::int64_t before = 0;
  total = 0;
  for (int w = 0; w < permute_scan_threads / 32; ++w) {
    if (w < warp_id()) before += warps[w];
    total += warps[w];
  }
  return before + inclusive - x;
}

/// Counts become places; one block.
template <class Id>
__global__ void __launch_bounds__(permute_scan_threads) permute_scan_kernel(permute_call<Id> call) {
  __shared__ std::int64_t warps[32];
  const std::int64_t thread = threadIdx.x;
  const auto share = [&](std::int64_t n) {
    return (n + permute_scan_threads - 1) / permute_scan_threads;
  };
  const auto least = [](std::int64_t a, std::int64_t b) { return a < b ? a : b; };
  const std::int64_t n = call.experts * call.tiles, begin = least(n, thread * share(n)),
                     end = least(n, begin + share(n));
  std::int64_t sum = 0, total = 0;
  for (std::int64_t i = begin; i < end; ++i) sum += call.places[i];
  std::int64_t next = sum_before(sum, warps, total);
  for (std::int64_t i = begin; i < end; ++i) {
    const std::int64_t count = call.places[i];
    call.places[i] = next;
    next += count;
  }
  __syncthreads();
  for (std::int64_t e = thread; e < call.experts; e += permute_scan_threads)
    call.out.offsets[e] = call.places[e * call.tiles];
  if (thread == 0) call.out.offsets[call.experts] = total;
  if (!call.out.aligned_offsets.present()) return;
  __syncthreads();
  const std::int64_t first = least(call.experts, thread * share(call.experts)),
                     last = least(call.experts, first + share(call.experts));
  const auto aligned = [&](std::int64_t e) {
    const std::int64_t count = call.out.offsets[e + 1] - call.out.offsets[e];
    return (count + call.align - 1) / call.align * call.align;
  };
  sum = 0;
  for (std::int64_t e = first; e < last; ++e) sum += aligned(e);
  next = sum_before(sum, warps, total);
  for (std::int64_t e = first; e < last; ++e) {
    call.out.aligned_offsets[e] = next;
    next += aligned(e);
  }
  if (thread == 0) call.out.aligned_offsets[call.experts] = total;
}

/// One warp a block: a tile's slots to their places.
template <class Id> __global__ void permute_scatter_kernel(permute_call<Id> call) {
  extern __shared__ long long hence_next[];  // [experts]
  for (std::int64_t e = lane_id(); e < call.experts; e += 32)
    hence_next[e] = call.places[e * call.tiles + blockIdx.x];
  __syncwarp();
  const std::int64_t k = call.ids.extent[1], slots = call.ids.extent[0] * k;
  bool is_sound = true;
  for_each_slot(call, is_sound, [&](std::int64_t slot, int e, unsigned same) {
    const std::int64_t at = e >= 0 ? hence_next[e] + rank_in(same) : -1;
    __syncwarp();
    if (e >= 0 && is_first(same)) hence_next[e] += __popc(same);
    if (slot >= slots) return;
    if (e >= 0) call.out.order[at] = slot;
    if (call.out.position.present()) call.out.position(slot / k, slot % k) = at;
    if (call.out.aligned_position.present())
      call.out.aligned_position(slot / k, slot % k) =
          e >= 0 ? call.out.aligned_offsets[e] + at - call.out.offsets[e] : -1;
  });
}

}  // namespace detail

/// How many bytes `permute` needs, 16-byte aligned, in device memory.
constexpr std::int64_t permute_workspace_bytes(std::int64_t tokens, std::int64_t k,
                                               std::int64_t experts) {
  return detail::permute_tiles(tokens * k) * experts * 8;
}

/// Queues the permutation on a stream: a memset and three kernels. Never synchronises, never
/// allocates; capturable in a CUDA graph. Every array lies in device memory; only shapes are looked
/// at on the host. Throws `std::invalid_argument` for those and `cuda_error` for CUDA's own.
/// Without tokens nothing is launched, and the offsets are 0.
/// \param s the stream. \param ids, align, out as for `moe::permute`; how many slots hold an expert
///   is offsets[experts].
/// \param experts how many there are, at most 4096.
/// \param workspace see `permute_workspace_bytes`.
/// \param conditions one status in device memory, overwritten: `status::malformed` if an id is out
///   of range; such a slot counts as empty. \param where the caller, for errors.
template <class Id>
void permute(stream s, view<const Id, 2> ids, std::int64_t experts, std::int64_t align,
             const moe::permutation& out, std::span<std::byte> workspace, status* conditions,
             const std::source_location& where = std::source_location::current()) {
  using namespace hence::detail;
  static_assert(check_ids<Id>());
  check_permutation_arrays(ids, experts, align, out);
  if (experts > cuda::detail::permute_experts)
    refuse(message() << "hence: experts is " << experts << ", expected at most "
                     << cuda::detail::permute_experts);
  const std::int64_t tokens = ids.extent[0], k = ids.extent[1];
  cuda::detail::check_workspace(workspace, permute_workspace_bytes(tokens, k, experts), 16,
                                conditions,
                                {range_of(out.offsets), range_of(out.order), range_of(out.position),
                                 range_of(out.aligned_offsets), range_of(out.aligned_position)},
                                {range_of(ids)});
  check(cudaMemsetAsync(conditions, 0, sizeof(status), s), "cudaMemsetAsync", where);
  if (tokens == 0) {
    for (const auto& zeros : {out.offsets, out.aligned_offsets})
      if (zeros.present())
        check(cudaMemsetAsync(zeros.data, 0, static_cast<std::size_t>(experts + 1) * 8, s),
              "cudaMemsetAsync", where);
    return;
  }
  const cuda::detail::permute_call<Id> call{ids,
                                            experts,
                                            align,
                                            cuda::detail::permute_tiles(tokens * k),
                                            reinterpret_cast<std::int64_t*>(workspace.data()),
                                            out,
                                            conditions};
  launch_with_shared("permute_count_kernel", cuda::detail::permute_count_kernel<Id>, call.tiles, 32,
                     experts * 8, s, where, call);
  launch("permute_scan_kernel", cuda::detail::permute_scan_kernel<Id>, 1,
         cuda::detail::permute_scan_threads, s, where, call);
  launch_with_shared("permute_scatter_kernel", cuda::detail::permute_scatter_kernel<Id>, call.tiles,
                     32, experts * 8, s, where, call);
}

}  // namespace hence::inline v0::cuda
