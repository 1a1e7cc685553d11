/// \file
/// Packing sequences into chunks of a fixed size: R1 "first sorts by length", then best fit, and
/// each rank gets the same number of chunks (arXiv:2501.12948, B.1: "Best-Fit strategy to pack the
/// data into fixed-length chunks", "the number of chunks is equal across all processes").
#pragma once

#include <hence/core/view.hpp>
#include <hence/evaluate/order.hpp>

namespace hence::inline v0::evaluate {

/// What packing gives.
struct packing {
  std::int64_t chunks;  ///< a multiple of the ranks; chunk c belongs to rank c % ranks
  std::int64_t empty;   ///< those without a sequence, where there are too few sequences
  std::int64_t tokens;  ///< in all; the padding is chunks x capacity - tokens
};

/// Entries that `pack_chunks` needs.
HENCE_FN constexpr std::int64_t packing_workspace_size(std::int64_t sequences,
                                                       std::int64_t capacity) {
  return 4 * sequences + 2 * (capacity + 1);
}

namespace detail {

/// The chunks by what room they have left: a tree of counts over the rooms 0 to capacity, whose
/// leaves hold lists of chunks. Room for a sequence is found in O(log capacity).
template <class Isa> struct room_index {
  view<std::int64_t> head;   // [capacity + 1] first chunk with that room, -1: none
  view<std::int64_t> count;  // [capacity + 1] Fenwick tree of the chunks
  view<std::int64_t> next;   // [sequences] next chunk with the same room
  std::int64_t capacity;

  constexpr void add(std::int64_t room, std::int64_t n) const {
    for (std::int64_t i = room + 1; i <= capacity + 1; i += i & -i) count[i - 1] += n;
  }
  constexpr void put(std::int64_t chunk, std::int64_t room) const {
    next[chunk] = head[room], head[room] = chunk;
    add(room, 1);
  }
  /// Takes a chunk with the least room of at least `wanted`; -1 if there is none.
  constexpr std::int64_t take(std::int64_t wanted, std::int64_t& room) const {
    std::int64_t below = 0;  // chunks with less room
    for (std::int64_t i = wanted; i > 0; i -= i & -i) below += count[i - 1];
    std::int64_t at = 0, step = 1;
    while (2 * step <= capacity + 1) step *= 2;
    for (std::int64_t rest = below; step > 0; step /= 2)  // the last place with at most `below`
      if (at + step <= capacity + 1 && count[at + step - 1] <= rest)
        at += step, rest -= count[at - 1];
    if (at > capacity) return -1;
    room = at;
    const std::int64_t chunk = head[room];
    head[room] = next[chunk];
    add(room, -1);
    return chunk;
  }
};

template <class Isa>
packing best_fit(view<const std::int64_t> lengths, std::int64_t capacity, std::int64_t ranks,
                 view<std::int64_t> chunk, view<std::int64_t> workspace) {
  const std::int64_t sequences = lengths.extent[0];
  const auto part = [&](std::int64_t from, std::int64_t size) {
    view<std::int64_t> v(workspace.data + from * workspace.stride[0], size);
    v.stride[0] = workspace.stride[0];
    return v;
  };
  const auto order = part(0, sequences), rooms = part(2 * sequences, sequences),
             members = part(3 * sequences, sequences);
  const room_index<Isa> index{part(4 * sequences, capacity + 1),
                              part(4 * sequences + capacity + 1, capacity + 1),
                              part(sequences, sequences), capacity};
  for (std::int64_t i = 0; i <= capacity; ++i) index.head[i] = -1, index.count[i] = 0;
  for (std::int64_t i = 0; i < sequences; ++i) order[i] = i;
  heap_sort<Isa>(
      sequences,
      [&](std::int64_t i, std::int64_t j) {  // longest first, then as given
        const std::int64_t a = order[i], b = order[j];
        return lengths[a] != lengths[b] ? lengths[a] > lengths[b] : a < b;
      },
      [&](std::int64_t i, std::int64_t j) {
        const std::int64_t t = order[i];
        order[i] = order[j], order[j] = t;
      });
  packing p{};
  for (std::int64_t i = 0; i < sequences; ++i) {
    const std::int64_t length = lengths[order[i]];
    std::int64_t room = capacity, c = index.take(length, room);
    if (c < 0) c = p.chunks++, room = capacity, members[c] = 0;
    rooms[c] = room - length;
    ++members[c];
    index.put(c, rooms[c]);
    chunk[order[i]] = c;
    p.tokens += length;
  }
  // Fill up to a multiple of the ranks: a new chunk takes the shortest sequence of one with
  // several.
  const std::int64_t wanted = (p.chunks + ranks - 1) / ranks * ranks;
  for (std::int64_t i = sequences; i-- > 0 && p.chunks < wanted;) {
    const std::int64_t s = order[i];
    if (members[chunk[s]] < 2) continue;
    --members[chunk[s]];
    members[p.chunks] = 1;
    chunk[s] = p.chunks++;
  }
  p.empty = wanted - p.chunks;
  p.chunks = wanted;
  return p;
}

}  // namespace detail

/// chunk[s] = the chunk of sequence s: best fit in the order of falling length, ties by index.
/// Every rank gets as many chunks; a rank that would idle gets a sequence of a chunk with several.
/// O((n + capacity) log).
/// \param lengths each 0 to capacity // [sequences]
/// \param capacity tokens of a chunk, 1 to 2^40.
/// \param ranks 1 to 2^31.
/// \param chunk // [sequences]
/// \param workspace at least `packing_workspace_size` entries; overwritten.
template <class Isa = native_isa>
[[gnu::always_inline]] inline packing pack_chunks(view<const std::int64_t> lengths,
                                                  std::int64_t capacity, std::int64_t ranks,
                                                  view<std::int64_t> chunk,
                                                  view<std::int64_t> workspace) {
  using hence::detail::message;
  if (capacity < 1 || capacity > std::int64_t{1} << 40)
    hence::detail::refuse(message{} << "hence: capacity is " << capacity << ", expected 1 to 2^40");
  if (ranks < 1 || ranks > std::int64_t{1} << 31)
    hence::detail::refuse(message{} << "hence: ranks is " << ranks << ", expected 1 to 2^31");
  if (chunk.extent[0] != lengths.extent[0])
    hence::detail::refuse(message{} << "hence: chunk has " << chunk.extent[0]
                                    << " entries, lengths has " << lengths.extent[0]);
  for (std::int64_t i = 0; i < lengths.extent[0]; ++i)
    if (lengths[i] < 0 || lengths[i] > capacity)
      hence::detail::refuse(message{} << "hence: lengths[" << i << "] is " << lengths[i]
                                      << ", expected 0 to capacity, which is " << capacity);
  const std::int64_t needed = packing_workspace_size(lengths.extent[0], capacity);
  if (workspace.extent[0] < needed)
    hence::detail::refuse(message{} << "hence: workspace has " << workspace.extent[0]
                                    << " entries, expected at least " << needed);
  return detail::best_fit<Isa>(lengths, capacity, ranks, chunk, workspace);
}

}  // namespace hence::inline v0::evaluate
