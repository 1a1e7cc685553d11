// What a warp's lanes have asked cp.async for and not waited for yet.
#pragma once

#include "memory.hpp"

#include <array>

namespace ptx {

/// One lane's copy of `size` bytes, of which the last `size - read` become 0.
struct async_copy {
  int lane;
  std::uint64_t group;  // of the lane's groups, counted from 0
  place from, to;
  std::size_t size, read;
  std::array<std::byte, 16> begun;  // the source when the copy was asked for
};

/// A lane's copies belong to its group `closed`; commit_group closes that.
struct copies {
  std::vector<async_copy> pending{};
  std::array<std::uint64_t, warp_size> closed{};
};

}  // namespace ptx
