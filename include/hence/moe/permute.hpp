/// \file
/// `moe::permute`: slots sorted by (expert, token), by counting; the order that expert kernels
/// want.
///
///     order              the flat slots t k + j that hold an expert, sorted by (expert, slot)
///     offsets            expert e's slots are order[offsets[e]] ... order[offsets[e + 1]]
///     aligned_offsets    the same with each expert's count rounded up to a multiple of `align`
///     position           where a slot is in `order`, -1 if it is empty; the inverse of `order`
///     aligned_position   aligned_offsets[e] + position - offsets[e], -1 if empty
///
/// Stable and free of atomics: the result depends on the ids alone. What other kernels expect
/// beside it (DeepGEMM, Megatron, vLLM) is in layouts.hpp and, by `aligned_slots`, here.
#pragma once

#include <hence/moe/gate_checks.hpp>

namespace hence::inline v0 {

namespace moe {

/// What `permute` writes; an absent view is not written. Entries of `order` beyond the last slot
/// are left as they were.
struct permutation {
  view<std::int64_t> offsets;                ///< `[experts + 1]`
  view<std::int64_t> order;                  ///< `[slots]`; at most tokens k are written
  view<std::int64_t, 2> position{};          ///< `[tokens, k]`
  view<std::int64_t> aligned_offsets{};      ///< `[experts + 1]`
  view<std::int64_t, 2> aligned_position{};  ///< `[tokens, k]`
};

}  // namespace moe

namespace detail {

constexpr std::int64_t most_align = std::int64_t{1} << 32;

/// Refuses offsets that are not those of a permutation. \return the experts.
template <class Isa = native_isa> std::int64_t check_sorted_offsets(const moe::permutation& p) {
  const std::int64_t experts = p.offsets.extent[0] - 1;
  if (experts < 1 || !p.offsets.present())
    refuse(message() << "hence: offsets has " << p.offsets.extent[0]
                     << " entries, expected one more than the experts");
  check_vector("offsets", p.offsets, experts + 1);
  if (p.offsets[0] != 0)
    refuse(message() << "hence: offsets[0] is " << p.offsets[0] << ", expected 0");
  for (std::int64_t e = 0; e < experts; ++e)
    if (p.offsets[e + 1] < p.offsets[e])
      refuse(message() << "hence: offsets[" << e + 1 << "] is " << p.offsets[e + 1]
                       << ", expected at least " << p.offsets[e]);
  return experts;
}
/// Likewise aligned offsets: room for each expert's rows. \return the experts.
template <class Isa = native_isa>
std::int64_t check_aligned_offsets(const moe::permutation& p, std::int64_t align) {
  const std::int64_t experts = check_sorted_offsets<Isa>(p);
  check_vector("aligned_offsets", p.aligned_offsets, experts + 1);
  std::int64_t least = 0;
  for (std::int64_t e = 0; e <= experts; ++e) {
    const std::int64_t at = p.aligned_offsets[e];
    if (at < least)
      refuse(message() << "hence: aligned_offsets[" << e << "] is " << at << ", expected at least "
                       << least);
    if (at % align != 0)
      refuse(message() << "hence: aligned_offsets[" << e << "] is " << at
                       << ", expected a multiple of " << align);
    if (e < experts) least = at + (p.offsets[e + 1] - p.offsets[e]);
  }
  return experts;
}
/// Likewise the order of the sorted slots, each below `slots`.
template <class Isa = native_isa>
void check_sorted_order(const moe::permutation& p, std::int64_t slots) {
  const std::int64_t filled = p.offsets[p.offsets.extent[0] - 1];
  if (p.order.extent[0] < filled)
    refuse(message() << "hence: order has " << p.order.extent[0] << " entries, expected at least "
                     << filled);
  check_vector("order", p.order, p.order.extent[0]);
  for (std::int64_t i = 0; i < filled; ++i)
    if (p.order[i] < 0 || p.order[i] >= slots)
      refuse(message() << "hence: order[" << i << "] is " << p.order[i] << ", expected 0 to "
                       << slots - 1);
}

/// All but what the ids say: those may lie on a device.
template <class Id>
[[gnu::always_inline]] inline void check_permutation_arrays(const view<const Id, 2>& ids,
                                                            std::int64_t experts,
                                                            std::int64_t align,
                                                            const moe::permutation& out) {
  const std::int64_t tokens = ids.extent[0], k = ids.extent[1];
  if (experts < 1) refuse(message() << "hence: experts is " << experts << ", expected 1 or more");
  if (align < 1) refuse(message() << "hence: align is " << align << ", expected 1 or more");
  if (align > most_align)
    refuse(message() << "hence: align is " << align << ", expected at most " << most_align);
  if (k < 1) refuse(message() << "hence: ids has " << k << " slots a token, expected 1 or more");
  check_row_major("ids", ids, tokens, k);
  check_vector("offsets", out.offsets, experts + 1);
  if (out.order.extent[0] < tokens * k)
    refuse(message() << "hence: order has " << out.order.extent[0] << " entries, expected at least "
                     << tokens * k);
  check_vector("order", out.order, out.order.extent[0]);
  if (out.position.given()) check_row_major("position", out.position, tokens, k);
  if (out.aligned_offsets.given())
    check_vector("aligned_offsets", out.aligned_offsets, experts + 1);
  if (out.aligned_position.given()) {
    check_row_major("aligned_position", out.aligned_position, tokens, k);
    if (!out.aligned_offsets.given())
      refuse(message() << "hence: aligned_offsets is null, expected " << experts + 1
                       << " entries beside aligned_position");
  }
  check_written_apart({{"offsets", range_of(out.offsets)},
                       {"order", range_of(out.order)},
                       {"position", range_of(out.position)},
                       {"aligned_offsets", range_of(out.aligned_offsets)},
                       {"aligned_position", range_of(out.aligned_position)}},
                      {{"ids", range_of(ids)}});
}

template <class Id>
[[gnu::always_inline]] inline void check_permutation(const view<const Id, 2>& ids,
                                                     std::int64_t experts, std::int64_t align,
                                                     const moe::permutation& out) {
  check_permutation_arrays(ids, experts, align, out);
  const std::int64_t tokens = ids.extent[0], k = ids.extent[1];
  // ids come from elsewhere: one pass before anything is written
  for (std::int64_t t = 0; t < tokens; ++t) {
    bool sound = true;
    for (std::int64_t j = 0; j < k; ++j) {
      const auto e = static_cast<std::int64_t>(ids(t, j));
      sound &= e >= -1 && e < experts;
    }
    for (std::int64_t j = 0; !sound && j < k; ++j) {
      const auto e = static_cast<std::int64_t>(ids(t, j));
      if (e < -1 || e >= experts)
        refuse(message() << "hence: ids[" << t << ", " << j << "] is " << e << ", expected -1 to "
                         << experts - 1);
    }
  }
}

}  // namespace detail

namespace moe {

/// Sorts the slots. Serial: a counting sort of 32768 slots takes tens of microseconds.
/// \param ids `[tokens, k]`, as `route` wrote them; -1 = empty slot. An id out of range is refused.
/// \param experts how many there are. \param out what is written.
/// \param align what each expert's rows are rounded up to: 1, or a kernel's block.
/// \return how many slots hold an expert, offsets[experts].
template <class Id, class Isa = native_isa>
std::int64_t permute(view<const Id, 2> ids, std::int64_t experts, std::int64_t align,
                     const permutation& out) {
  static_assert(detail::check_ids<Id>());
  detail::check_permutation(ids, experts, align, out);
  const std::int64_t tokens = ids.extent[0], k = ids.extent[1];
  std::int64_t* const next = out.offsets.data;  // counts, then each expert's next place
  for (std::int64_t e = 0; e <= experts; ++e) next[e] = 0;
  for (std::int64_t t = 0; t < tokens; ++t) {
    const Id* row = ids.data + t * ids.stride[0];
    for (std::int64_t j = 0; j < k; ++j)
      if (row[j] >= 0) ++next[static_cast<std::int64_t>(row[j])];
  }
  std::int64_t total = 0, aligned = 0;
  for (std::int64_t e = 0; e <= experts; ++e) {  // none has the expert behind the last
    const std::int64_t count = next[e];
    if (out.aligned_offsets.present()) out.aligned_offsets.data[e] = aligned;
    aligned += (count + align - 1) / align * align;
    next[e] = total;
    total += count;
  }
  for (std::int64_t t = 0; t < tokens; ++t) {
    const Id* row = ids.data + t * ids.stride[0];
    for (std::int64_t j = 0; j < k; ++j) {
      const auto e = static_cast<std::int64_t>(row[j]);
      const std::int64_t at = e < 0 ? -1 : next[e]++;
      if (at >= 0) out.order.data[at] = t * k + j;
      if (out.position.present()) out.position(t, j) = at;
    }
  }
  // next[e] is now where e ends: shift it to where e begins
  for (std::int64_t e = experts; e > 0; --e) next[e] = next[e - 1];
  next[0] = 0;
  if (out.aligned_position.present())
    for (std::int64_t e = 0; e < experts; ++e)
      for (std::int64_t i = next[e]; i < next[e + 1]; ++i) {
        const std::int64_t slot = out.order.data[i];
        out.aligned_position(slot / k, slot % k) = out.aligned_offsets.data[e] + (i - next[e]);
      }
  if (out.aligned_position.present())
    for (std::int64_t t = 0; t < tokens; ++t)
      for (std::int64_t j = 0; j < k; ++j)
        if (ids(t, j) < 0) out.aligned_position(t, j) = -1;
  return total;
}

/// Any matrix of ids that a view can be made of.
template <class Id, class Isa = native_isa>
  requires(!std::is_const_v<Id>)
std::int64_t permute(view<Id, 2> ids, std::int64_t experts, std::int64_t align,
                     const permutation& out) {
  return permute<Id, Isa>(view<const Id, 2>(ids), experts, align, out);
}

/// `order` in vLLM's align_block_size layout: slots at their aligned places, `pad` in the gaps, and
/// which expert each block of `align` belongs to.
/// \param p with aligned offsets. \param align as it was permuted with. \param pad what fills gaps.
/// \param slots `[aligned_offsets[experts]]`. \param block_expert `[that / align]`, or absent.
template <class Isa = native_isa>
void aligned_slots(const permutation& p, std::int64_t align, std::int64_t pad,
                   view<std::int64_t> slots, view<std::int64_t> block_expert = {}) {
  if (align < 1)
    detail::refuse(detail::message() << "hence: align is " << align << ", expected 1 or more");
  const std::int64_t experts = detail::check_aligned_offsets<Isa>(p, align);
  detail::check_sorted_order<Isa>(p, INT64_MAX);
  detail::check_vector("slots", slots, p.aligned_offsets[experts]);
  if (block_expert.given())
    detail::check_vector("block_expert", block_expert, p.aligned_offsets[experts] / align);
  detail::check_written_apart(
      {{"slots", detail::range_of(slots)}, {"block_expert", detail::range_of(block_expert)}},
      {{"offsets", detail::range_of(p.offsets)},
       {"order", detail::range_of(p.order)},
       {"aligned_offsets", detail::range_of(p.aligned_offsets)}});
  for (std::int64_t e = 0; e < experts; ++e) {
    const std::int64_t first = p.aligned_offsets[e], end = p.aligned_offsets[e + 1];
    const std::int64_t count = p.offsets[e + 1] - p.offsets[e];
    for (std::int64_t i = first; i < end; ++i)
      slots[i] = i - first < count ? p.order[p.offsets[e] + (i - first)] : pad;
    if (block_expert.present())
      for (std::int64_t b = first / align; b < end / align; ++b) block_expert[b] = e;
  }
}

}  // namespace moe

}  // namespace hence::inline v0
