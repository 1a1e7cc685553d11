/// \file
/// Losses of balance from merged sums, and their gradients with respect to the logits.
///
///     switch_loss   coef E/(k T^2) sum_e count_e sum_t P_te     Switch, arXiv:2101.03961, eq. 4
///     z_loss        coef/T sum_t (ln sum_e e^z_te)^2            ST-MoE, arXiv:2202.08906, eq. 5
///
/// T valid rows. With counts and sums of one call this is the micro-batch's loss, with those of the
/// whole window and all ranks added up the global-batch loss (arXiv:2501.11873), and with those of
/// one sequence the sequence-wise loss of DeepSeek-V3 (arXiv:2412.19437, eq. 17), whose mean over
/// the sequences with a valid row the caller takes. Counts are constants: `measure_balance`'s
/// top_k, or the load that was routed. No valid row: 0.
#pragma once

#include <hence/moe/balance_sums.hpp>

namespace hence::inline v0 {

namespace moe {

/// 1 coef at perfect balance: Megatron. DeepSeek-V3's f_i has this factor too.
struct balance_is_one {};
/// k coef at perfect balance: transformers, which does not divide by k.
struct balance_is_k {};

/// \tparam AtBalance `balance_is_one` or `balance_is_k`: frameworks differ by the factor k.
template <class AtBalance> struct switch_loss {
  double coef;
  AtBalance at_balance;  ///< `balance_is_one` or `balance_is_k`
  /// coef E/(k T^2), or without k.
  HENCE_FN double factor(std::int64_t experts, std::int64_t k, std::int64_t rows) const {
    const double t = static_cast<double>(rows),
                 divisor = std::same_as<AtBalance, balance_is_k> ? 1.0 : static_cast<double>(k);
    return rows > 0 ? coef * static_cast<double>(experts) / divisor / t / t : 0.0;
  }
};
template <class A> switch_loss(double, A) -> switch_loss<A>;
/// Without a word on its value at balance there is no loss.
struct unsaid_balance {};
template <class C> switch_loss(C) -> switch_loss<unsaid_balance>;
template <> struct switch_loss<unsaid_balance> {
  template <class C> HENCE_FN switch_loss(C) {
    static_assert(detail::always_false<C>::value,
                  "hence: switch_loss says what it is at perfect balance: balance_is_one{} (coef) "
                  "or balance_is_k{} (k coef, as transformers)");
  }
};

/// coef/T sum_t (ln sum_e e^z_te)^2. ST-MoE, arXiv:2202.08906, eq. 5.
struct z_loss {
  double coef;
};

/// Says whether a gradient is written or added to what is there.
struct overwrite {};
struct accumulate {};

/// The value.
/// \param loss what of. \param k the gate's.
/// \param probability `[experts]`, as of `measure_balance`. \param window counts and rows of the
/// same.
template <class AtBalance, class Isa = native_isa>
double balance_loss(const switch_loss<AtBalance>& loss, std::int64_t k,
                    view<const std::int64_t> probability, const balance_window& window) {
  const std::int64_t experts = probability.extent[0];
  detail::check_gate_numbers<Isa>(k, experts, 1, 0);
  detail::check_coef<Isa>(loss.coef);
  detail::check_vector("probability", probability, experts);
  for (std::int64_t e = 0; e < experts; ++e)
    if (probability[e] < 0)
      detail::refuse(detail::message() << "hence: probability[" << e << "] is " << probability[e]
                                       << ", expected 0 or more");
  detail::check_window<Isa>(window, experts);
  num<double, Isa> sum = 0.0;
  for (std::int64_t e = 0; e < experts; ++e)
    sum = fma(num<double, Isa>(static_cast<double>(window.count[e])),
              num<double, Isa>(static_cast<double>(probability[e])), sum);
  return (sum * num<double, Isa>(probability_unit) *
          num<double, Isa>(loss.factor(experts, k, window.rows)))
      .v;
}
template <class S, class Isa = native_isa>
double balance_loss(const z_loss& loss, const balance_counts<S>& counts) {
  detail::check_coef<Isa>(loss.coef);
  detail::check_count<Isa>("rows", counts.rows);
  return counts.rows > 0 ? loss.coef * static_cast<double>(counts.squares.value()) /
                               static_cast<double>(counts.rows)
                         : 0.0;
}

}  // namespace moe

namespace detail {

/// Turns a tile's logits into its gradient, and writes or adds it to the rows. \param f called with
/// the tile memory; leaves the gradient in `logits`.
template <class V, class Into, class Executor, class S, class Z, class F>
HENCE_FN void balance_tiles(const Executor& executor, const moe::balance_inputs<S, Z>& in,
                            const view<S, 2>& grad, view<std::byte> workspace, std::int64_t k,
                            F f) {
  constexpr int L = lane_count<V>;
  const std::int64_t rows = in.logits.extent[0], experts = in.logits.extent[1];
  check_balance_inputs(in, k);
  check_row_major("grad_logits", grad, rows, experts);
  check_written_apart({{"grad_logits", range_of(grad)}, {"workspace", range_of(workspace)}},
                      {{"logits", range_of(in.logits)}, {"valid", range_of(in.valid)}});
  const std::int64_t bytes = balance_bytes<Executor>(rows, experts, k);
  check_workspace(workspace, bytes);
  const std::int64_t parts = row_parts<Executor>(rows);
  const call_memory memory(workspace, bytes);
  for_row_parts(executor, rows, [&](std::int64_t part, std::int64_t begin, std::int64_t end) {
    carver c(memory.part(part, bytes / parts));
    tile_memory<V> tile(c, experts, k, one_group(experts));
    c.take<std::int64_t>(experts);
    S* const slope = c.take<S>(experts);
    f.prepare(slope, experts);
    for_tiles<V>(
        in.valid, begin, end,
        [&](std::int64_t row) {
          if constexpr (std::same_as<Into, moe::overwrite>)
            for (std::int64_t e = 0; e < experts; ++e) grad.data[row * grad.stride[0] + e] = S(0);
        },
        [&](const tile_rows<V>& t) {
          per_lane<V, const Z*> from;
          per_lane<V, S*> to;
          per_lane<V, const S*> there;
          for (int l = 0; l < L; ++l) {
            from[l] = in.logits.data + t.row[l] * in.logits.stride[0];
            there[l] = to[l] = grad.data + t.row[l] * grad.stride[0];
          }
          rows_to_lanes<V>(from, experts, tile.logits);
          f(tile, slope, experts);
          if constexpr (std::same_as<Into, moe::accumulate>) {
            rows_to_lanes<V>(there, experts, tile.scores.data);
            for (std::int64_t e = 0; e < experts; ++e)
              store_as(tile.logits + e * L, tile.scores[e].v + load_as<V>(tile.logits + e * L));
          }
          lanes_to_rows<V>(tile.logits, experts, t.count, to);
        });
  });
}

/// d_e = factor count_e reaches P_te; then through P to the logits. The first expert's d is taken
/// off all, since the P of a row sum to 1: what remains does not cancel near balance.
template <class V, class Score> struct switch_gradient {
  using T = typename V::scalar;
  const Score& score;
  double factor;
  view<const std::int64_t> count;
  void prepare(T* slope, std::int64_t experts) const {
    for (std::int64_t e = 0; e < experts; ++e)
      slope[e] = static_cast<T>(factor * static_cast<double>(count[e] - count[0]));
  }
  void operator()(const tile_memory<V>& tile, const T* slope, std::int64_t experts) const {
    constexpr int L = lane_count<V>;
    const auto row = probability_rows<V>(score, tile.logits, experts, tile.scores);
    V dot(T(0));
    for (std::int64_t e = 0; e < experts; ++e) dot = fma(V(slope[e]), tile.scores[e].v, dot);
    if constexpr (!is_softmax_like<V, Score>) {  // the P sum to 1 - 1e-20/row.sum
      const V first(static_cast<T>(factor * static_cast<double>(count[0])));
      dot = dot - first * (V(static_cast<T>(1e-20)) / row.sum);
    }
    for (std::int64_t e = 0; e < experts; ++e) {
      const V centred = V(slope[e]) - dot;
      if constexpr (is_softmax_like<V, Score>) {
        store_as(tile.logits + e * L, tile.scores[e].v * centred);
      } else {
        const V z = load_as<V>(tile.logits + e * L);
        const auto scored = is_scored(z);
        const auto s = score(dual<V, one, zero>{select(scored, z, V(T(0))), {}, {}});
        const V passed = centred / row.sum * as_number<V>(pooled_of(s));
        store_as(tile.logits + e * L, select(scored, passed, V(T(0))));
      }
    }
  }
};

/// dz = 2 coef/T lse softmax(z).
template <class V> struct z_gradient {
  using T = typename V::scalar;
  double factor;
  void prepare(T*, std::int64_t) const {}
  void operator()(const tile_memory<V>& tile, const T*, std::int64_t experts) const {
    constexpr int L = lane_count<V>;
    const auto row = probability_rows<V>(moe::score::softmax{}, tile.logits, experts, tile.scores);
    const V scale = V(static_cast<T>(factor)) * log_sum_exp(row);
    for (std::int64_t e = 0; e < experts; ++e)
      store_as(tile.logits + e * L, scale * tile.scores[e].v);
  }
};

}  // namespace detail

namespace moe {

/// The gradient of `switch_loss` with respect to this call's logits, given the window's counts.
/// \param executor `cpu{}`, `cpu{pool}`, `reference<float>{}`, `reference<double>{}`.
/// \param loss what of. \param score the gate's. \param k the gate's. \param in the logits.
/// \param window the counts and rows that the loss divides by.
/// \param grad_logits `[tokens, experts]`; 0 in invalid rows, or left alone with accumulate.
/// \param into `overwrite{}` or `accumulate{}`.
/// \param workspace none, or `balance_workspace_bytes(...)` bytes aligned to 64.
template <class Executor, class AtBalance, class Score, class Into,
          class Z = typename Executor::scalar>
void balance_gradient(const Executor& executor, const switch_loss<AtBalance>& loss,
                      const Score& score, std::int64_t k,
                      const balance_inputs<typename Executor::scalar, Z>& in,
                      const balance_window& window, view<typename Executor::scalar, 2> grad_logits,
                      [[maybe_unused]] Into into, view<std::byte> workspace = {}) {
  using V = detail::row_number_t<Executor>;
  if constexpr (detail::check_score_type<Score>()) {
    const std::int64_t experts = in.logits.extent[1];
    detail::check_coef(loss.coef);
    detail::check_window(window, experts);
    detail::balance_tiles<V, Into>(executor, in, grad_logits, workspace, k,
                                   detail::switch_gradient<V, Score>{
                                       score, loss.factor(experts, k, window.rows), window.count});
  }
}

/// The gradient of `z_loss`.
/// \param executor `cpu{}`, `cpu{pool}`, `reference<float>{}`, `reference<double>{}`.
/// \param loss what of. \param in the logits. \param rows the window's valid rows.
/// \param grad_logits `[tokens, experts]`. \param into `overwrite{}` or `accumulate{}`.
/// \param workspace none, or `balance_workspace_bytes(...)` bytes aligned to 64.
template <class Executor, class Into, class Z = typename Executor::scalar>
void balance_gradient(const Executor& executor, const z_loss& loss,
                      const balance_inputs<typename Executor::scalar, Z>& in, std::int64_t rows,
                      view<typename Executor::scalar, 2> grad_logits, [[maybe_unused]] Into into,
                      view<std::byte> workspace = {}) {
  using V = detail::row_number_t<Executor>;
  detail::check_coef(loss.coef);
  detail::check_count("rows", rows);
  const double factor = rows > 0 ? 2 * loss.coef / static_cast<double>(rows) : 0.0;
  detail::balance_tiles<V, Into>(executor, in, grad_logits, workspace, 1,
                                 detail::z_gradient<V>{factor});
}

}  // namespace moe

}  // namespace hence::inline v0
