/// \file
/// Passes of the sampler over a row, a register at a time: the largest logit, the candidates above
/// a bound in the order of their indices, and their integer weights.
#pragma once

#include <hence/core/math_exp.hpp>
#include <hence/logits/sample_row.hpp>

namespace hence::inline v0::detail {

/// One bit for each lane of a comparison.
template <class M> HENCE_FN unsigned lane_bits(const M& mask) {
#if defined(__AVX512F__)
  if constexpr (sizeof(mask.m) == 64) {
    typedef int words __attribute__((vector_size(64)));
    return static_cast<std::uint16_t>(
        __builtin_ia32_cmpd512_mask((words)mask.m, words{}, 1, 0xffff));  // below 0: all ones
  } else
#endif
#if defined(__AVX__)
      if constexpr (sizeof(mask.m) == 32) {
    typedef float words __attribute__((vector_size(32)));
    return static_cast<unsigned>(__builtin_ia32_movmskps256((words)mask.m));
  } else
#endif
  {
    std::int32_t lanes[sizeof(mask.m) / 4];
    __builtin_memcpy(lanes, &mask.m, sizeof(lanes));
    unsigned bits = 0;
    for (unsigned i = 0; i < sizeof(mask.m) / 4; ++i) bits |= (lanes[i] != 0 ? 1u : 0u) << i;
    return bits;
  }
}

/// One bit for each lane of a where a >= b.
template <class V> HENCE_FN unsigned bits_at_least(V a, V b) {
#if defined(__AVX512F__)
  if constexpr (sizeof(a.v) == 64)  // 29: greater or equal, false of NaN
    return static_cast<std::uint16_t>(__builtin_ia32_cmpps512_mask(a.v, b.v, 29, 0xffff, 4));
  else
#endif
    return lane_bits(a >= b);
}

/// Indices of the lanes of a register that begins at a column.
template <class V> HENCE_FN typename V::ints lane_indices(std::int64_t first) {
  typename V::ints lane;
  for (int i = 0; i < lane_count<V>; ++i) lane[i] = i;
  return lane + static_cast<std::int32_t>(first);
}
/// The lanes that `bits` names come first. May write a whole register.
template <class V> HENCE_FN void compress(V x, unsigned bits, float* to) {
#if defined(__AVX512F__)
  if constexpr (sizeof(x.v) == 64)
    V(typename V::vector(
          __builtin_ia32_compresssf512_mask(x.v, x.v, static_cast<unsigned short>(bits))))
        .store(to);
  else
#endif
    for (; bits != 0; bits &= bits - 1) *to++ = x.v[__builtin_ctz(bits)];
}
template <class Ints> HENCE_FN void compress_indices(Ints at, unsigned bits, std::int32_t* to) {
#if defined(__AVX512F__)
  if constexpr (sizeof(at) == 64) {
    typedef int words __attribute__((vector_size(64)));
    const words front =
        __builtin_ia32_compresssi512_mask((words)at, (words)at, static_cast<unsigned short>(bits));
    __builtin_memcpy(to, &front, sizeof(front));
  } else
#endif
    for (; bits != 0; bits &= bits - 1) *to++ = at[__builtin_ctz(bits)];
}

/// The largest logit, -infinity of none, and whether all are below +infinity and numbers.
struct row_top {
  float top;
  bool is_number;
};
template <class V, class T> row_top top_of(const T* x, std::int64_t columns) {
  constexpr int width = lane_count<V>;
  const auto ahead = reinterpret_cast<std::uintptr_t>(x) + 16384;
  V top[4] = {V(-__builtin_inff()), V(-__builtin_inff()), V(-__builtin_inff()),
              V(-__builtin_inff())};
  auto sound = V(0.0f) == V(0.0f);
  std::int64_t i = 0;
  for (; i + 4 * width <= columns; i += 4 * width) {
    for (int k = 0; k < 4; ++k) {
      __builtin_prefetch(reinterpret_cast<const void*>(
          ahead + static_cast<std::uintptr_t>(i + k * width) * sizeof(T)));
      const V v = load_as<V>(x + i + k * width);
      sound = sound & (v < V(__builtin_inff()));
      top[k] = greater(v, top[k]);
    }
  }
  row_top all{-__builtin_inff(), !any_lane(!sound)};
  float lanes[4 * static_cast<unsigned>(width)];
  for (int k = 0; k < 4; ++k) store_as(lanes + k * width, top[k]);
  for (const float v : lanes) all.top = v > all.top ? v : all.top;
  for (; i < columns; ++i) {
    const auto v = static_cast<float>(x[i]);
    all.is_number &= v < __builtin_inff();
    all.top = v > all.top ? v : all.top;
  }
  return all;
}

/// A number that at most a few more than `count` logits reach and at least `count` do: the count-th
/// largest of maxima of disjoint parts of the row, each of which is a logit of its own.
/// \param room for 16 count candidates. \return -infinity if the row is too short for that.
template <class V, class T>
float bound_of_largest(const T* x, std::int64_t columns, std::int64_t count, candidate* room) {
  constexpr int width = lane_count<V>;
  using Isa = typename isa_of<V>::type;
  std::int64_t groups = 1;
  while (groups * width < 4 * count) groups *= 2;
  const std::int64_t registers = columns / width / groups;  // of one group; the rest is left out
  if (registers < 4) return -__builtin_inff();
  for (std::int64_t g = 0; g < groups; ++g) {
    V top(-__builtin_inff());
    for (std::int64_t r = 0; r < registers; ++r)
      top = greater(load_as<V>(x + (g * registers + r) * width), top);
    float lanes[static_cast<unsigned>(width)];
    store_as(lanes, top);
    for (int j = 0; j < width; ++j)
      room[g * width + j] = {key_of(lanes[j]), static_cast<std::int32_t>(g * width + j), 1};
  }
  const std::int64_t n = select_prefix<Isa>(room, groups * width, count, ~wide_integer{0});
  std::uint32_t least = ~0u;
  for (std::int64_t j = 0; j < n; ++j) least = room[j].key < least ? room[j].key : least;
  return __builtin_bit_cast(float, least >> 31 ? least & 0x7fffffffu : ~least);
}

/// The logits at or above a bound and their indices, in order. Both arrays have room for `columns`
/// numbers and a register more. \param visit is given each register and the bits of those taken.
template <class V, class T, class F>
HENCE_FN std::int64_t gather_from(const T* x, std::int64_t columns, float bound, float* to,
                                  std::int32_t* index, F&& visit) {
  constexpr int width = lane_count<V>;
  std::int64_t n = 0, i = 0;
  const auto ahead = reinterpret_cast<std::uintptr_t>(x) + 16384;
  for (; i + width <= columns; i += width) {
    __builtin_prefetch(
        reinterpret_cast<const void*>(ahead + static_cast<std::uintptr_t>(i) * sizeof(T)));
    const V v = load_as<V>(x + i);
    const unsigned bits = bits_at_least(v, V(bound));
    visit(v, v >= V(bound));
    if (bits == 0) continue;
    compress(v, bits, to + n);
    compress_indices(lane_indices<V>(i), bits, index + n);
    n += __builtin_popcount(bits);
  }
  using N = num<float, typename isa_of<V>::type>;
  for (; i < columns; ++i) {
    const N v = load_as<N>(x + i);
    visit(v, v >= N(bound));
    if (v >= N(bound)) to[n] = v.v, index[n++] = static_cast<std::int32_t>(i);
  }
  return n;
}

/// `sample_weight` of a register of float64's worth of logits.
template <class Isa> struct weigher {
  using D = pack<double, Isa>;
  static constexpr int width = D::lanes;
  typedef std::uint64_t words __attribute__((vector_size(sizeof(typename D::vector))));
  typedef float narrow __attribute__((vector_size(sizeof(typename D::vector) / 2)));
  float top;
  double scale;
  HENCE_FN words operator()(const float* x) const {
    narrow f;
    __builtin_memcpy(&f, x, sizeof(f));
    const D wide(__builtin_convertvector(f, typename D::vector));
    const D z = (wide - D(static_cast<double>(top))) * D(scale);
    const auto counts = z > D(-60.0);
    const D w = wide_exp2(select(counts, z, D(-60.0))) * D(0x1p+56) + D(0.5);
    return (words)(__builtin_convertvector(w.v, typename D::ints) & counts.m);
  }
};

/// Sums the weights of a row; writes them to `to` if it is not null, up to 63 zeros behind them.
/// \param chosen a function of a register of logits: -infinity in place of those left out.
template <class V, class T, class F>
wide_integer weigh_row(const weigher<typename isa_of<V>::type>& weigh, const T* x,
                       std::int64_t columns, std::uint64_t* to, F&& chosen) {
  using weigh_t = weigher<typename isa_of<V>::type>;
  using N = num<float, typename isa_of<V>::type>;
  wide_integer sum = 0;
  float block[64];
  for (std::int64_t i = 0; i < columns; i += 64) {
    if (i + 64 <= columns) {
      for (int j = 0; j < 64; j += lane_count<V>)
        store_as(block + j, V(chosen(load_as<V>(x + i + j))));
    } else {
      for (int j = 0; j < 64; ++j)
        block[j] = i + j < columns ? N(chosen(load_as<N>(x + i + j))).v : -__builtin_inff();
    }
    typename weigh_t::words part{};
    for (int j = 0; j < 64; j += weigh_t::width) {
      const typename weigh_t::words w = weigh(block + j);
      if (to != nullptr) __builtin_memcpy(to + i + j, &w, sizeof(w));
      part += w;
    }
    for (int j = 0; j < weigh_t::width; ++j) sum += part[j];
  }
  return sum;
}
/// The place at which the sum of n weights first exceeds `target`, which is below their sum.
template <class Isa>
std::int64_t place_beyond(const std::uint64_t* weights, std::int64_t n, wide_integer target) {
  std::int64_t j = 0;
  for (; j + 64 <= n; j += 64) {
    std::uint64_t part = 0;  // weights are at most 2^56
    for (int k = 0; k < 64; ++k) part += weights[j + k];
    if (part > target) break;
    target -= part;
  }
  for (; weights[j] <= target; ++j) target -= weights[j];
  return j;
}

}  // namespace hence::inline v0::detail
