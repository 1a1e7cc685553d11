/// \file
/// Loops along one group's rewards with packs, and the turn from one group per register to one group per
/// lane. The sums are those of advantage_sums.hpp, in lanes.
#pragma once

#include <hence/policy/advantage_sums.hpp>

#include <utility>  // integer_sequence

namespace hence::inline v0::detail {

/// `lanes` floats, widened; and back, each rounded once.
template <class V>
using half_register = typename vector_of_bytes<float, sizeof(typename V::vector) / 2>::type;
template <class V>
HENCE_FN V widen(const float* p) {
  half_register<V> x;
  __builtin_memcpy(&x, p, sizeof(x));
  return {__builtin_convertvector(x, typename V::vector)};
}
template <class V>
HENCE_FN void narrow(V x, float* p) {
  const auto y = __builtin_convertvector(x.v, half_register<V>);
  __builtin_memcpy(p, &y, sizeof(y));
}

/// The first n lanes.
template <class V>
HENCE_FN auto first_lanes(std::int64_t n) {
  typename V::vector index;
  for (int i = 0; i < V::lanes; ++i) index[i] = static_cast<typename V::scalar>(i);
  return V(index) < V(static_cast<typename V::scalar>(n));
}

/// Alternates the lanes of a's and b's lower halves (First = 0) or upper halves: a0 b0 a1 b1 ...
template <int First, class Vector, int... I>
HENCE_FN Vector interleave(Vector a, Vector b, std::integer_sequence<int, I...>) {
  constexpr int lanes = sizeof...(I);
  return __builtin_shufflevector(a, b, (First + I / 2 + I % 2 * lanes)...);
}
/// Reduces `Rows` registers to one: its lane j holds a part of row j, as do lanes j + Rows, ...
template <int Lanes, int Rows, class Vector, class Op>
HENCE_FN Vector fold_rows(Vector* rows, Op op) {
  using index = std::make_integer_sequence<int, Lanes>;
  for (int n = Rows / 2; n > 0; n /= 2)
    for (int i = 0; i < n; ++i)
      rows[i] = op(interleave<0>(rows[i], rows[i + n], index{}),
                   interleave<Lanes / 2>(rows[i], rows[i + n], index{}));
  return rows[0];
}

/// The least and the largest of p[0..n), lane by lane, and a probe that is finite only if they all are (it
/// may overflow where they are). Whole registers are readable.
template <class F>
struct extremes {
  F low, high, probe;
  HENCE_FN void read(const float* p, std::int64_t n) {
    const auto take = [&](F r) {
      low = lesser(r, low);
      high = greater(r, high);
      probe = probe + r;
    };
    std::int64_t i = 0;
    for (; i + F::lanes <= n; i += F::lanes) take(F::load(p + i));
    if (i < n) take(select(first_lanes<F>(n - i), F::load(p + i), F(*p)));
  }
};

/// Calls f(i, keep) for the registers of n values; keep(ints) drops those of lanes past the end.
template <class V, class F>
HENCE_FN void for_registers(std::int64_t n, F&& f) {
  using ints = typename V::ints;
  std::int64_t i = 0;
  for (; i + V::lanes <= n; i += V::lanes) f(i, [](ints u) { return u; });
  if (i < n) f(i, [live = first_lanes<V>(n - i)](ints u) { return ints(u & live.m); });
}

/// x = r + shift; returns the bits of x less those of base, summed up by lanes.
template <class V>
HENCE_FN auto place_lanes(const float* r, double* x, std::int64_t n, V shift, V base) {
  typename V::ints sum{};
  for_registers<V>(n, [&](std::int64_t i, auto keep) {
    const V y = widen<V>(r + i) + shift;
    y.store(x + i);
    sum += keep(bits_of(y) - bits_of(base));
  });
  return sum;
}
/// x becomes e = x - mean; returns the units of e^2, summed up by lanes.
template <class V>
HENCE_FN auto centre_lanes(double* x, std::int64_t n, V mean, V square) {
  typename V::ints sum{};
  for_registers<V>(n, [&](std::int64_t i, auto keep) {
    const V e = V::load(x + i) - mean;
    e.store(x + i);
    sum += keep(bits_of(fma(e, e, square)) - bits_of(square));
  });
  return sum;
}
/// A = baseline(e) factor; writes whole registers.
template <class V, class Rule>
HENCE_FN void write_lanes(const Rule& rule, const double* e, float* out, std::int64_t n,
                          const advantage::moments<V>& g, V factor) {
  for (std::int64_t i = 0; i < n; i += V::lanes)
    narrow(rule.baseline(V::load(e + i), g) * factor, out + i);
}

}  // namespace hence::inline v0::detail
