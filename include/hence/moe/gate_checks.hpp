/// \file
/// What a gate takes and returns, and what it refuses, at compile time and at run time.
#pragma once

#include <hence/core/storage.hpp>
#include <hence/moe/row_weights.hpp>
#include <hence/moe/scratch.hpp>

namespace hence::inline v0 {

namespace moe {

/// What a gate reads. \tparam S the executor's scalar. \tparam Z the logits' storage: S, bf16, f16.
/// \tparam Id of the replayed ids: any signed integer that holds -1 and every expert.
template <class S, class Z = S, class Id = std::int32_t> struct gate_inputs {
  view<const Z, 2> logits;           ///< `[tokens, experts]`
  view<const S> bias{};              ///< `[experts]`, added for selection only; absent: 0
  view<const std::uint8_t> valid{};  ///< `[tokens]`, nonzero = valid; absent: all are
  view<const Id, 2> replay{};        ///< `[tokens, k]`, ids instead of selection, -1 = empty
};

/// What a gate writes. Every entry is written.
template <class S, class Id = std::int32_t> struct gate_outputs {
  view<Id, 2> ids;            ///< `[tokens, k]`, best first; -1 = empty slot
  view<S, 2> weights;         ///< `[tokens, k]`, 0 in an empty slot
  view<std::int64_t> load{};  ///< `[experts]`, slots that hold the expert; absent: not counted
  view<std::uint8_t> row_faults{};  ///< `[tokens]`, bits of `row_fault`; absent: not written
};

/// What is wrong with a valid row; a bit set.
struct row_fault {
  static constexpr std::uint8_t nan_logit = 1;       ///< never selected; its other experts are
  static constexpr std::uint8_t infinite_logit = 2;  ///< +inf: the row selects nothing
  static constexpr std::uint8_t id_range = 4;     ///< a given id is not in -1..experts-1: likewise
  static constexpr std::uint8_t id_repeated = 8;  ///< a given id is there twice: likewise
};

/// Counts of one call; integers, so that those of micro-batches and ranks add up in any order.
struct route_counts {
  std::int64_t rows = 0;           ///< valid rows
  std::int64_t nan_rows = 0;       ///< of these, with a NaN logit
  std::int64_t infinite_rows = 0;  ///< with a +inf logit
  std::int64_t range_rows = 0;     ///< with a given id out of range
  std::int64_t repeated_rows = 0;  ///< with a given id twice
  std::int64_t short_rows = 0;     ///< with fewer than k experts
  std::int64_t replayed_rows = 0;  ///< valid rows whose ids were given
  std::int64_t empty_slots = 0;    ///< slots of valid rows without an expert

