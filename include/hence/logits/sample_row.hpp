/// \file
/// One row of a sampler in integers: weights as multiples of 2^-56 of the largest, exact sums, and
/// the kept set as a prefix of the descending order, found by selection instead of sorting.
#pragma once

#include <hence/logits/softmax_row.hpp>

namespace hence::inline v0::detail {

__extension__ typedef unsigned __int128 wide_integer;

/// A token that may be drawn. Larger keys are larger logits; -0 = +0.
struct candidate {
  std::uint32_t key;
  std::int32_t index;
  std::uint64_t weight;
};

HENCE_FN constexpr std::uint32_t key_of(float x) {
  const auto bits = __builtin_bit_cast(std::uint32_t, x == 0.0f ? 0.0f : x);
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}
/// Before in the descending order, the lower index first among equals.
HENCE_FN constexpr bool precedes(const candidate& a, const candidate& b) {
  return a.key > b.key || (a.key == b.key && a.index < b.index);
}

/// The share p of a whole: its smallest multiple of 2^-48 of the total that is not below.
HENCE_FN wide_integer share_of(double p, wide_integer total) {
  const auto m = static_cast<std::uint64_t>(p * 0x1p+48);
  return (static_cast<wide_integer>(m) * total + ((wide_integer{1} << 48) - 1)) >> 48;
}

/// 2^56 2^((x - top) scale) to the nearest integer; 2^56 for the largest itself.
template <class Isa> HENCE_FN std::uint64_t sample_weight(float x, float top, double scale) {
  using N = num<double, Isa>;
  const N z = (N(static_cast<double>(x)) - N(static_cast<double>(top))) * N(scale);
  if (!(z > -60.0)) return 0;
  return static_cast<std::uint64_t>((wide_exp2(z) * N(0x1p+56) + N(0.5)).v);
}

/// Moves a prefix of the descending order to the front: the shortest one with `count` candidates or
/// with weights that sum to `sum` (both at least 1). Returns its length. The front is not sorted.
/// Selection by three-way partition: about 3 n steps on average.
template <class Isa>
std::int64_t select_prefix(candidate* c, std::int64_t n, std::int64_t count, wide_integer sum) {
  std::int64_t begin = 0, end = n;  // [0, begin) is kept, [end, n) is not
  wide_integer taken = 0;
  while (end - begin > 1) {
    // the median of three keeps sorted rows from taking n^2 steps
    const candidate &x = c[begin], &y = c[begin + (end - begin) / 2], &z = c[end - 1];
    const candidate pivot = precedes(x, y) == precedes(y, z)   ? y
                            : precedes(x, y) == precedes(z, x) ? x
                                                               : z;
    wide_integer ahead = 0;
    std::int64_t i = begin;
    for (std::int64_t j = begin; j < end; ++j)
      if (precedes(c[j], pivot)) {
        const candidate t = c[j];
        c[j] = c[i];
        c[i++] = t;
        ahead += t.weight;
      }
    if (i >= count || taken + ahead >= sum) {
      end = i;  // the prefix ends before the pivot
      continue;
    }
    taken += ahead + pivot.weight;
    for (std::int64_t j = i; j < end; ++j)
      if (c[j].index == pivot.index) {
        c[j] = c[i];
        c[i] = pivot;
        break;
      }
    begin = i + 1;
    if (begin >= count || taken >= sum) return begin;
  }
  return end;  // one is left and it is needed
}

/// The k largest of a row, in any order, without weights: a buffer of 2 k, cut to k when it is
/// full; a register whose logits are all at or below the k-th is passed over. Returns how many.
template <class V, class T>
std::int64_t gather_largest(const T* x, std::int64_t columns, std::int64_t k, candidate* c) {
  constexpr int width = lane_count<V>;
  using Isa = typename isa_of<V>::type;
  std::int64_t n = 0;
  float bound = -__builtin_inff();  // later logits must exceed it
  const auto offer = [&](std::int64_t i) __attribute__((always_inline)) {
    const auto v = static_cast<float>(x[i]);
    if (!(v > bound)) return;
    c[n++] = {key_of(v), static_cast<std::int32_t>(i), 1};
    if (n < 2 * k) return;
    n = select_prefix<Isa>(c, n, k, ~wide_integer{0});
    std::uint32_t least = ~0u;
    for (std::int64_t j = 0; j < n; ++j)
      if (c[j].key < least) least = c[j].key, bound = static_cast<float>(x[c[j].index]);
  };
  std::int64_t i = 0;
  for (; i + width <= columns; i += width)
    if (any_lane(load_as<V>(x + i) > V(bound)))
      for (int j = 0; j < width; ++j) offer(i + j);
  for (; i < columns; ++i) offer(i);
  return n > k ? select_prefix<Isa>(c, n, k, ~wide_integer{0}) : n;
}

}  // namespace hence::inline v0::detail
