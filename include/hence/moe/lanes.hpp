/// \file
/// Rows of a matrix to lanes and back: lane l of register e is element e of row l.
///
/// A routing tile works on one row per lane, so that all of its arithmetic, ranking included, is
/// the scalar text. In registers, L rows of L columns turn around in log2(L) steps.
#pragma once

#include <hence/moe/score.hpp>

#include <cstring>
#include <utility>  // index_sequence

namespace hence::inline v0::detail {

#if !defined(__CUDACC__)  // nvcc has no vectors, see execute.hpp

/// One step: exchanges the two off-diagonal blocks of H x H in each 2 H x 2 H block.
template <int H, class Vector, int... I>
HENCE_FN void exchange(Vector& a, Vector& b, std::integer_sequence<int, I...>) {
  constexpr int L = sizeof...(I);
  const Vector x = a, y = b;
  a = __builtin_shufflevector(x, y, ((I & H) ? L + I - H : I)...);
  b = __builtin_shufflevector(x, y, ((I & H) ? L + I : I + H)...);
}
template <int H, class Vector, class Lanes, int... P>
HENCE_FN void exchange_all(Vector* r, Lanes lanes, std::integer_sequence<int, P...>) {
  // pair p: its bits below H stay, those above move up by one
  (exchange<H>(r[(P & (H - 1)) | ((P & ~(H - 1)) << 1)],
               r[((P & (H - 1)) | ((P & ~(H - 1)) << 1)) + H], lanes),
   ...);
}
/// r[i] lane j and r[j] lane i change places.
template <int L, int H = L / 2, class Vector> HENCE_FN void transpose(Vector* r) {
  if constexpr (H > 0) {
    exchange_all<H>(r, std::make_integer_sequence<int, L>(),
                    std::make_integer_sequence<int, L / 2>());
    transpose<L, H / 2>(r);
  }
}

#endif

/// out[e L + l] = row[l][e] for e < n. \tparam Z the storage: float, double, bf16 or f16.
template <class V, class Z>
void rows_to_lanes(const Z* const* row, std::int64_t n, typename V::scalar* out) {
  constexpr int L = lane_count<V>;
  std::int64_t e = 0;
#if !defined(__CUDACC__)
  if constexpr (L > 1) {
    for (; e + L <= n; e += L) {
      per_lane<V, typename V::vector> r;
      for (int l = 0; l < L; ++l) r[l] = load_as<V>(row[l] + e).v;
      transpose<L>(r);
      for (int l = 0; l < L; ++l) V(r[l]).store(out + (e + l) * L);
    }
  }
#endif
  for (; e < n; ++e)
    for (int l = 0; l < L; ++l) out[e * L + l] = static_cast<typename V::scalar>(row[l][e]);
}

/// row[l][e] = in[e L + l] for e < n and the first `count` rows.
template <class V>
void lanes_to_rows(const typename V::scalar* in, std::int64_t n, int count,
                   typename V::scalar* const* row) {
  constexpr int L = lane_count<V>;
  std::int64_t e = 0;
#if !defined(__CUDACC__)
  if constexpr (L > 1) {
    for (; e + L <= n; e += L) {
      per_lane<V, typename V::vector> r;
      for (int i = 0; i < L; ++i) r[i] = V::load(in + (e + i) * L).v;
      transpose<L>(r);
      for (int l = 0; l < count; ++l) V(r[l]).store(row[l] + e);
    }
  }
#endif
  for (; e < n; ++e)
    for (int l = 0; l < count; ++l) row[l][e] = in[e * L + l];
}

}  // namespace hence::inline v0::detail
