/// \file
/// `gemm::ordered`: the matrix product whose bits depend on its operands alone.
///
/// Each element of C is one chain of fused multiply-adds in the order of k, begun at 0 or at what C
/// holds: c = fma(a[i, k-1], b[k-1, j], ... fma(a[i, 0], b[0, j], c)). So the tile sizes, the
/// register width, a split of m, n or k over calls, threads or machines leave no trace. fp32; bf16
/// and f16 operands widen exactly.
#pragma once

#include <hence/core/gemm/product.hpp>
#include <hence/core/load.hpp>

namespace hence::inline v0 {

namespace detail {

/// Sizes of the tiles: a register tile of rows x vectors accumulators, and blocks for the caches.
template <class Isa> struct gemm_tiles {
  static constexpr int rows = register_bytes<Isa> == 64 ? 8 : 4;
  static constexpr int vectors = 3;
  static constexpr int columns = vectors * register_bytes<Isa> / 4;
  static constexpr int depth = 640;                  // k per block, at most
  static constexpr int block_rows = 8 * rows;        // of packed A: second-level cache
  static constexpr int block_columns = 8 * columns;  // of packed B
};

/// to[k stride + i] = from[i along + k], 4 x 4, through registers.
HENCE_FN void turn_four(const float* from, std::int64_t along, float* to, int stride) {
  typedef float four __attribute__((vector_size(16)));
  four r[4];
  for (int j = 0; j < 4; ++j) __builtin_memcpy(&r[j], from + j * along, sizeof(four));
  const four a = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5);
  const four b = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5);
  const four c = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
  const four d = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
  const four t[4] = {
      __builtin_shufflevector(a, b, 0, 1, 4, 5), __builtin_shufflevector(a, b, 2, 3, 6, 7),
      __builtin_shufflevector(c, d, 0, 1, 4, 5), __builtin_shufflevector(c, d, 2, 3, 6, 7)};
  for (int j = 0; j < 4; ++j) __builtin_memcpy(to + j * stride, &t[j], sizeof(four));
}

/// Copies `width` rows of a matrix, [i, k], into a panel [k][Width], zeros where rows are missing.
/// \param along the stride from row to row. \param deep the stride along k.
template <int Width, class Isa, class T>
void pack_panel(const T* from, std::int64_t along, std::int64_t deep, int width, std::int64_t depth,
                float* to) {
  std::int64_t done = 0;
  if constexpr (std::same_as<std::remove_const_t<T>, float>) {
    if (along == 1 && width == Width)
      for (; done < depth; ++done)
        __builtin_memcpy(to + done * Width, from + done * deep, sizeof(float) * Width);
    if (deep == 1) {
      // A cache line of four rows at a time, while the rows of the next panel are on their way.
      const int full = width / 4 * 4;
      for (; done + 16 <= depth; done += 16) {
        for (int i = 0; i < full; i += 4) {
          const float* at = from + i * along + done;
          for (int j = 0; j < 4; ++j)
            __builtin_prefetch(reinterpret_cast<const void*>(
                reinterpret_cast<std::uintptr_t>(at) +
                static_cast<std::uintptr_t>((j + Width) * along) * sizeof(float)));
          for (int k = 0; k < 16; k += 4)
            turn_four(at + k, along, to + (done + k) * Width + i, Width);
        }
        for (int k = 0; full < Width && k < 16; ++k)
          for (int i = full; i < Width; ++i)
            to[(done + k) * Width + i] = i < width ? from[i * along + done + k] : 0.0f;
      }
    }
  }
  for (std::int64_t k = done; k < depth; ++k)
    for (int i = 0; i < Width; ++i)
      to[k * Width + i] = i < width ? static_cast<float>(from[i * along + k * deep]) : 0.0f;
}

/// C[Rows, Vectors registers] = chain over k of the panels a [k][Rows] and b [k][columns].
template <class V, int Vectors, int Rows, int... R>
HENCE_FN void ordered_tile(const float* a, const float* b, std::int64_t depth, float* c,
                           std::int64_t stride, bool begins, std::integer_sequence<int, R...>) {
  constexpr int lanes = lane_count<V>;
  const auto load = [&](std::int64_t i, int v) __attribute__((always_inline)) {
    return begins || v >= Vectors ? V(0.0f) : V::load(c + i * stride + v * lanes);
  };
  constexpr auto count = static_cast<unsigned>(Rows);
  V x[count] = {load(R, 0)...}, y[count] = {load(R, 1)...}, z[count] = {load(R, 2)...};
  for (std::int64_t k = 0; k < depth; ++k, a += Rows, b += 3 * lanes) {
    const V p = V::load(b), q = V::load(b + lanes), r = V::load(b + 2 * lanes);
    (
        [&](const V s) __attribute__((always_inline)) {
          x[R] = fma(s, p, x[R]);
          if constexpr (Vectors > 1) y[R] = fma(s, q, y[R]);
          if constexpr (Vectors > 2) z[R] = fma(s, r, z[R]);
        }(V(a[R])),
        ...);
  }
  (x[R].store(c + R * stride), ...);
  if constexpr (Vectors > 1) (y[R].store(c + R * stride + lanes), ...);
  if constexpr (Vectors > 2) (z[R].store(c + R * stride + 2 * lanes), ...);
}

