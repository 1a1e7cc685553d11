/// \file
/// Whether the parts of two sets pair off, each with a partner that it equals. Equality that
/// forgives is not transitive, so the first partner found need not be the right one.
#pragma once

#include <hence/core/isa.hpp>

#include <cstdint>  // uint64_t

namespace hence::inline v0::reward::detail {

inline constexpr int most_unordered = 64;

/// Pairs that the rules allow between the parts of two lists.
template <class Isa> struct pairing {
  int size;
  std::uint64_t allowed[most_unordered];  // bit j: part i may be part j of the other
  int partner[most_unordered];            // of j, -1: none yet

  /// Finds i a partner, moving others where that helps (Kuhn): at most `size` deep.
  constexpr bool place(int i, std::uint64_t& tried) {
    for (int j = 0; j < size; ++j) {
      const std::uint64_t bit = std::uint64_t{1} << j;
      if ((allowed[i] & ~tried & bit) == 0) continue;
      tried |= bit;
      if (partner[j] < 0 || place(partner[j], tried)) {
        partner[j] = i;
        return true;
      }
    }
    return false;
  }
};

}  // namespace hence::inline v0::reward::detail
