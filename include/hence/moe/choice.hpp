/// \file
/// `moe::choose_tokens` and `moe::round_tokens`: experts that take tokens, where `route` has tokens
/// that take experts.
///
///     expert choice    every expert takes the `capacity` tokens that score it highest.
///                      Zhou et al., arXiv:2202.09368, section 3.2
///     token rounding   every expert's count of tokens becomes a multiple of a tile, by leaving out
///                      those that score it lowest or by taking more of the others. SonicMoE,
///                      arXiv:2512.14080
///
/// Both write ids alone, for `route` to weigh as a replay and `route_backward` to differentiate:
///
///     moe::gate g{moe::score::softmax{}, slots, moe::all_experts{}, moe::raw{}, 1.0};
///     moe::choose_tokens(cpu{}, g, {.logits = z}, capacity, ids);         // ids [tokens, slots]
///     moe::route(cpu{}, g, {.logits = z, .replay = ids}, {.ids = out, .weights = w});
///     moe::route_backward(cpu{}, g, {.logits = z, .ids = ids, .grad_weights = dw}, dz);
///
/// One order: value descending, index ascending, of tokens as of experts. NaN, -inf, invalid rows,
/// rows with +inf and groups that a token does not keep are never taken. A token gets 0 to `slots`
/// experts, best first; one that more experts took keeps the best of them, the rest are counted, so
/// gate.k = experts loses none. A selection bias would change nothing, so there is none. A choice
/// looks at all tokens of the call, later ones included: not for causal decoding.
///
/// Bits: as `route`. Takes a copy of the scores, 4 bytes a token and expert.
#pragma once

#include <hence/moe/choice_rows.hpp>

namespace hence::inline v0 {

namespace moe {

/// What a choice reads. \tparam Z the logits' storage.
template <class S, class Z = S> struct choice_inputs {
  view<const Z, 2> logits;           ///< `[tokens, experts]`
  view<const std::uint8_t> valid{};  ///< `[tokens]`, nonzero = valid; absent: all are
};

/// Bytes of workspace of both choices, to be aligned to 64.
template <class Executor, class Gate>
std::int64_t choice_workspace_bytes(const Executor& executor, const Gate& gate, std::int64_t tokens,
                                    std::int64_t experts) {
  detail::carver c;
  detail::choice_memory<typename Executor::scalar>(c, tokens, experts, true);
  return c.used() + route_workspace_bytes(executor, gate, tokens, experts);
}

/// Expert choice. \param executor as in `route`. \param gate its score, precision and groups are
/// used; gate.k is the slots a token has, at most the experts. \param in logits and validity.
/// \param capacity tokens an expert takes: in the paper tokens c/experts with c the mean experts a
/// token, capacity_floor{1}(tokens, c, experts). \param ids `[tokens, gate.k]`, written; -1 =
/// empty.
/// \param workspace none, or `choice_workspace_bytes(...)` bytes aligned to 64.
template <class Executor, class Gate, class Z = typename Executor::scalar, class Id = std::int32_t>
choice_counts choose_tokens(const Executor& executor, const Gate& gate,
                            const choice_inputs<typename Executor::scalar, Z>& in,
                            std::int64_t capacity, view<Id, 2> ids,
                            view<std::byte> workspace = {}) {
  choice_counts counts;
  if constexpr (detail::check_gate_type<Gate, typename Executor::scalar>() &&
                detail::check_ids<Id>()) {
    detail::check_choice(gate, in.logits, in.valid, ids, workspace);
    if (capacity < 0)
      detail::refuse(detail::message()
                     << "hence: capacity is " << capacity << ", expected 0 or more");
    const std::int64_t bytes =
        choice_workspace_bytes(executor, gate, in.logits.extent[0], in.logits.extent[1]);
    detail::check_workspace(workspace, bytes);
    const auto size = [=](std::int64_t, std::int64_t eligible) {
      return capacity < eligible ? capacity : eligible;
    };
    counts = detail::choose(executor, gate, in.logits, in.valid, view<const Id, 2>(), size, ids,
                            workspace, bytes);
  }
  return counts;
}

/// Token rounding. \param executor, gate, in, ids as in `choose_tokens`; gate.k leaves room for
/// the experts that tokens gain. \param given `[tokens, any]`, ids as `route` wrote them, apart
/// from ids. \param tile every expert's count becomes a multiple of it. \param rounding
/// `round_down{}`, `round_up{}`, `round_nearest{}`.
/// \param workspace as in `choose_tokens`.
template <class Executor, class Gate, class Rounding, class Z = typename Executor::scalar,
          class Given = std::int32_t, class Id = std::int32_t>
choice_counts round_tokens(const Executor& executor, const Gate& gate,
                           const choice_inputs<typename Executor::scalar, Z>& in,
                           view<const Given, 2> given, std::int64_t tile,
                           [[maybe_unused]] Rounding rounding, view<Id, 2> ids,
                           view<std::byte> workspace = {}) {
  choice_counts counts;
  constexpr bool rounds = token_rounding<Rounding>;
  static_assert(rounds,
                "hence: tokens are rounded to a tile by round_down{}, round_up{} or "
                "round_nearest{}");
  if constexpr (rounds && detail::check_gate_type<Gate, typename Executor::scalar>() &&
                detail::check_ids<Id, Given>()) {
    const std::int64_t rows = in.logits.extent[0], experts = in.logits.extent[1];
    detail::check_choice(gate, in.logits, in.valid, ids, workspace);
    if (tile < 1)
      detail::refuse(detail::message() << "hence: tile is " << tile << ", expected 1 or more");
    detail::check_row_major("given", given, rows, given.extent[1]);
    detail::check_written_apart(
        {{"ids", detail::range_of(ids)}, {"workspace", detail::range_of(workspace)}},
        {{"given", detail::range_of(given)}});
    for (std::int64_t t = 0; t < rows; ++t)
      for (std::int64_t j = 0; j < given.extent[1]; ++j)
        if (given(t, j) < -1 || static_cast<std::int64_t>(given(t, j)) >= experts)
          detail::refuse(detail::message() << "hence: given[" << t << ", " << j << "] is "
                                           << static_cast<std::int64_t>(given(t, j))
                                           << ", expected -1 to " << experts - 1);
    const std::int64_t bytes = choice_workspace_bytes(executor, gate, rows, experts);
    detail::check_workspace(workspace, bytes);
    const auto size = [=](std::int64_t had, std::int64_t eligible) {
      const std::int64_t n = rounding(had, tile);
      return n <= eligible ? n : eligible / tile * tile;
    };
    counts =
        detail::choose(executor, gate, in.logits, in.valid, given, size, ids, workspace, bytes);
  }
  return counts;
}

}  // namespace moe

}  // namespace hence::inline v0