  // written out, since an implicit one would be shared by differently compiled translation units
  HENCE_FN route_counts() {}
  HENCE_FN route_counts& operator+=(const route_counts& o) {
    rows += o.rows, nan_rows += o.nan_rows, infinite_rows += o.infinite_rows;
    range_rows += o.range_rows, repeated_rows += o.repeated_rows;
    replayed_rows += o.replayed_rows, short_rows += o.short_rows, empty_slots += o.empty_slots;
    return *this;
  }
  friend HENCE_FN route_counts operator+(route_counts a, const route_counts& b) { return a += b; }
  /// `status::empty` without a valid row, `status::non_finite` after a NaN or +inf logit,
  /// `status::malformed` after given ids that are none.
  HENCE_FN status conditions() const {
    status s = rows > 0 ? status::ok : status::empty;
    if (nan_rows + infinite_rows > 0) s |= status::non_finite;
    if (range_rows + repeated_rows > 0) s |= status::malformed;
    return s;
  }
  /// Adds a row with these bits of `row_fault`.
  HENCE_FN void note(std::uint8_t faults) {
    nan_rows += (faults & row_fault::nan_logit) != 0;
    infinite_rows += (faults & row_fault::infinite_logit) != 0;
    range_rows += (faults & row_fault::id_range) != 0;
    repeated_rows += (faults & row_fault::id_repeated) != 0;
  }
};

}  // namespace moe

namespace detail {

template <class S> constexpr bool is_score = is_row_score<S> || score_of_logit<S, num<double>>;
template <class G> constexpr bool is_grouping = std::same_as<G, moe::all_experts>;
template <class G>
constexpr bool is_grouping<moe::grouped<G>> = requires(const G& g, std::int64_t n) {
  { g.terms(n, n) } -> std::same_as<std::int64_t>;
};
template <class W> constexpr bool is_weights = std::same_as<W, moe::raw>;
template <class Single>
constexpr bool is_weights<moe::normalized<Single>> =
    std::same_as<Single, moe::single_raw> || std::same_as<Single, moe::single_normalized>;
template <class G>
concept gate_like = requires(const G& g) {
  g.score;
  g.k;
  g.groups;
  g.weights;
  g.scale;
  g.precision;
};

/// Whether expert ids can be of these types.
template <class... Ids> consteval bool check_ids() {
  constexpr bool is_signed = ((Ids(-1) < Ids(0)) && ...);
  static_assert(is_signed,
                "hence: ids are signed integers, an empty slot is -1: int8_t to int64_t");
  return is_signed;
}

/// Layered: the first fault speaks, the rest is not instantiated.
template <class Gate, class S> consteval bool check_gate_type() {
  constexpr bool is_gate = gate_like<Gate>;
  static_assert(is_gate, "hence: a gate is a moe::gate{score, k, groups, weights, scale}");
  if constexpr (is_gate) {
    using score_t = std::remove_cvref_t<decltype(Gate::score)>;
    using weights_t = std::remove_cvref_t<decltype(Gate::weights)>;
    constexpr bool score = is_score<score_t>;
    static_assert(score,
                  "hence: the score of a gate is score::sigmoid, sqrt_softplus, softmax, "
                  "softmax_after or a functor of a number that returns the same kind of number");
    constexpr bool groups = is_grouping<std::remove_cvref_t<decltype(Gate::groups)>>;
    static_assert(!score || groups,
                  "hence: the groups of a gate are all_experts or grouped{count, kept, max_score, "
                  "top2_sum or top_k_over_m_sum}");
    constexpr bool weights = is_weights<weights_t>;
    static_assert(!score || !groups || weights,
                  "hence: the weights of a gate are raw or normalized{eps, single_raw or "
                  "single_normalized}");
    constexpr bool after =
        !std::same_as<score_t, moe::score::softmax_after> || std::same_as<weights_t, moe::raw>;
    static_assert(!score || !groups || !weights || after,
                  "hence: softmax_after is a softmax of the selected logits, so its weights sum to "
                  "1 already: write raw");
    constexpr bool precise =
        std::same_as<S, float> ||
        std::same_as<std::remove_cvref_t<decltype(Gate::precision)>, moe::fp32>;
    static_assert(!score || !groups || !weights || !after || precise,
                  "hence: bf16_scores rounds fp32 numbers, the executor computes in float64");
    return score && groups && weights && after && precise;
  }
  return false;
}

template <class Isa = native_isa>
void check_gate_numbers(std::int64_t k, std::int64_t experts, double scale, double eps) {
  if (experts < 1 || experts > (std::int64_t{1} << 24))
    refuse(message() << "hence: logits has " << experts << " experts, expected 1 to 16777216");
  if (k < 1 || k > experts)
    refuse(message() << "hence: gate.k is " << k << ", expected 1 to the " << experts
                     << " experts");
  if (!(scale - scale == 0))
    refuse(message() << "hence: gate.scale is " << scale << ", expected a finite number");
  if (!(eps >= 0) || !(eps - eps == 0))
    refuse(message() << "hence: normalized.eps is " << eps
                     << ", expected a finite number, 0 or more");
}
template <class Score, class Isa = native_isa>
void check_groups_of(const moe::grouped<Score>& g, std::int64_t k, std::int64_t experts) {
  if (g.count < 1 || experts % g.count != 0)
    refuse(message() << "hence: grouped.count is " << g.count << ", expected a divisor of the "
                     << experts << " experts");
  if (g.kept < 1 || g.kept > g.count)
    refuse(message() << "hence: grouped.kept is " << g.kept << ", expected 1 to the " << g.count
                     << " groups");
  if (g.kept < g.count && g.score.terms(k, g.kept) < 1)
    refuse(message() << "hence: gate.k is " << k << ", below the " << g.kept
                     << " kept groups, so top_k_over_m_sum would sum nothing");
}
HENCE_FN void check_groups_of(const moe::all_experts&, std::int64_t, std::int64_t) {}

/// The gate's own numbers.
template <class Gate>
[[gnu::always_inline]] inline void check_gate(const Gate& gate, std::int64_t experts) {
  double eps = 0;
  if constexpr (requires { gate.weights.eps; }) eps = gate.weights.eps;
  check_gate_numbers(gate.k, experts, gate.scale, eps);
  check_groups_of(gate.groups, gate.k, experts);
}

template <class Id, class Isa = native_isa>
void check_id_type(const char* name, std::int64_t experts) {
  if constexpr (sizeof(Id) < 8) {
    constexpr std::int64_t most = (std::int64_t{1} << (8 * sizeof(Id) - 1));
    if (experts > most)
      refuse(message() << "hence: " << name << " holds ids below " << most << ", the gate has "
                       << experts << " experts");
  }
}

/// The bias: a number, or -inf for an expert that is never selected.
template <class S, class Isa = native_isa> void check_bias(const view<const S>& bias) {
  if (!bias.present()) return;
  for (std::int64_t e = 0; e < bias.extent[0]; ++e)
    if (bias[e] != bias[e])
      refuse(message() << "hence: bias[" << e << "] is nan, expected a number or -inf");
}

/// Shapes and places; no array is read.
template <class S, class Z, class Id, class Out>
[[gnu::always_inline]] inline void check_gate_arrays(const moe::gate_inputs<S, Z, Id>& in,
                                                     const moe::gate_outputs<S, Out>& out,
                                                     std::int64_t k) {
  const std::int64_t rows = in.logits.extent[0], experts = in.logits.extent[1];
  check_row_major("logits", in.logits, rows, experts);
  if (in.bias.given()) check_vector("bias", in.bias, experts);
  if (in.valid.given()) check_vector("valid", in.valid, rows);
  if (in.replay.given()) {
    check_row_major("replay", in.replay, rows, k);
    check_id_type<Id>("replay", experts);
  }
  check_row_major("ids", out.ids, rows, k);
  check_id_type<Out>("ids", experts);
  check_row_major("weights", out.weights, rows, k);
  if (out.load.given()) check_vector("load", out.load, experts);
  if (out.row_faults.given()) check_vector("row_faults", out.row_faults, rows);
  check_written_apart({{"ids", range_of(out.ids)},
                       {"weights", range_of(out.weights)},
                       {"load", range_of(out.load)},
                       {"row_faults", range_of(out.row_faults)}},
                      {{"logits", range_of(in.logits)},
                       {"bias", range_of(in.bias)},
                       {"valid", range_of(in.valid)},
                       {"replay", range_of(in.replay)}});
}
/// The memory of a call is of its own.
template <class S, class Z, class Id, class Out>
[[gnu::always_inline]] inline void check_gate_memory(const view<std::byte>& workspace,
                                                     const moe::gate_inputs<S, Z, Id>& in,
                                                     const moe::gate_outputs<S, Out>& out) {
  check_written_apart({{"workspace", range_of(workspace)}},
                      {{"logits", range_of(in.logits)},
                       {"bias", range_of(in.bias)},
                       {"valid", range_of(in.valid)},
                       {"replay", range_of(in.replay)},
                       {"ids", range_of(out.ids)},
                       {"weights", range_of(out.weights)},
                       {"load", range_of(out.load)},
                       {"row_faults", range_of(out.row_faults)}});
}

}  // namespace detail

}  // namespace hence::inline v0
