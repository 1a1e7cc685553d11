/// \file
/// `moe::measure_balance`: what the losses of balance are made of, as sums that merge.
///
///     P_te = softmax of the row's logits            (softmax, softmax_after)
///          = s_te/(sum_e s_te + 1e-20)              (a score of one logit)
///
/// over all scored experts of a valid row: no bias, no groups. Per expert: the sum of P over the
/// rows, in units of 2^-40 (P is rounded to one, so that the sum is of integers), and how many rows
/// have it among their k largest P. Both are integers: arrays of micro-batches and ranks add up in
/// any order to the same bits. Sums hold up to 2^22 rows.
#pragma once

#include <hence/core/sum.hpp>
#include <hence/moe/gate_tile.hpp>

namespace hence::inline v0 {

namespace moe {

/// What the losses read: as the gate. \tparam S the executor's scalar. \tparam Z the logits'
/// storage.
template <class S, class Z = S> struct balance_inputs {
  view<const Z, 2> logits;           ///< `[tokens, experts]`
  view<const std::uint8_t> valid{};  ///< `[tokens]`, nonzero = valid; absent: all are
};

/// What a call found besides the sums per expert. Adds up over micro-batches and ranks.
template <class S> struct balance_counts {
  std::int64_t rows = 0;  ///< valid rows, T_v
  sum_of<S> squares;      ///< of the rows' log-sum-exp; rows without a scored expert add 0

  HENCE_FN balance_counts() {}
  HENCE_FN balance_counts& operator+=(const balance_counts& o) {
    rows += o.rows, squares += o.squares;
    return *this;
  }
  friend HENCE_FN balance_counts operator+(balance_counts a, const balance_counts& b) {
    return a += b;
  }
};

/// What a gradient divides by: counts and rows of the micro-batch, the window or all ranks.
struct balance_window {
  view<const std::int64_t> count;  ///< `[experts]`
  std::int64_t rows;               ///< valid rows that the counts are of
};

/// The unit of the sums of P.
inline constexpr double probability_unit = 0x1p-40;

}  // namespace moe

namespace detail {

template <class V, class Score>
constexpr bool is_softmax_like =
    std::same_as<Score, moe::score::softmax> || std::same_as<Score, moe::score::softmax_after>;

/// P of a tile's rows into `p`. \return the divisor of s and, for softmax, the row's maximum and
/// sum.
template <class V, class Score>
softmax_of_row<V> probability_rows(const Score& score, const typename V::scalar* z, std::int64_t n,
                                   score_table<V> p) {
  using T = typename V::scalar;
  constexpr int L = lane_count<V>;
  softmax_of_row<V> row{V(T(0)), V(T(0))};
  if constexpr (is_softmax_like<V, Score>) {
    row = softmax_row<V>(z, n,
                         [&](std::int64_t e, V y) __attribute__((always_inline)) { p.set(e, y); });
  } else {
    V sum[4] = {V(T(0)), V(T(0)), V(T(0)), V(T(0))};
    const auto term = [&](std::int64_t e, V& part) __attribute__((always_inline)) {
      const V x = load_as<V>(z + e * L);
      const V s = select(is_scored(x), score(x), V(T(0)));
      p.set(e, s);
      part = part + s;
    };
    std::int64_t e = 0;
    for (; e + 4 <= n; e += 4)
      term(e, sum[0]), term(e + 1, sum[1]), term(e + 2, sum[2]), term(e + 3, sum[3]);
    for (; e < n; ++e) term(e, sum[0]);
    row.sum = ((sum[0] + sum[1]) + (sum[2] + sum[3])) + V(static_cast<T>(1e-20));
  }
  const V share = select(row.sum > V(T(0)), V(T(1)) / row.sum, V(T(0)));
  for (std::int64_t e = 0; e < n; ++e) p.set(e, p[e].v * share);
  return row;
}

/// ln sum e^z of the scored logits; 0 without one.
template <class V> HENCE_FN V log_sum_exp(const softmax_of_row<V>& row) {
  using T = typename V::scalar;
  return select(row.sum > V(T(0)), row.top + log(select(row.sum > V(T(0)), row.sum, V(T(1)))),
                V(T(0)));
}

/// The memory of a tile: that of routing without groups.
HENCE_FN grouping one_group(std::int64_t experts) { return {1, 1, experts, 1}; }

template <class Executor>
std::int64_t balance_bytes(std::int64_t tokens, std::int64_t experts, std::int64_t k) {
  carver c;
  tile_memory<row_number_t<Executor>>(c, experts, k, one_group(experts));
  c.take<std::int64_t>(experts);
  c.take<typename Executor::scalar>(experts);
  return c.used() * row_parts<Executor>(tokens);
}

/// A row has an expert at most once.
template <class Isa = native_isa>
void check_window(const moe::balance_window& window, std::int64_t experts) {
  check_count("window.rows", window.rows);
  check_vector("count", window.count, experts);
  for (std::int64_t e = 0; e < experts; ++e)
    if (window.count[e] < 0 || window.count[e] > window.rows)
      refuse(message() << "hence: count[" << e << "] is " << window.count[e]
                       << ", expected 0 to the " << window.rows << " rows");
}

template <class Isa = native_isa> void check_coef(double coef) {
  if (!(coef - coef == 0))
    refuse(message() << "hence: coef is " << coef << ", expected a finite number");
}

template <class Score> consteval bool check_score_type() {
  constexpr bool score = is_score<Score>;
  static_assert(score,
                "hence: a loss of balance is told the gate's score: score::sigmoid, sqrt_softplus, "
                "softmax, softmax_after or a functor");
  return score;
}

template <class S, class Z>
[[gnu::always_inline]] inline void check_balance_inputs(const moe::balance_inputs<S, Z>& in,
                                                        std::int64_t k) {
  const std::int64_t rows = in.logits.extent[0], experts = in.logits.extent[1];
  check_gate_numbers(k, experts, 1, 0);
  check_row_major("logits", in.logits, rows, experts);
  if (in.valid.given()) check_vector("valid", in.valid, rows);
}

}  // namespace detail

namespace moe {

/// Bytes of workspace that the losses of balance need, to be aligned to 64.
template <class Executor>
std::int64_t balance_workspace_bytes(const Executor&, std::int64_t tokens, std::int64_t experts,
                                     std::int64_t k) {
  detail::check_gate_numbers(k, experts, 1, 0);
  detail::check_count("tokens", tokens);
  return detail::balance_bytes<Executor>(tokens, experts, k);
}

/// The sums of a call.
/// \param executor `cpu{}`, `cpu{pool}`, `reference<float>{}`, `reference<double>{}`.
/// \param score the gate's. \param k the gate's. \param in the logits.
/// \param probability `[experts]`, sum over the valid rows of P in `probability_unit`s;
/// overwritten.
/// \param top_k `[experts]`, rows with the expert among their k largest P, ties to the lowest
/// index;
///   overwritten.
/// \param workspace none, or `balance_workspace_bytes(...)` bytes aligned to 64.
template <class Executor, class Score, class Z = typename Executor::scalar>
balance_counts<typename Executor::scalar> measure_balance(
    const Executor& executor, const Score& score, std::int64_t k,
    const balance_inputs<typename Executor::scalar, Z>& in, view<std::int64_t> probability,
    view<std::int64_t> top_k, view<std::byte> workspace = {}) {
  using S = typename Executor::scalar;
  using V = detail::row_number_t<Executor>;
  balance_counts<S> total;
  if constexpr (detail::check_score_type<Score>()) {
    const std::int64_t rows = in.logits.extent[0], experts = in.logits.extent[1];
    detail::check_balance_inputs(in, k);
    detail::check_vector("probability", probability, experts);
    detail::check_vector("top_k", top_k, experts);
    detail::check_written_apart(
        {{"top_k", detail::range_of(top_k)},
         {"probability", detail::range_of(probability)},
         {"workspace", detail::range_of(workspace)}},
        {{"logits", detail::range_of(in.logits)}, {"valid", detail::range_of(in.valid)}});
    const std::int64_t bytes = detail::balance_bytes<Executor>(rows, experts, k);
    detail::check_workspace(workspace, bytes);
    const std::int64_t parts = detail::row_parts<Executor>(rows);
    const detail::call_memory memory(workspace, bytes);
    const detail::grouping all = detail::one_group(experts);
    balance_counts<S> counts[64];
    detail::for_row_parts(
        executor, rows, [&](std::int64_t part, std::int64_t begin, std::int64_t end) {
          constexpr int L = detail::lane_count<V>;
          detail::carver c(memory.part(part, bytes / parts));
          detail::tile_memory<V> tile(c, experts, k, all);
          auto* const sums = c.take<std::int64_t>(experts);
          tile.clear(experts);
          for (std::int64_t e = 0; e < experts; ++e) sums[e] = 0;
          detail::for_tiles<V>(
              in.valid, begin, end, [](std::int64_t) {},
              [&](const detail::tile_rows<V>& t) {
                detail::per_lane<V, const Z*> from;
                for (int l = 0; l < L; ++l)
                  from[l] = in.logits.data + t.row[l] * in.logits.stride[0];
                detail::rows_to_lanes<V>(from, experts, tile.logits);
                const auto row =
                    detail::probability_rows<V>(score, tile.logits, experts, tile.scores);
                if constexpr (detail::is_softmax_like<V, Score>)
                  detail::store_as(tile.numbers, detail::log_sum_exp(row));
                else
                  detail::store_as(tile.numbers,
                                   detail::log_sum_exp(detail::softmax_row<V>(
                                       tile.logits, experts, [](std::int64_t, V) {})));
                for (int l = 0; l < t.count; ++l) {
                  const num<S> lse(tile.numbers[l]);
                  counts[part].squares.add((lse * lse).v);
                }
                for (std::int64_t e = 0; e < experts; ++e)
                  for (int l = 0; l < t.count; ++l)
                    sums[e] += static_cast<std::int64_t>(
                        static_cast<double>(tile.scores.at(e, l)) * (1.0 / probability_unit) + 0.5);
                // the logits make room for what the k largest P are picked from
                const detail::selection_table<V> by{tile.logits};
                for (std::int64_t e = 0; e < experts; ++e) {
                  const V z = detail::load_as<V>(tile.logits + e * L);
                  by.set(e, detail::eligible(detail::is_scored(z), tile.scores[e], V(S(0))));
                }
                detail::select_experts(by, all, k, tile.slots, tile.selection);
                for (int l = 0; l < t.count; ++l)
                  for (std::int64_t j = 0; j < k; ++j) {
                    const std::int64_t e = tile.slots.expert(j, l);
                    if (e >= 0) ++tile.load[e];
                  }
                counts[part].rows += t.count;
              });
        });
    for (std::int64_t p = 0; p < parts; ++p) {
      total += counts[p];
      detail::carver c(memory.part(p, bytes / parts));
      const detail::tile_memory<V> tile(c, experts, k, all);
      const auto* const sums = c.take<std::int64_t>(experts);
      for (std::int64_t e = 0; e < experts; ++e) {
        probability[e] = sums[e] + (p > 0 ? probability[e] : 0);
        top_k[e] = tile.load[e] + (p > 0 ? top_k[e] : 0);
      }
    }
  }
  return total;
}

}  // namespace moe

}  // namespace hence::inline v0
