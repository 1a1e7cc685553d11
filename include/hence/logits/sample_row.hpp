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
/// The descending order of logits: a candidate's rank, smaller ones first.
struct by_logit {
  HENCE_FN std::uint64_t operator()(const candidate& c) const { return 0xffffffffu - c.key; }
};
/// Before in an order, the lower index first among equals.
HENCE_FN constexpr bool precedes(std::uint64_t rank, std::int32_t index, std::uint64_t other_rank,
                                 std::int32_t other_index) {
  return rank < other_rank || (rank == other_rank && index < other_index);
}

/// The share p of a whole: its smallest multiple of 2^-48 of the total that is not below.
HENCE_FN wide_integer share_of(double p, wide_integer total) {
  const auto m = static_cast<std::uint64_t>((num<double>(p) * num<double>(0x1p+48)).v);
  return (static_cast<wide_integer>(m) * total + ((wide_integer{1} << 48) - 1)) >> 48;
}

HENCE_FN constexpr wide_integer at_least_one(wide_integer x) { return x > 0 ? x : 1; }
/// floor(u total), u < 1 to 2^-48: below the total.
HENCE_FN wide_integer share_below(double u, wide_integer total) {
  const auto m = static_cast<std::uint64_t>((num<double>(u) * num<double>(0x1p+48)).v);
  return (static_cast<wide_integer>(m) * total) >> 48;
}
/// The nearest double, as the language's conversion, which a kernel lacks.
HENCE_FN double double_of(wide_integer x) {
  const auto high = static_cast<std::uint64_t>(x >> 64);
  if (high == 0) return static_cast<double>(static_cast<std::uint64_t>(x));
  int shift = 0;  // 64 bits hold the 53 that count, the next and whether more follow
  while (shift < 64 && high >> shift != 0) ++shift;
  const auto rest = static_cast<std::uint64_t>(x) << (64 - shift) >> (64 - shift);
  const auto kept = static_cast<std::uint64_t>(x >> shift) | (rest != 0 ? 1u : 0u);
  const auto power = static_cast<double>(std::uint64_t{1} << (shift - 1));
  return (num<double>(static_cast<double>(kept)) * num<double>(power) * num<double>(2.0)).v;
}
/// floor(a / b), which is below 2^64: by hand, since a kernel lacks it too.
HENCE_FN constexpr std::uint64_t quotient_of(wide_integer a, wide_integer b) {
  wide_integer rest = a >> 64;  // below b
  std::uint64_t q = 0;
  for (std::uint64_t bit = std::uint64_t{1} << 63; bit != 0; bit >>= 1) {
    rest = rest << 1 | ((static_cast<std::uint64_t>(a) & bit) != 0 ? 1u : 0u);
    if (rest >= b) rest -= b, q |= bit;
  }
  return q;
}
/// The log of a token's probability among the kept. \param total the sum of their weights.
template <class N>
HENCE_FN double drawn_logp(float x, float top, double scale, wide_integer total) {
  const N z = (N(static_cast<double>(x)) - N(static_cast<double>(top))) * N(scale);
  return fma(z, N(ln2), -wide_log(N(double_of(total)) * N(0x1p-56))).v;
}

/// 2^56 2^((x - top) scale) to the nearest integer; 2^56 for the largest itself.
template <class Isa> HENCE_FN std::uint64_t sample_weight(float x, float top, double scale) {
  using N = num<double, Isa>;
  const N z = (N(static_cast<double>(x)) - N(static_cast<double>(top))) * N(scale);
  if (!(z > -60.0)) return 0;
  return static_cast<std::uint64_t>((wide_exp2(z) * N(0x1p+56) + N(0.5)).v);
}

/// Moves a prefix of an order to the front: the shortest one with `count` candidates or with
/// weights that sum to `sum` (both at least 1). Returns its length. The front is not sorted.
/// Selection by three-way partition: about 3 n steps on average.
template <class Isa, class Rank = by_logit>
std::int64_t select_prefix(candidate* c, std::int64_t n, std::int64_t count, wide_integer sum,
                           const Rank& rank = {}) {
  const auto before = [&](const candidate& x, const candidate& y) {
    return precedes(rank(x), x.index, rank(y), y.index);
  };
  std::int64_t begin = 0, end = n;  // [0, begin) is kept, [end, n) is not
  wide_integer taken = 0;
  while (end - begin > 1) {
    // the median of three keeps sorted rows from taking n^2 steps
    const candidate &x = c[begin], &y = c[begin + (end - begin) / 2], &z = c[end - 1];
    const candidate pivot = before(x, y) == before(y, z) ? y : before(x, y) == before(z, x) ? x : z;
    const std::uint64_t at = rank(pivot);
    wide_integer ahead = 0;
    std::int64_t i = begin;
    for (std::int64_t j = begin; j < end; ++j)
      if (precedes(rank(c[j]), c[j].index, at, pivot.index)) {
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

/// (top - x) scale in multiples of 2^-48, of a logit whose weight is not 0.
template <class Isa> HENCE_FN std::uint64_t depth_of(float x, float top, double scale) {
  using N = num<double, Isa>;
  const N z = (N(static_cast<double>(top)) - N(static_cast<double>(x))) * N(scale);
  return z < 60.0 ? static_cast<std::uint64_t>((z * N(0x1p+48) + N(0.5)).v)
                  : std::uint64_t{60} << 48;
}
/// The rank of a depth in the order of typical sampling.
HENCE_FN constexpr std::uint64_t distance_of(std::uint64_t depth, std::uint64_t expected) {
  return depth > expected ? depth - expected : expected - depth;
}

/// The order of typical sampling (Meister et al., arXiv:2202.00666, eq. 9): how far -log p is from
/// the entropy, which is how far the logit is from the expected logit, in multiples of 2^-48 of
/// log 2.
template <class Isa, class T> struct by_typicality {
  const T* x;
  float top;
  double scale;
  std::uint64_t expected = 0;

  HENCE_FN std::uint64_t depth(const candidate& c) const {
    return depth_of<Isa>(static_cast<float>(x[c.index]), top, scale);
  }
  /// The mean depth of n candidates: z 2^-z is at most 0.54, so 2^24 terms fit.
  HENCE_FN void expect(const candidate* c, std::int64_t n, wide_integer total) {
    wide_integer sum = 0;
    for (std::int64_t i = 0; i < n; ++i)
      sum += static_cast<wide_integer>(c[i].weight) * depth(c[i]);
    expected = quotient_of(sum, total);
  }
  HENCE_FN std::uint64_t operator()(const candidate& c) const {
    return distance_of(depth(c), expected);
  }
};

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
