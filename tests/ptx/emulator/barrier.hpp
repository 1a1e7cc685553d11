// bar.sync and bar.red: which barrier, how many threads, and what is reduced over them.
#pragma once

#include "block.hpp"

namespace ptx {

/// What a barrier computes besides waiting.
enum barrier_kind : int { plain_barrier, barrier_and, barrier_or, barrier_popc };

/// Operands: id, then the number of threads if it is not the block, then what is reduced.
inline std::uint64_t barrier_id(warp& w) { return as<std::uint32_t>(w[w.barrier().s[0]].v[0]); }
inline std::size_t barrier_threads(warp& w, std::size_t of_block) {
  const instruction& i = w.barrier();
  const std::uint32_t others = i.variant == plain_barrier ? 0 : 1;
  if (i.sources < 2 + others) return of_block;
  return as<std::uint32_t>(w[i.s[1]].v[0]);
}

inline void reduce_at_barrier(block& b, const std::vector<std::size_t>& arrived) {
  const instruction& i = b[arrived[0]].barrier();
  if (i.variant == plain_barrier) return;
  std::uint64_t count = 0, all = 0;
  for (const std::size_t w : arrived)
    for_each(b[w].present(),
             [&](int lane) { count += b[w][i.s[i.sources - 1]].v[lane] & 1, ++all; });
  const std::uint64_t result = i.variant == barrier_and  ? count == all
                               : i.variant == barrier_or ? count != 0
                                                         : count;
  for (const std::size_t w : arrived)
    for_each(b[w].present(), [&](int lane) { b[w][i.d[0]].v[lane] = result; });
}

}  // namespace ptx
