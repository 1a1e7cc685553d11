/// \file
/// `gemm::ordered`: the matrix product whose bits depend on its operands alone.
///
/// Each element of C is one chain of fused multiply-adds in the order of k, begun at 0 or at what C
/// holds: c = fma(a[i, k-1], b[k-1, j], ... fma(a[i, 0], b[0, j], c)). So the tile sizes, the
/// register width, a split of m, n or k over calls, threads or machines leave no trace. fp32; bf16
/// and f16 operands widen exactly.
#pragma once

#include <hence/core/gemm/fetch.hpp>
#include <hence/core/gemm/panel.hpp>
#include <hence/core/gemm/product.hpp>

namespace hence::inline v0 {

namespace detail {

/// Sizes of the tiles: a register tile of rows x vectors accumulators, and blocks for the caches.
template <class Isa> struct gemm_tiles {
  static constexpr int rows = register_bytes<Isa> == 64 ? 8 : 4;
  static constexpr int vectors = 3;
  static constexpr int columns = vectors * register_bytes<Isa> / 4;
  static constexpr int depth = 1024;  // k per block, at most
  static constexpr int packed_a =
      (register_bytes<Isa> == 64 ? 256 : 128) * 1024;  // floats: second-level cache
};

/// C[R..., Vectors registers] = chain over k of the panels a [k][Rows] and b [k][columns].
template <class V, int Vectors, int Rows, int... R>
HENCE_FN void ordered_tile(const float* a, const float* b, std::int64_t depth, float* c,
                           std::int64_t stride, bool begins, fetches_of_tile& ahead,
                           std::integer_sequence<int, R...>) {
  constexpr int lanes = lane_count<V>;
  const auto load = [&](std::int64_t i, int v) __attribute__((always_inline)) {
    return begins || v >= Vectors ? V(0.0f) : V::load(c + i * stride + v * lanes);
  };
  constexpr auto count = sizeof...(R);
  V x[count] = {load(R, 0)...}, y[count] = {load(R, 1)...}, z[count] = {load(R, 2)...};
  for (std::int64_t left = depth; left > 0; left -= fetches_of_tile::columns) {
    ahead.step();
    const std::int64_t columns = left < fetches_of_tile::columns ? left : fetches_of_tile::columns;
#pragma GCC unroll 4  // worth a twentieth
    for (std::int64_t k = 0; k < columns; ++k, a += Rows, b += 3 * lanes) {
      const V p = V::load(b), q = V::load(b + lanes), r = V::load(b + 2 * lanes);
      (
          [&](const V s) __attribute__((always_inline)) {
            x[R] = fma(s, p, x[R]);
            if constexpr (Vectors > 1) y[R] = fma(s, q, y[R]);
            if constexpr (Vectors > 2) z[R] = fma(s, r, z[R]);
          }(V(a[R])),
          ...);
    }
  }
  (x[R].store(c + R * stride), ...);
  if constexpr (Vectors > 1) (y[R].store(c + R * stride + lanes), ...);
  if constexpr (Vectors > 2) (z[R].store(c + R * stride + 2 * lanes), ...);
}

/// A tile of m rows and n columns, which may be fewer than those of the panels.
template <class Isa, int Vectors, int Height>
HENCE_FN void ordered_part(const float* a, const float* b, std::int64_t depth, int m, int n,
                           float* c, std::int64_t stride, bool begins, fetches_of_tile& ahead) {
  using V = pack<float, Isa>;
  using tiles = gemm_tiles<Isa>;
  constexpr auto each_row = std::make_integer_sequence<int, Height>();
  constexpr int columns = Vectors * lane_count<V>;
  if (m == Height && n == columns)
    return ordered_tile<V, Vectors, tiles::rows>(a, b, depth, c, stride, begins, ahead, each_row);
  alignas(64) float edge[static_cast<unsigned>(Height * columns)] = {};
  for (int r = 0; r < m && !begins; ++r)
    for (int s = 0; s < n; ++s) edge[r * columns + s] = c[r * stride + s];
  ordered_tile<V, Vectors, tiles::rows>(a, b, depth, edge, columns, begins, ahead, each_row);
  for (int r = 0; r < m; ++r)
    for (int s = 0; s < n; ++s) c[r * stride + s] = edge[r * columns + s];
}

/// Packed rows of A times one panel of B, n columns of C.
template <class Isa>
[[gnu::noinline]] void ordered_rows(const float* a, const float* b, std::int64_t depth, int rows,
                                    int n, float* c, std::int64_t stride, bool begins,
                                    const line_walk& next, int right) {
  using tiles = gemm_tiles<Isa>;
  constexpr int lanes = tiles::columns / tiles::vectors;
  const std::int64_t steps = fetches_of_tile::steps(depth);
  fetches_of_tile ahead{{next, steps * ((rows + tiles::rows - 1) / tiles::rows)}, {}};
  for (int i = 0; i < rows; i += tiles::rows) {
    const float* at = a + i * depth;
    float* ct = c + i * stride;
    const auto height = [&](int from) {
      return rows - from < tiles::rows ? rows - from : tiles::rows;
    };
    const int m = height(i), below = i + tiles::rows;
    ahead.second = {below < rows ? line_walk(c, below * stride, stride, 1, height(below), n)
                                 : line_walk(c, n, stride, 1, height(0), right),
                    steps};
    const auto part =
        [&]<int Vectors>(std::integral_constant<int, Vectors>) __attribute__((always_inline)) {
          constexpr int half = tiles::rows / 2;
          if (m > half)
            ordered_part<Isa, Vectors, tiles::rows>(at, b, depth, m, n, ct, stride, begins, ahead);
          else
            ordered_part<Isa, Vectors, half>(at, b, depth, m, n, ct, stride, begins, ahead);
        };
    if (n > 2 * lanes)
      part(std::integral_constant<int, 3>());
    else if (n > lanes)
      part(std::integral_constant<int, 2>());
    else
      part(std::integral_constant<int, 1>());
  }
}

}  // namespace detail

namespace gemm {

/// See the top of the file. \tparam Isa as in `pack`.
template <class Isa = native_isa> struct ordered_on {
  using tiles = detail::gemm_tiles<Isa>;  ///< the register tiles of this instruction set
  static constexpr std::int64_t scratch_floats =
      tiles::packed_a + std::int64_t{tiles::depth} * tiles::columns;

  /// \param a `[m, k]`, \param b `[k, n]`, of float, bf16 or f16 and any strides.
  /// \param c `[m, n]`, columns contiguous, apart from a and b.
  /// \param u whether chains begin at 0 or at what c holds.
  /// \param scratch `scratch_floats` floats, 64-byte aligned.
  template <class A, class B>
  void operator()(view<A, 2> a, view<B, 2> b, view<float, 2> c, update u, float* scratch) const {
    share<1>(a, {b}, {c}, u, scratch, {});
  }

  /// Products of one A, which is packed once: c[i] = a b[i], or += a b[i].
  /// \param a, u, scratch as above. \param b, c N of each.
  /// \param then what is read after them, as `begin_of` the next product's B: it is fetched while
  /// the last panel is multiplied.
  template <int N, class A, class B>
  void share(view<A, 2> a, const view<B, 2> (&b)[static_cast<unsigned>(N)],
             const view<float, 2> (&c)[static_cast<unsigned>(N)], update u, float* scratch,
             const detail::line_walk& then) const {
    for (int q = 0; q < N; ++q)
      detail::check_product(a.extent, b[q].extent, c[q].extent, c[q].stride[1]);
    const std::int64_t m = a.extent[0], depth = a.extent[1];
    float *packed_a = scratch, *packed_b = scratch + tiles::packed_a;
    for (int q = 0; q < N && depth == 0 && u == update::overwrite; ++q)
      for (std::int64_t i = 0; i < m; ++i)
        for (std::int64_t j = 0; j < c[q].extent[1]; ++j) c[q](i, j) = 0;
    const int part = depth_of_part(depth);
    const std::int64_t high = even_part(
        m, tiles::packed_a / (part + (part == 0)) / tiles::rows * tiles::rows, tiles::rows);
    for (std::int64_t i = 0; i < m; i += high) {
      const int rows = smaller(m - i, static_cast<int>(high));
      for (std::int64_t k = 0; k < depth; k += part) {
        const int deep = smaller(depth - k, part);
        detail::pack_rows<tiles::rows, Isa>(a.data + i * a.stride[0] + k * a.stride[1], a.stride[0],
                                            a.stride[1], rows, deep, packed_a,
                                            panel(b[0], k, deep, 0));
        for (int q = 0; q < N; ++q) {
          const bool is_last = q + 1 == N;
          panels(packed_a, b[q], c[q], i, rows, k, deep, k == 0 && u == update::overwrite, packed_b,
                 !is_last                           ? panel(b[q + !is_last], k, deep, 0)
                 : i + rows < m || k + deep < depth ? detail::line_walk()
                                                    : then);
        }
      }
    }
  }
  /// What a product reads of its B first.
  template <class B> static detail::line_walk begin_of(const view<B, 2>& b) {
    return panel(b, 0, depth_of_part(b.extent[0]), 0);
  }

 private:
  /// Rows [i, i + rows) and columns [k, k + deep) of A, packed, times B.
  template <class B>
  static void panels(const float* packed_a, const view<B, 2>& b, const view<float, 2>& c,
                     std::int64_t i, int rows, std::int64_t k, int deep, bool begins,
                     float* packed_b, const detail::line_walk& then) {
    const std::int64_t n = c.extent[1];
    detail::fetches_of_panel nothing{{}, {}};
    for (std::int64_t j = 0, columns; j < n; j += columns) {
      columns = panel_columns(n - j);
      detail::pack_panel<tiles::columns, Isa>(b.data + k * b.stride[0] + j * b.stride[1],
                                              b.stride[1], b.stride[0], static_cast<int>(columns),
                                              deep, packed_b, nothing);
      detail::ordered_rows<Isa>(packed_a, packed_b, deep, rows, static_cast<int>(columns),
                                c.data + i * c.stride[0] + j, c.stride[0], begins,
                                j + columns < n ? panel(b, k, deep, j + columns) : then,
                                panel_columns(n - j - columns));
    }
  }
  /// The lines of B's panel from column j on.
  template <class B>
  static HENCE_FN detail::line_walk panel(const view<B, 2>& b, std::int64_t k, int deep,
                                          std::int64_t j) {
    return detail::line_walk(b.data, k * b.stride[0] + j * b.stride[1], b.stride[1], b.stride[0],
                             panel_columns(b.extent[1] - j), deep);
  }
  static HENCE_FN int depth_of_part(std::int64_t depth) {
    return static_cast<int>(even_part(depth, tiles::depth, 1));
  }
  /// n in about equal parts of at most `most`, multiples of `unit`: how long they are.
  static HENCE_FN std::int64_t even_part(std::int64_t n, std::int64_t most, std::int64_t unit) {
    const std::int64_t parts = (n + most - 1) / most;
    const std::int64_t each = parts > 1 ? (n + parts - 1) / parts : n;
    return (each + unit - 1) / unit * unit;
  }
  /// Columns of the next panel of n that are left: no panel of one register behind a full one,
  /// whose chains are too few to hide the latency of the multiply-add.
  static HENCE_FN int panel_columns(std::int64_t n) {
    constexpr int lanes = tiles::columns / tiles::vectors;
    const int fits = smaller(n, tiles::columns);
    return n > tiles::columns && n <= tiles::columns + lanes ? 2 * lanes : fits;
  }
  static HENCE_FN int smaller(std::int64_t a, int b) { return a < b ? static_cast<int>(a) : b; }
};
/// The one for the instruction set of this translation unit.
using ordered = ordered_on<>;

}  // namespace gemm

}  // namespace hence::inline v0
