/// \file
/// Sorting in place without allocation: heapsort of anything that can be compared and swapped by
/// index. Not stable: break ties by index in `less`.
#pragma once

#include <hence/core/isa.hpp>

#include <cstdint>  // int64_t

namespace hence::inline v0::evaluate::detail {

/// Sorts [0, size) ascending. \param less callable (i, j) -> bool. \param swap callable (i, j), i
/// and j never the same.
template <class Isa, class Less, class Swap>
constexpr void heap_sort(std::int64_t size, const Less& less, const Swap& swap) {
  const auto sift = [&](std::int64_t root, std::int64_t end) {
    for (std::int64_t child = 2 * root + 1; child < end; child = 2 * root + 1) {
      if (child + 1 < end && less(child, child + 1)) ++child;
      if (!less(root, child)) return;
      swap(root, child);
      root = child;
    }
  };
  for (std::int64_t i = size / 2; i-- > 0;) sift(i, size);
  for (std::int64_t end = size - 1; end > 0; --end) {
    swap(0, end);
    sift(0, end);
  }
}

}  // namespace hence::inline v0::evaluate::detail
