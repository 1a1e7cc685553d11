/// \file
/// `moe::route_backward`: from the cotangents of the weights to the gradient of the logits.
///
/// The selection is constant: the gradient is that of the displayed weights at the given ids, live
/// or replayed. With K a row's slots and g_j what `weigh_backward` passes to the scores,
///
///     score of a logit   dz_e = g_j s'(z_e) for e in K, else 0            (s' by dual numbers)
///     softmax            dz_e = s_e (g_j [e in K] - sum_K g_j s_j) for every scored e
///     softmax_after      dz_e = g_j for e in K, else 0
///
/// Nothing but logits and ids is kept from the forward pass: 4 k bytes a token. The bias has no
/// gradient. Bits: as `route`.
#pragma once

#include <hence/moe/gate_tile.hpp>

namespace hence::inline v0 {

namespace moe {

/// What `route_backward` reads besides the logits.
template <class S, class Z = S, class Id = std::int32_t> struct gate_backward_inputs {
  view<const Z, 2> logits;           ///< `[tokens, experts]`, as in the forward pass
  view<const Id, 2> ids;             ///< `[tokens, k]`, as `route` wrote them
  view<const S, 2> grad_weights;     ///< `[tokens, k]`; not read in empty slots
  view<const std::uint8_t> valid{};  ///< `[tokens]`, as in the forward pass
};

}  // namespace moe

namespace detail {

/// The slots' logits, cotangents and faults, read from the rows.
template <class V, class Z, class Id>
HENCE_FN void read_slots(const moe::gate_backward_inputs<typename V::scalar, Z, Id>& in,
                         std::int64_t k, const tile_rows<V>& tile, const tile_memory<V>& memory,
                         per_lane<V, std::uint8_t>& faults) {
  using T = typename V::scalar;
  const std::int64_t experts = in.logits.extent[1];
  for (int l = 0; l < lane_count<V>; ++l) {
    const std::int64_t row = tile.row[l];
    const Id* ids = in.ids.data + row * in.ids.stride[0];
    const T* cotangent = in.grad_weights.data + row * in.grad_weights.stride[0];
    const Z* z = in.logits.data + row * in.logits.stride[0];
    faults[l] = read_ids(ids, k, experts, l, memory.slots, memory.seen);
    for (std::int64_t j = 0; j < k; ++j) {
      const std::int64_t e = memory.slots.expert(j, l);
      memory.numbers[j * lane_count<V> + l] =
          e < 0 ? -static_cast<T>(__builtin_inff()) : static_cast<T>(z[e]);
      memory.results[j * lane_count<V> + l] = e < 0 ? T(0) : cotangent[j];
    }
  }
}

/// Rows whose slots hold scores of a logit, or logits for `softmax_after`: the gradient of the
/// slots' logits into `memory.selection`; the others' is 0.
template <class V, class Gate, class Team = alone>
HENCE_FN void sparse_gradient(const Gate& gate, const row_memory<V>& memory,
                              const Team& team = {}) {
  using T = typename V::scalar;
  using score_t = std::remove_cvref_t<decltype(gate.score)>;
  constexpr int L = lane_count<V>;
  const selected_scores<V> s{memory.numbers};
  const slot_table<V> cotangent{memory.results}, slope{memory.selection};
  if constexpr (!std::same_as<score_t, moe::score::softmax_after>) {
    for (std::int64_t j = team.first(); j < gate.k; j += Team::size) {
      const V z = s[j].v;
      const auto scored = is_scored(z);
      const auto score = gate.score(dual<V, one, zero>{select(scored, z, V(T(0))), {}, {}});
      store_as(memory.numbers + j * L, select(scored, value_of(score), V(T(0))));
      slope.set(j, select(scored, as_number<V>(pooled_of(score)), V(T(0))));
    }
  } else {
    for (std::int64_t j = team.first(); j < gate.k; j += Team::size) {
      const V z = s[j].v;
      store_as(memory.numbers + j * L, select(is_scored(z), z, minus_infinity<V>()));
      slope.set(j, select(is_scored(z), V(T(1)), V(T(0))));
    }
  }
  team.meet();
  weigh_backward<V>(
      gate.score, gate.weights, s, cotangent, gate.k, V(static_cast<T>(gate.scale)),
      [&](std::int64_t j, V g) __attribute__((always_inline)) { slope.set(j, slope[j] * g); },
      team);
}
template <class V, class Gate>
HENCE_FN void sparse_backward(const Gate& gate, const tile_rows<V>& tile,
                              const tile_memory<V>& memory, std::int64_t experts,
                              const view<typename V::scalar, 2>& grad_logits) {
  using T = typename V::scalar;
  sparse_gradient<V>(gate, memory);
  const slot_table<V> slope{memory.selection};
  for (int l = 0; l < tile.count; ++l) {
    T* const to = grad_logits.data + tile.row[l] * grad_logits.stride[0];
    for (std::int64_t e = 0; e < experts; ++e) to[e] = T(0);
    for (std::int64_t j = 0; j < gate.k; ++j) {
      const std::int64_t e = memory.slots.expert(j, l);
      if (e >= 0) to[e] = slope.at(j, l);
    }
  }
}

/// Rows of softmax scores, where every scored expert takes part: the logits' gradient in their
/// place, but for the slots', which is in `memory.selection`.
template <class V, class Gate, class Team = alone>
HENCE_FN void softmax_gradient(const Gate& gate, const row_memory<V>& memory, std::int64_t experts,
                               const Team& team = {}) {
  using T = typename V::scalar;
  constexpr int L = lane_count<V>;
  const score_table<V>& s = memory.scores;
  const auto row = softmax_row<V>(
      memory.logits, experts,
      [&](std::int64_t e, V y) __attribute__((always_inline)) { s.set(e, {y}); }, team);
  const V share = select(row.sum > V(T(0)), V(T(1)) / row.sum, V(T(0)));
  for (std::int64_t e = team.first(); e < experts; e += Team::size) s.set(e, {s[e].v * share});
  team.meet();
  const selected_scores<V> selected{memory.numbers};
  gather_scores<V>(gate.score, s, memory.slots, gate.k, selected, team);
  team.meet();
  const slot_table<V> cotangent{memory.results}, passed{memory.selection};
  const V dot = weigh_backward<V>(
      gate.score, gate.weights, selected, cotangent, gate.k, V(static_cast<T>(gate.scale)),
      [&](std::int64_t j, V g) __attribute__((always_inline)) { passed.set(j, (g)); }, team);
  for (std::int64_t j = team.first(); j < gate.k; j += Team::size)
    passed.set(j, selected[j].v * (passed[j] - dot));
  for (std::int64_t e = team.first(); e < experts; e += Team::size)
    store_as(memory.logits + e * L, select(s[e].v > V(T(0)), -(s[e].v * dot), V(T(0))));
}
template <class V, class Gate, class Z>
HENCE_FN void softmax_backward(const Gate& gate, const view<const Z, 2>& logits,
                               const tile_rows<V>& tile, const tile_memory<V>& memory,
                               const view<typename V::scalar, 2>& grad_logits) {
  using T = typename V::scalar;
  const std::int64_t experts = logits.extent[1];
  per_lane<V, const Z*> rows;
  per_lane<V, T*> to;
  for (int l = 0; l < lane_count<V>; ++l) {
    rows[l] = logits.data + tile.row[l] * logits.stride[0];
    to[l] = grad_logits.data + tile.row[l] * grad_logits.stride[0];
  }
  rows_to_lanes<V>(rows, experts, memory.logits);
  softmax_gradient<V>(gate, memory, experts);
  lanes_to_rows<V>(memory.logits, experts, tile.count, to);
  const slot_table<V> passed{memory.selection};
  for (int l = 0; l < tile.count; ++l)
    for (std::int64_t j = 0; j < gate.k; ++j) {
      const std::int64_t e = memory.slots.expert(j, l);
      if (e >= 0) to[l][e] = passed.at(j, l);
    }
}

template <class S, class Z, class Id>
[[gnu::always_inline]] inline void check_backward_arrays(
    const moe::gate_backward_inputs<S, Z, Id>& in, const view<S, 2>& grad_logits, std::int64_t k,
    const view<std::byte>& workspace = {}) {
  const std::int64_t rows = in.logits.extent[0], experts = in.logits.extent[1];
  check_row_major("logits", in.logits, rows, experts);
  check_row_major("ids", in.ids, rows, k);
  check_id_type<Id>("ids", experts);
  check_row_major("grad_weights", in.grad_weights, rows, k);
  if (in.valid.given()) check_vector("valid", in.valid, rows);
  check_row_major("grad_logits", grad_logits, rows, experts);
  check_written_apart({{"grad_logits", range_of(grad_logits)}, {"workspace", range_of(workspace)}},
                      {{"logits", range_of(in.logits)},
                       {"ids", range_of(in.ids)},
                       {"grad_weights", range_of(in.grad_weights)},
                       {"valid", range_of(in.valid)}});
}

}  // namespace detail

namespace moe {

/// The gradient of every token's logits, dense; 0 in invalid rows and in rows whose ids are no
/// experts, which the counts tell.
/// \param executor `cpu{}`, `cpu{pool}`, `reference<float>{}`, `reference<double>{}`.
/// \param gate as in the forward pass. \param in logits, ids, cotangents, validity.
/// \param grad_logits `[tokens, experts]`, every entry is written.
/// \param workspace none, or `route_workspace_bytes(...)` bytes aligned to 64.
template <class Executor, class Gate, class Z = typename Executor::scalar, class Id = std::int32_t>
route_counts route_backward(const Executor& executor, const Gate& gate,
                            const gate_backward_inputs<typename Executor::scalar, Z, Id>& in,
                            view<typename Executor::scalar, 2> grad_logits,
                            view<std::byte> workspace = {}) {
  using S = typename Executor::scalar;
  using V = detail::row_number_t<Executor>;
  route_counts total;
  if constexpr (detail::check_gate_type<Gate, S>() && detail::check_ids<Id>()) {
    const std::int64_t rows = in.logits.extent[0], experts = in.logits.extent[1];
    detail::check_gate(gate, experts);
    detail::check_backward_arrays(in, grad_logits, gate.k, workspace);
    const std::int64_t bytes = route_workspace_bytes(executor, gate, rows, experts);
    detail::check_workspace(workspace, bytes);
    const std::int64_t parts = detail::row_parts<Executor>(rows);
    const detail::call_memory memory(workspace, bytes);
    route_counts counts[64];
    detail::for_row_parts(
        executor, rows, [&](std::int64_t part, std::int64_t begin, std::int64_t end) {
          detail::carver c(memory.part(part, bytes / parts));
          detail::tile_memory<V> tile_memory(c, experts, gate.k,
                                             detail::grouping_of(gate.groups, gate.k, experts));
          tile_memory.clear(experts);
          detail::for_tiles<V>(
              in.valid, begin, end,
              [&](std::int64_t row) {
                for (std::int64_t e = 0; e < experts; ++e)
                  grad_logits.data[row * grad_logits.stride[0] + e] = S(0);
              },
              [&](const detail::tile_rows<V>& tile) {
                detail::per_lane<V, std::uint8_t> faults;
                detail::read_slots<V>(in, gate.k, tile, tile_memory, faults);
                if constexpr (std::same_as<std::remove_cvref_t<decltype(gate.score)>,
                                           score::softmax>)
                  detail::softmax_backward<V>(gate, in.logits, tile, tile_memory, grad_logits);
                else
                  detail::sparse_backward<V>(gate, tile, tile_memory, experts, grad_logits);
                for (int l = 0; l < tile.count; ++l) counts[part].note(faults[l]);
                counts[part].rows += tile.count;
              });
        });
    for (std::int64_t p = 0; p < parts; ++p) total += counts[p];
  }
  return total;
}

}  // namespace moe

}  // namespace hence::inline v0
