/// \file
/// The arrays that kernels of others expect beside a permutation's rows.
///
///     DeepGEMM contiguous   rows at `aligned_position`, align its M block; `row_experts` is its
///                           m_indices, -1 in the gaps
///     DeepGEMM masked       rows at `masked_positions`, room for the same number an expert; the
///                           load is its masked_m
///     Megatron              rows at `position`; `row_tokens` is the sorted_indices of its permute
///     vLLM, SGLang          `aligned_slots` (permute.hpp) is the sorted_token_ids and expert_ids
///                           of moe_align_block_size, in a fixed order
#pragma once

#include <hence/moe/permute.hpp>

namespace hence::inline v0::moe {

/// Which expert each aligned row is of, -1 in the gaps: DeepGEMM's m_indices.
/// \param p with aligned offsets. \param out `[aligned_offsets[experts]]`.
template <class Id, class Isa = native_isa> void row_experts(const permutation& p, view<Id> out) {
  static_assert(detail::check_ids<Id>());
  const std::int64_t experts = detail::check_aligned_offsets<Isa>(p, 1);
  detail::check_vector("out", out, p.aligned_offsets[experts]);
  detail::check_written_apart({{"out", detail::range_of(out)}},
                              {{"offsets", detail::range_of(p.offsets)},
                               {"aligned_offsets", detail::range_of(p.aligned_offsets)}});
  detail::check_id_type<Id>("out", experts);
  for (std::int64_t e = 0; e < experts; ++e) {
    const std::int64_t first = p.aligned_offsets[e], count = p.offsets[e + 1] - p.offsets[e];
    for (std::int64_t i = first; i < p.aligned_offsets[e + 1]; ++i)
      out[i] = static_cast<Id>(i - first < count ? e : -1);
  }
}

/// Which token each row is of: Megatron's sorted_indices. \param p with order. \param k slots a
/// token. \param out `[offsets[experts]]`.
template <class T, class Isa = native_isa>
void row_tokens(const permutation& p, std::int64_t k, view<T> out) {
  const std::int64_t experts = detail::check_sorted_offsets<Isa>(p);
  detail::check_sorted_order<Isa>(p, INT64_MAX);
  if (k < 1) detail::refuse(detail::message() << "hence: k is " << k << ", expected 1 or more");
  detail::check_vector("out", out, p.offsets[experts]);
  detail::check_written_apart(
      {{"out", detail::range_of(out)}},
      {{"offsets", detail::range_of(p.offsets)}, {"order", detail::range_of(p.order)}});
  for (std::int64_t i = 0; i < p.offsets[experts]; ++i)
    if (static_cast<std::int64_t>(static_cast<T>(p.order[i] / k)) != p.order[i] / k)
      detail::refuse(detail::message() << "hence: order[" << i << "] is of token " << p.order[i] / k
                                       << ", which the type of out does not hold");
  for (std::int64_t i = 0; i < p.offsets[experts]; ++i) out[i] = static_cast<T>(p.order[i] / k);
}

/// Where each slot's row is if every expert has `room` rows: e room + its place within the expert,
/// -1 if empty. An expert with more rows than room is refused: `apply_capacity` comes before.
/// \param p with order. \param room rows an expert. \param out `[tokens, k]`, written.
template <class Isa = native_isa>
void masked_positions(const permutation& p, std::int64_t room, view<std::int64_t, 2> out) {
  const std::int64_t experts = detail::check_sorted_offsets<Isa>(p), k = out.extent[1];
  detail::check_row_major("out", out, out.extent[0], k);
  if (p.offsets[experts] > out.extent[0] * k)
    detail::refuse(detail::message() << "hence: out has shape [" << out.extent[0] << ", " << k
                                     << "], expected room for the " << p.offsets[experts]
                                     << " slots of the permutation");
  detail::check_sorted_order<Isa>(p, out.extent[0] * k);
  detail::check_written_apart(
      {{"out", detail::range_of(out)}},
      {{"offsets", detail::range_of(p.offsets)}, {"order", detail::range_of(p.order)}});
  if (room < 0 || room > INT64_MAX / experts)
    detail::refuse(detail::message() << "hence: room is " << room << ", expected 0 or more, and "
                                     << experts << " times it below 2^63");
  for (std::int64_t e = 0; e < experts; ++e)
    if (p.offsets[e + 1] - p.offsets[e] > room)
      detail::refuse(detail::message()
                     << "hence: expert " << e << " has " << p.offsets[e + 1] - p.offsets[e]
                     << " rows, expected at most " << room);
  for (std::int64_t t = 0; t < out.extent[0]; ++t)
    for (std::int64_t j = 0; j < k; ++j) out(t, j) = -1;
  for (std::int64_t e = 0; e < experts; ++e)
    for (std::int64_t i = p.offsets[e]; i < p.offsets[e + 1]; ++i)
      out(p.order[i] / k, p.order[i] % k) = e * room + (i - p.offsets[e]);
}

}  // namespace hence::inline v0::moe
