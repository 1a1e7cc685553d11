/// \file
/// Loops along one group's rewards with packs, and the turn from one group per register to one
/// group per lane. The sums are those of advantage_sums.hpp, in lanes.
#pragma once

#include <hence/policy/advantage_sums.hpp>
#include <hence/policy/advantage_writer.hpp>

#include <utility>  // integer_sequence

namespace hence::inline v0::detail {

/// Vectors with as many lanes as `pack<double, Isa>`.
template <class Isa> struct reward_vectors {
  typedef float floats __attribute__((vector_size(register_bytes<Isa> / 2)));
  typedef std::int64_t ints __attribute__((vector_size(register_bytes<Isa>)));
  typedef std::uint64_t units __attribute__((vector_size(register_bytes<Isa>)));  // wrap
};

/// `lanes` floats, widened.
template <class Isa> HENCE_FN pack<double, Isa> widen(const float* p) {
  typename reward_vectors<Isa>::floats x;
  __builtin_memcpy(&x, p, sizeof(x));
#if defined(__AVX__)
  typename pack<double, Isa>::vector y;  // g++ 12 makes four instructions of this one
  __asm__("vcvtps2pd %1, %0" : "=v"(y) : "vm"(x));
  return {y};
#else
  return {__builtin_convertvector(x, typename pack<double, Isa>::vector)};
#endif
}
/// `lanes` floats, each rounded once.
template <class Isa> HENCE_FN typename reward_vectors<Isa>::floats narrowed(pack<double, Isa> x) {
  return __builtin_convertvector(x.v, typename reward_vectors<Isa>::floats);
}

/// The first n lanes.
template <class V> HENCE_FN auto first_lanes(std::int64_t n) {
  typename V::vector index;
  for (int i = 0; i < V::lanes; ++i) index[i] = static_cast<typename V::scalar>(i);
  return V(index) < V(static_cast<typename V::scalar>(n));
}

/// Lane l from a where bit D of l is 0, else from b; of lane l itself (Flip = 0) or of lane l ^ D
/// (Flip = D).
template <int D, int Flip, class Vector, int... L>
HENCE_FN Vector mingle(Vector a, Vector b, std::integer_sequence<int, L...>) {
  constexpr int lanes = sizeof...(L);
  return __builtin_shufflevector(a, b, ((L ^ Flip) + (L & D ? lanes : 0))...);
}
template <int D, int Flip, class T, class Isa, int... L>
HENCE_FN pack<T, Isa> mingle(pack<T, Isa> a, pack<T, Isa> b, std::integer_sequence<int, L...> l) {
  return {mingle<D, Flip>(a.v, b.v, l)};
}
/// Reduces `Rows` registers to one: its lane j holds a part of row j, as do lanes j + Rows, ...
template <int Lanes, int Rows, class Vector, class Op>
HENCE_FN Vector fold_rows(const Vector* rows, Op op) {
  if constexpr (Rows == 1) {
    return rows[0];
  } else {
    constexpr int half = Rows / 2;
    const std::make_integer_sequence<int, Lanes> all;
    const Vector a = fold_rows<Lanes, half>(rows, op), b = fold_rows<Lanes, half>(rows + half, op);
    return op(mingle<half, 0>(a, b, all), mingle<half, half>(a, b, all));
  }
}

/// Calls f(i, keep) for the registers of n values; keep(units) drops those of lanes past the end.
/// \tparam N n if it is known at compile time and fills whole registers, else 0.
template <class V, int N, class F> HENCE_FN void for_registers(std::int64_t n, F&& f) {
  const auto all = [](auto u) __attribute__((always_inline)) { return u; };
  if constexpr (N == 0) {
    std::int64_t i = 0;
    for (; i + 2 * V::lanes <= n; i += 2 * V::lanes) f(i, all), f(i + V::lanes, all);
    if (i + V::lanes <= n) f(i, all), i += V::lanes;
    if (i < n)
      f(i, [live = first_lanes<V>(n - i)](auto u)
               __attribute__((always_inline)) { return decltype(u)(u & (decltype(u))live.m); });
  } else if constexpr (N > V::lanes) {
    for_registers<V, N - V::lanes>(n, f);
    f(N - V::lanes, all);
  } else {
    f(0, all);
  }
}

/// The least and the largest of p[0..n), lane by lane, and a probe that is finite only if they all
/// are (it may overflow where they are). Whole registers are readable.
template <class F> struct extremes {
  F low, high, probe;
  template <int N = 0> HENCE_FN void read(const float* p, std::int64_t n) {
    for_registers<F, N / F::lanes * F::lanes>(
        n, [&](std::int64_t i, auto keep) __attribute__((always_inline)) {
          using bits = typename F::ints;
          F r = F::load(p + i);
          // past the end: the first reward again
          r = from_bits(r, keep(to_bits(r)) | (to_bits(F(*p)) & ~keep(~bits{})));
          low = lesser(r, low);
          high = greater(r, high);
          probe = probe + r;
        });
  }
};

/// Sums of bits, by lanes, modulo 2^64.
template <class Isa> struct lane_sums {
  typename reward_vectors<Isa>::units x{}, squares{};
};
/// y = (r + shift) - base, and the sums of x = r + shift and of y^2 + square.
template <class Isa, int N = 0>
HENCE_FN lane_sums<Isa> place_lanes(const float* r, double* y, std::int64_t n,
                                    pack<double, Isa> shift, pack<double, Isa> base,
                                    pack<double, Isa> square) {
  using V = pack<double, Isa>;
  using units = typename reward_vectors<Isa>::units;
  lane_sums<Isa> sums;
  for_registers<V, N>(n, [&](std::int64_t i, auto keep) __attribute__((always_inline)) {
    const V x = widen<Isa>(r + i) + shift, z = x - base;
    z.store(y + i);
    sums.x += keep((units)x.v);
    sums.squares += keep((units)fma(z, z, square).v);
  });
  return sums;
}

/// A = c factor, c = centre(r, y - mean). Writes whole registers.
template <class Isa, int N = 0, class Rule>
HENCE_FN void write_lanes(const Rule& rule, const float* r, const double* y, row_place out,
                          std::int64_t n, pack<double, Isa> mean,
                          const advantage::moments<pack<double, Isa>>& g,
                          pack<double, Isa> factor) {
  const auto advantages = [&](std::int64_t i) __attribute__((always_inline)) {
    const auto e = pack<double, Isa>::load(y + i) - mean;
    return narrowed(centre(rule, widen<Isa>(r + i), e, g) * factor);
  };
  const auto store = [&](std::int64_t i, auto) __attribute__((always_inline)) {
    const auto a = advantages(i);
    __builtin_memcpy(out.to + i, &a, sizeof(a));
  };
  const auto stream = [&](std::int64_t i, auto) __attribute__((always_inline)) {
    stream_register(advantages(i), out.to + i);
  };
  if (out.past_caches)
    for_registers<pack<double, Isa>, N>(n, stream);
  else
    for_registers<pack<double, Isa>, N>(n, store);
}

/// Asks for rewards that are read soon, while there is work to do: from `r + ahead` on, n of them.
HENCE_FN void prefetch_rewards(const float* r, std::int64_t n, std::int64_t ahead) {
  const auto from = reinterpret_cast<std::uintptr_t>(r) + static_cast<std::uintptr_t>(ahead) * 4;
  for (std::int64_t i = 0; i < n * 4; i += 64)
    __builtin_prefetch(reinterpret_cast<const void*>(from + static_cast<std::uintptr_t>(i)), 0, 3);
}

}  // namespace hence::inline v0::detail
