/// \file
/// Choosing k tokens of a batch by a key, ties by index, without sorting and without memory: a
/// radix select that visits the tokens once per byte of the key. What two-pass token masks are made
/// of.
#pragma once

#include <hence/core/num.hpp>

namespace hence::inline v0::detail {

/// A number as an unsigned key of the same order; -0 below +0.
template <class Isa> HENCE_FN constexpr std::uint32_t order_key(num<float, Isa> x) {
  const auto bits = __builtin_bit_cast(std::uint32_t, x.v);
  return bits ^ (bits >> 31 ? 0xffffffffu : 0x80000000u);
}
template <class Isa> HENCE_FN constexpr std::uint64_t order_key(num<double, Isa> x) {
  const auto bits = __builtin_bit_cast(std::uint64_t, x.v);
  return bits ^ (bits >> 63 ? ~0ull : 1ull << 63);
}

/// Calls write(place) for the k tokens with the largest keys, in the order of the visit; of equal
/// keys the first are taken.
/// \param visit `visit(f)` calls f(key, place) for every eligible token, each time in the same
/// order.
template <class Key, class Visit, class Write>
void mark_largest(std::int64_t k, Visit&& visit, Write&& write) {
  if (k <= 0) return;
  Key prefix = 0, fixed = 0;  // the bits of the k-th key that are known
  std::int64_t wanted = k;    // rank of that key among those of the prefix
  for (int shift = 8 * static_cast<int>(sizeof(Key)) - 8; shift >= 0; shift -= 8) {
    std::int64_t count[256] = {};
    visit([&](Key key, auto&&) {
      if ((key & fixed) == prefix) ++count[key >> shift & 0xff];
    });
    int byte = 255;
    for (; byte > 0 && count[byte] < wanted; --byte) wanted -= count[byte];
    prefix |= static_cast<Key>(byte) << shift;
    fixed |= static_cast<Key>(0xff) << shift;
  }
  visit([&](Key key, auto&& place) {
    if (key > prefix || (key == prefix && wanted-- > 0)) write(place);
  });
}

}  // namespace hence::inline v0::detail
