/// \file
/// `cuda::route`: the experts of every token and their weights, those of `moe::route`.
///
/// Grid: one warp a token, several a block, striding over the tokens; a row's scores lie in shared
/// memory, 8 bytes an expert. The k best experts are found by k searches of the row.
///
/// Bytes per token: the logits once, the bias from cache, k ids and weights written, 1 of validity
/// and of faults where given.
///
/// Not tuned yet: logits are loaded one by one (neighbouring ones by neighbouring threads); the sum
/// of a softmax is added in the CPU's four chains, one term after the other.
///
/// Determinism: the bits of `cpu` and `reference<float>`, whatever the launch. Loads and counts are
/// integers, so that the order of their atomics does not matter.
///
/// Proof: as for cuda/policy_loss.cuh, see docs/cuda.md. It has not run on a device yet.
#pragma once

#include <hence/cuda/gate_row.cuh>

namespace hence::inline v0::cuda {

namespace detail {

/// What the kernel reads and writes.
template <class Gate, class Z, class Id, class Out> struct route_call {
  Gate gate;
  hence::detail::grouping groups;
  moe::gate_inputs<float, Z, Id> in;
  moe::gate_outputs<float, Out> out;
  moe::route_counts* counts;
  std::int64_t row_bytes;
};

/// Routes one row; its memory is the warp's. Its barriers also keep the next row apart.
/// \param load the block's, or null.
template <class Gate, class Z, class Id, class Out>
__device__ __forceinline__ void route_row(const route_call<Gate, Z, Id, Out>& call,
                                          std::int64_t row, const gate_memory& memory,
                                          unsigned* load, moe::route_counts& counts) {
  using namespace hence::detail;
  using V = gate_number;
  const warp_team team;
  const auto& [gate, groups, in, out, total, row_bytes] = call;
  const std::int64_t experts = in.logits.extent[1], k = gate.k;
  const Z* const z = in.logits.data + row * in.logits.stride[0];
  bool is_bias_nan = false;  // the CPU refuses one
  for (std::int64_t e = lane_id(); e < experts; e += 32) {
    memory.logits[e] = static_cast<float>(z[e]);
    if (in.bias.present()) is_bias_nan |= in.bias.data[e] != in.bias.data[e];
  }
  const row_faults<V> found =
      score_rows<V>(gate.score, gate.precision, memory.logits, in.bias.data, experts, memory.scores,
                    selection_table<V>{memory.logits}, team);
  unsigned faults = 0;
  if (__any_sync(whole_warp, found.nan || is_bias_nan)) faults |= moe::row_fault::nan_logit;
  const bool is_infinite = __any_sync(whole_warp, found.infinite);
  if (is_infinite) faults |= moe::row_fault::infinite_logit;
  __syncwarp();
  if (in.replay.present())
    faults |= read_given(in.replay.data + row * in.replay.stride[0], k, experts, memory);
  else
    select_row(memory, groups, k);
  if (is_infinite)
    for (std::int64_t j = lane_id(); j < k; j += 32) memory.slots.set(j, -1.0f);
  const selected_scores<V> s{memory.numbers};
  gather_scores<V>(gate.score, memory.scores, memory.slots, k, s, team);
  __syncwarp();
  Out* const ids = out.ids.data + row * out.ids.stride[0];
  float* const weights = out.weights.data + row * out.weights.stride[0];
  unsigned empty = 0;
  weigh<V>(
      gate.score, gate.weights, gate.precision, s, k, V(static_cast<float>(gate.scale)),
      [&](std::int64_t j, V w) {
        const std::int64_t e = memory.slots.expert(j, 0);
        ids[j] = static_cast<Out>(e);
        weights[j] = e < 0 ? 0.0f : w.v;
        if (e < 0)
          ++empty;
        else if (load != nullptr)
          atomicAdd(&load[e], 1u);
      },
      team);
  empty = __reduce_add_sync(whole_warp, empty);
  if (lane_id() == 0 && out.row_faults.present())
    out.row_faults.data[row] = static_cast<std::uint8_t>(faults);
  ++counts.rows;
  counts.replayed_rows += in.replay.present();
  counts.empty_slots += empty;
  counts.short_rows += empty > 0;
  counts.note(static_cast<std::uint8_t>(faults));
}

/// \cond kernels: Doxygen 1.9 does not read __launch_bounds__
template <class Gate, class Z, class Id, class Out>
__global__ void __launch_bounds__(gate_threads, 3) route_kernel(route_call<Gate, Z, Id, Out> call) {
  using namespace hence::detail;
  extern __shared__ float hence_gate[];  // load of the block, then a row's memory for each warp
  __shared__ count_sums sums;
  const auto& in = call.in;
  const auto& out = call.out;
  const std::int64_t experts = in.logits.extent[1];
  carver block(hence_gate);
  unsigned* const load = out.load.present() ? block.take<unsigned>(experts) : nullptr;
  carver mine(reinterpret_cast<std::byte*>(hence_gate) + block.used() + warp_id() * call.row_bytes);
  const gate_memory memory(mine, experts, call.gate.k, gate_selection(call.groups, call.gate.k));
  sums.clear();
  if (load != nullptr)
    for (std::int64_t e = threadIdx.x; e < experts; e += blockDim.x) load[e] = 0;
  __syncthreads();
  moe::route_counts counts;
  const std::int64_t warps = blockDim.x / 32;
  for (std::int64_t row = blockIdx.x * warps + warp_id(); row < in.logits.extent[0];
       row += gridDim.x * warps) {
    if (!in.valid.present() || in.valid.data[row] != 0) {
      route_row(call, row, memory, load, counts);
    } else {
      for (std::int64_t j = lane_id(); j < call.gate.k; j += 32) {
        out.ids.data[row * out.ids.stride[0] + j] = Out(-1);
        out.weights.data[row * out.weights.stride[0] + j] = 0;
      }
      if (lane_id() == 0 && out.row_faults.present()) out.row_faults.data[row] = 0;
    }
  }
  sums.add_to(counts, call.counts);
  if (load != nullptr)
    for (std::int64_t e = threadIdx.x; e < experts; e += blockDim.x)
      if (load[e] != 0)
        atomicAdd(reinterpret_cast<unsigned long long*>(&out.load.data[e]),
                  static_cast<unsigned long long>(load[e]));
}
/// \endcond

}  // namespace detail

/// Queues the routing of every token on a stream: a memset or two and one kernel. Never
/// synchronises, never allocates, needs no workspace; capturable in a CUDA graph. Every array lies
/// in device memory; only shapes are looked at on the host. Throws `std::invalid_argument` for
/// those and `cuda_error` for CUDA's own. Without tokens nothing is launched, and the counts are 0.
/// \param s the stream. \param gate, in, out as for `moe::route`; a score of your own is HENCE_FN.
///   A NaN in in.bias, which `moe::route` refuses, counts as a NaN logit of every row.
/// \param counts one `moe::route_counts` in device memory, overwritten with what `moe::route`
///   returns; its `conditions()` are the status. \param where the caller, for errors.
/// \tparam Tuning the launch.
template <gate_tuning Tuning = gate_tuning{}, class Gate, class Z = float, class Id = std::int32_t,
          class Out = std::int32_t>
void route(stream s, const Gate& gate, const moe::gate_inputs<float, Z, Id>& in,
           const moe::gate_outputs<float, Out>& out, moe::route_counts* counts,
           const std::source_location& where = std::source_location::current()) {
  using namespace hence::detail;
  if constexpr (check_gate_type<Gate, float>() && check_ids<Id, Out>()) {
    const std::int64_t rows = in.logits.extent[0], experts = in.logits.extent[1];
    check_gate(gate, experts);
    check_gate_arrays(in, out, gate.k);
    cuda::detail::check_route_counts(counts, {range_of(out.ids), range_of(out.weights),
                                              range_of(out.load), range_of(out.row_faults)});
    const grouping groups = cuda::detail::grouping_of_row(gate, experts);
    const std::int64_t bytes = cuda::detail::gate_row_bytes(groups, experts, gate.k);
    carver block;
    if (out.load.present()) block.take<unsigned>(experts);
    const int warps = cuda::detail::gate_warps<Tuning>(bytes, block.used(), experts, gate.k);
    check(cudaMemsetAsync(counts, 0, sizeof(moe::route_counts), s), "cudaMemsetAsync", where);
    if (out.load.present())
      check(cudaMemsetAsync(out.load.data, 0, static_cast<std::size_t>(experts) * 8, s),
            "cudaMemsetAsync", where);
    if (rows == 0) return;
    const std::int64_t needed = (rows + warps - 1) / warps;
    launch_with_shared(
        "route_kernel", cuda::detail::route_kernel<Gate, Z, Id, Out>,
        at_most(needed, Tuning.max_blocks), 32 * warps, block.used() + warps * bytes, s, where,
        cuda::detail::route_call<Gate, Z, Id, Out>{gate, groups, in, out, counts, bytes});
  }
}

}  // namespace hence::inline v0::cuda