/// A tile of m rows and n columns, which may be fewer than those of the panels.
template <class Isa, int Vectors>
HENCE_FN void ordered_part(const float* a, const float* b, std::int64_t depth, int m, int n,
                           float* c, std::int64_t stride, bool begins) {
  using V = pack<float, Isa>;
  using tiles = gemm_tiles<Isa>;
  constexpr auto each_row = std::make_integer_sequence<int, tiles::rows>();
  constexpr int columns = Vectors * lane_count<V>;
  if (m == tiles::rows && n == columns)
    return ordered_tile<V, Vectors, tiles::rows>(a, b, depth, c, stride, begins, each_row);
  alignas(64) float edge[tiles::rows * columns] = {};
  for (int r = 0; r < m && !begins; ++r)
    for (int s = 0; s < n; ++s) edge[r * columns + s] = c[r * stride + s];
  ordered_tile<V, Vectors, tiles::rows>(a, b, depth, edge, columns, begins, each_row);
  for (int r = 0; r < m; ++r)
    for (int s = 0; s < n; ++s) c[r * stride + s] = edge[r * columns + s];
}

/// One block of packed A times one of packed B.
template <class Isa>
[[gnu::noinline]] void ordered_block(const float* a, const float* b, std::int64_t depth, int rows,
                                     int columns, float* c, std::int64_t stride, bool begins) {
  using tiles = gemm_tiles<Isa>;
  constexpr int lanes = tiles::columns / tiles::vectors;
  for (int j = 0; j < columns; j += tiles::columns) {
    const int n = columns - j < tiles::columns ? columns - j : tiles::columns;
    for (int i = 0; i < rows; i += tiles::rows) {
      const float *at = a + i * depth, *bt = b + j * depth;
      float* ct = c + i * stride + j;
      const int m = rows - i < tiles::rows ? rows - i : tiles::rows;
      if (n > 2 * lanes)
        ordered_part<Isa, 3>(at, bt, depth, m, n, ct, stride, begins);
      else if (n > lanes)
        ordered_part<Isa, 2>(at, bt, depth, m, n, ct, stride, begins);
      else
        ordered_part<Isa, 1>(at, bt, depth, m, n, ct, stride, begins);
    }
  }
}

}  // namespace detail

namespace gemm {

/// See the top of the file. \tparam Isa as in `pack`.
template <class Isa = native_isa> struct ordered_on {
  using tiles = detail::gemm_tiles<Isa>;  ///< the register tiles of this instruction set
  static constexpr std::int64_t scratch_floats =
      std::int64_t{tiles::depth} * (tiles::block_rows + tiles::block_columns);

  /// \param a `[m, k]`, \param b `[k, n]`, of float, bf16 or f16 and any strides.
  /// \param c `[m, n]`, columns contiguous, apart from a and b.
  /// \param u whether chains begin at 0 or at what c holds.
  /// \param scratch `scratch_floats` floats, 64-byte aligned.
  template <class A, class B>
  void operator()(view<A, 2> a, view<B, 2> b, view<float, 2> c, update u, float* scratch) const {
    detail::check_product(a.extent, b.extent, c.extent, c.stride[1]);
    const std::int64_t m = c.extent[0], n = c.extent[1], depth = a.extent[1];
    float *packed_a = scratch, *packed_b = scratch + tiles::depth * tiles::block_rows;
    if (depth == 0 && u == update::overwrite)
      for (std::int64_t i = 0; i < m; ++i)
        for (std::int64_t j = 0; j < n; ++j) c(i, j) = 0;
    const std::int64_t parts = (depth + tiles::depth - 1) / tiles::depth;  // of k, about equal
    const std::int64_t part = parts > 1 ? (depth + parts - 1) / parts : depth;
    for (std::int64_t j = 0; j < n; j += tiles::block_columns) {
      const int columns = smaller(n - j, tiles::block_columns);
      for (std::int64_t k = 0; k < depth; k += part) {
        const int deep = smaller(depth - k, static_cast<int>(part));
        const bool begins = k == 0 && u == update::overwrite;
        for (int s = 0; s < columns; s += tiles::columns)
          detail::pack_panel<tiles::columns, Isa>(
              b.data + k * b.stride[0] + (j + s) * b.stride[1], b.stride[1], b.stride[0],
              smaller(columns - s, tiles::columns), deep, packed_b + s * deep);
        for (std::int64_t i = 0; i < m; i += tiles::block_rows) {
          const int rows = smaller(m - i, tiles::block_rows);
          for (int r = 0; r < rows; r += tiles::rows)
            detail::pack_panel<tiles::rows, Isa>(
                a.data + (i + r) * a.stride[0] + k * a.stride[1], a.stride[0], a.stride[1],
                smaller(rows - r, tiles::rows), deep, packed_a + r * deep);
          detail::ordered_block<Isa>(packed_a, packed_b, deep, rows, columns,
                                     c.data + i * c.stride[0] + j, c.stride[0], begins);
        }
      }
    }
  }

 private:
  static HENCE_FN int smaller(std::int64_t a, int b) { return a < b ? static_cast<int>(a) : b; }
};
/// The one for the instruction set of this translation unit.
using ordered = ordered_on<>;

}  // namespace gemm

}  // namespace hence::inline v0
