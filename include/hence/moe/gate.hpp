/// \file
/// `moe::route`: the experts of every token and their weights, on any executor.
///
///     auto v3 = moe::gate{moe::score::sigmoid{}, 8, moe::grouped{8, 4, moe::top2_sum{}},
///                         moe::normalized{1e-20, moe::single_raw{}}, 2.5};
///     auto counts = moe::route(cpu{}, v3, {.logits = logits, .bias = bias},
///                              {.ids = ids, .weights = w});
///
/// s = score(z), c = s + bias; the k largest c of the kept groups, value descending and index
/// ascending; w = scale s/(sum s + eps) of these. DeepSeek-V3, arXiv:2412.19437, eq. 12 to 16.
///
/// NaN and -inf logits are never selected; a NaN is reported and the row's other experts route. A
/// row with +inf selects nothing and is reported. Fewer than k eligible experts: id -1, weight 0,
/// and a count; never an expert of a dropped group, never one twice. Invalid rows are not read.
///
/// Bits: the same for `reference<float>`, `cpu`, any pool, any split into rows and any lane count.
/// No atomics. Weights are within 6 ulp of the formula on the same scores (k <= 8).
#pragma once

#include <hence/moe/gate_tile.hpp>

namespace hence::inline v0::moe {

/// Routes every token.
/// \param executor `cpu{}`, `cpu{pool}`, `reference<float>{}`, `reference<double>{}`.
/// \param gate a `moe::gate`.
/// \param in logits, and as needed selection bias, validity, ids to replay: then these are weighted
///   as if they had been selected.
/// \param out ids, weights, load, faults; every entry is written.
/// \param workspace none, or `route_workspace_bytes(...)` bytes aligned to 64.
template <class Executor, class Gate, class Z = typename Executor::scalar, class Id = std::int32_t,
          class Out = std::int32_t>
route_counts route(const Executor& executor, const Gate& gate,
                   const gate_inputs<typename Executor::scalar, Z, Id>& in,
                   const gate_outputs<typename Executor::scalar, Out>& out,
                   view<std::byte> workspace = {}) {
  using S = typename Executor::scalar;
  using V = detail::row_number_t<Executor>;
  route_counts total;
  if constexpr (detail::check_gate_type<Gate, S>() && detail::check_ids<Id, Out>()) {
    const std::int64_t rows = in.logits.extent[0], experts = in.logits.extent[1];
    detail::check_gate(gate, experts);
    detail::check_gate_arrays(in, out, gate.k);
    detail::check_bias(in.bias);
    const std::int64_t bytes = route_workspace_bytes(executor, gate, rows, experts);
    detail::check_workspace(workspace, bytes);
    detail::check_gate_memory(workspace, in, out);
    const std::int64_t parts = detail::row_parts<Executor>(rows);
    const detail::call_memory memory(workspace, bytes);
    const detail::grouping groups = detail::grouping_of(gate.groups, gate.k, experts);
    route_counts counts[64];  // of each part
    detail::for_row_parts(
        executor, rows, [&](std::int64_t part, std::int64_t begin, std::int64_t end) {
          detail::carver c(memory.part(part, bytes / parts));
          detail::tile_memory<V> tile_memory(c, experts, gate.k, groups);
          tile_memory.clear(experts);
          detail::for_tiles<V>(
              in.valid, begin, end,
              [&](std::int64_t row) { detail::write_dead_row(out, row, gate.k); },
              [&](const detail::tile_rows<V>& tile) {
                detail::route_tile<V>(gate, groups, in, out, tile, tile_memory, counts[part]);
              });
        });
    for (std::int64_t p = 0; p < parts; ++p) {
      total += counts[p];
      if (!out.load.present()) continue;
      detail::carver c(memory.part(p, bytes / parts));
      const detail::tile_memory<V> part(c, experts, gate.k, groups);
      for (std::int64_t e = 0; e < experts; ++e)
        out.load.data[e] = part.load[e] + (p > 0 ? out.load.data[e] : 0);
    }
  }
  return total;
}

}  // namespace hence::inline v0::moe
