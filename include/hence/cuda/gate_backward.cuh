/// \file
/// `cuda::route_backward`: from the cotangents of the weights to the gradient of the logits, that
/// of `moe::route_backward`.
///
/// Grid: as cuda/gate.cuh, one warp a token, a row in shared memory.
///
/// Bytes per token: k ids and cotangents, and the logits once for softmax, at the k slots
/// otherwise; writes 4 an expert.
///
/// Determinism: the bits of `cpu` and `reference<float>`, whatever the launch.
///
/// Proof: as for cuda/policy_loss.cuh, see docs/cuda.md. It has not run on a device yet.
#pragma once

#include <hence/cuda/gate_row.cuh>
#include <hence/moe/gate_backward.hpp>

namespace hence::inline v0::cuda {

namespace detail {

/// What the kernel reads and writes.
template <class Gate, class Z, class Id> struct route_backward_call {
  Gate gate;
  moe::gate_backward_inputs<float, Z, Id> in;
  view<float, 2> grad_logits;
  moe::route_counts* counts;
  std::int64_t row_bytes;
};

/// One row; its memory is the warp's. Its barriers also keep the next row apart.
/// \return what is wrong with its ids.
template <class Gate, class Z, class Id>
__device__ __forceinline__ unsigned route_backward_row(const route_backward_call<Gate, Z, Id>& call,
                                                       std::int64_t row,
                                                       const gate_memory& memory) {
  using namespace hence::detail;
  using V = gate_number;
  constexpr bool is_softmax =
      std::same_as<std::remove_cvref_t<decltype(call.gate.score)>, moe::score::softmax>;
  const warp_team team;
  const auto& in = call.in;
  const std::int64_t experts = in.logits.extent[1], k = call.gate.k;
  const Z* const z = in.logits.data + row * in.logits.stride[0];
  const unsigned faults = read_given(in.ids.data + row * in.ids.stride[0], k, experts, memory);
  const float* const cotangent = in.grad_weights.data + row * in.grad_weights.stride[0];
  for (std::int64_t j = lane_id(); j < k; j += 32) {
    const std::int64_t e = memory.slots.expert(j, 0);
    memory.results[j] = e < 0 ? 0.0f : cotangent[j];
    if constexpr (!is_softmax)
      memory.numbers[j] = e < 0 ? -__builtin_inff() : static_cast<float>(z[e]);
  }
  for (std::int64_t e = lane_id(); e < experts; e += 32)
    memory.logits[e] = is_softmax ? static_cast<float>(z[e]) : 0.0f;
  __syncwarp();
  if constexpr (is_softmax)
    softmax_gradient<V>(call.gate, memory, experts, team);
  else
    sparse_gradient<V>(call.gate, memory, team);
  __syncwarp();
  for (std::int64_t j = lane_id(); j < k; j += 32) {
    const std::int64_t e = memory.slots.expert(j, 0);
    if (e >= 0) memory.logits[e] = memory.selection[j];
  }
  __syncwarp();
  float* const to = call.grad_logits.data + row * call.grad_logits.stride[0];
  for (std::int64_t e = lane_id(); e < experts; e += 32) to[e] = memory.logits[e];
  return faults;
}

/// \cond kernels: Doxygen 1.9 does not read __launch_bounds__
template <class Gate, class Z, class Id>
__global__ void __launch_bounds__(gate_threads, 3)
    route_backward_kernel(route_backward_call<Gate, Z, Id> call) {
  using namespace hence::detail;
  extern __shared__ float hence_gate[];  // a row's memory for each warp
  __shared__ count_sums sums;
  const auto& in = call.in;
  const std::int64_t experts = in.logits.extent[1];
  carver mine(reinterpret_cast<std::byte*>(hence_gate) + warp_id() * call.row_bytes);
  const gate_memory memory(mine, experts, call.gate.k, call.gate.k);
  sums.clear();
  __syncthreads();
  moe::route_counts counts;
  const std::int64_t warps = blockDim.x / 32;
  for (std::int64_t row = blockIdx.x * warps + warp_id(); row < in.logits.extent[0];
       row += gridDim.x * warps) {
    if (!in.valid.present() || in.valid.data[row] != 0) {
      ++counts.rows;
      counts.note(static_cast<std::uint8_t>(route_backward_row(call, row, memory)));
    } else {
      float* const to = call.grad_logits.data + row * call.grad_logits.stride[0];
      for (std::int64_t e = lane_id(); e < experts; e += 32) to[e] = 0;
    }
  }
  sums.add_to(counts, call.counts);
}
/// \endcond

}  // namespace detail

/// Queues the gradient of every token's logits on a stream: a memset and one kernel; the rest as
/// for `cuda::route`.
/// \param s the stream. \param gate, in, grad_logits as for `moe::route_backward`.
/// \param counts one `moe::route_counts` in device memory, overwritten with what
///   `moe::route_backward` returns. \param where the caller, for errors. \tparam Tuning the launch.
template <gate_tuning Tuning = gate_tuning{}, class Gate, class Z = float, class Id = std::int32_t>
void route_backward(stream s, const Gate& gate, const moe::gate_backward_inputs<float, Z, Id>& in,
                    view<float, 2> grad_logits,  // [tokens, experts]
                    moe::route_counts* counts,
                    const std::source_location& where = std::source_location::current()) {
  using namespace hence::detail;
  if constexpr (check_gate_type<Gate, float>() && check_ids<Id>()) {
    const std::int64_t rows = in.logits.extent[0], experts = in.logits.extent[1];
    check_gate(gate, experts);
    check_backward_arrays(in, grad_logits, gate.k);
    cuda::detail::check_route_counts(counts, {range_of(grad_logits)});
    carver row;
    cuda::detail::gate_memory(row, experts, gate.k, gate.k);
    const int warps = cuda::detail::gate_warps<Tuning>(row.used(), 0, experts, gate.k);
    check(cudaMemsetAsync(counts, 0, sizeof(moe::route_counts), s), "cudaMemsetAsync", where);
    if (rows == 0) return;
    const std::int64_t needed = (rows + warps - 1) / warps;
    launch_with_shared(
        "route_backward_kernel", cuda::detail::route_backward_kernel<Gate, Z, Id>,
        at_most(needed, Tuning.max_blocks), 32 * warps, warps * row.used(), s, where,
        cuda::detail::route_backward_call<Gate, Z, Id>{gate, in, grad_logits, counts, row.used()});
  }
}

}  // namespace hence::inline v0::cuda
