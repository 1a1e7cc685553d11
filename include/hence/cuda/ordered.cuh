/// \file
/// `cuda::ordered_product`: the matrix product of `gemm::ordered`, bit for bit.
///
/// Each element of C is one chain of fused multiply-adds in the order of k, begun at 0 or at what C
/// holds, so a block may own any tile of C, but k is never split. SIMT: 256 threads make a tile of
/// 64 x 64, 4 x 4 a thread, from pieces of 16 of k in shared memory. No tensor core adds in an
/// order that a CPU has.
///
/// Bytes: A is read once for every 64 columns of C, B once for every 64 rows; C is written once.
/// Not tuned yet: pieces are not loaded ahead.
///
/// Determinism: the bits depend on the operands alone. A row or a step of k may belong to an
/// ignored token: then it is neither read nor computed.
///
/// Proof: as for cuda/policy_loss.cuh, see docs/cuda.md. It has not run on a device yet.
#pragma once

#include <hence/core/gemm/product.hpp>
#include <hence/core/load.hpp>
#include <hence/cuda/launch.cuh>
#include <hence/cuda/warp.cuh>
#include <hence/logits/token_arrays.hpp>

namespace hence::inline v0::cuda {

namespace detail {

constexpr int product_threads = 256;
constexpr int product_tile = 64;  // rows and columns of C
constexpr int product_depth = 16;
constexpr std::int64_t product_blocks = 65536;

/// Tokens that take no part.
struct ignored_tokens {
  token_labels labels{};
  bool are_ignored = false;  ///< those with a negative label

  HENCE_FN bool operator()(std::int64_t t) const { return are_ignored && labels[t] < 0; }
};

/// A product to be made. \tparam A, B storage: float, bf16, f16.
template <class A, class B> struct product_call {
  view<const A, 2> a;              // [m, k]
  view<const B, 2> b;              // [k, n]
  view<float, 2> c;                // [m, n]
  bool begins;                     // chains begin anew, not at what c holds
  view<const float> bias{};        // [n], where they begin; absent: 0
  ignored_tokens rows{}, steps{};  // of c, of k
  bool zeroes_rows = false;        // ignored rows become 0; else they stay
};

/// Pieces of A and B; a row is padded so that neighbours in k lie in other banks.
struct product_scratch {
  static constexpr int pitch = product_tile + 4;
  alignas(16) float a[product_depth][pitch], b[product_depth][pitch];
  bool row[product_tile], step[2][product_depth];  // which take part; of a piece and the last one
};

/// A piece [16 of k, 64] of a matrix whose element (k, i) lies at data[k along + i across], the
/// neighbours in memory by neighbouring threads. What is absent or ignored is 0.
template <class T, class Reads>
__device__ __forceinline__ void load_piece(const T* data, std::int64_t along, std::int64_t across,
                                           const Reads& reads,
                                           float (&piece)[product_depth][product_scratch::pitch]) {
  const int thread = static_cast<int>(threadIdx.x);
#pragma unroll
  for (int s = 0; s < product_tile * product_depth; s += product_threads) {
    const int at = s + thread;
    const int k = along == 1 ? at % product_depth : at / product_tile;
    const int i = along == 1 ? at / product_depth : at % product_tile;
    piece[k][i] = reads(k, i) ? static_cast<float>(data[k * along + i * across]) : 0.0f;
  }
}

template <class A, class B>
__device__ __forceinline__ void product_of_tile(const product_call<A, B>& call, std::int64_t row,
                                                std::int64_t column, product_scratch& shared) {
  using F = num<float>;
  const std::int64_t below = call.c.extent[0] - row, beside = call.c.extent[1] - column;
  const int rows = below < product_tile ? static_cast<int>(below) : product_tile;
  const int columns = beside < product_tile ? static_cast<int>(beside) : product_tile;
  const int thread = static_cast<int>(threadIdx.x), top = thread / 16 * 4, left = thread % 16 * 4;
  float* const c = call.c.data + row * call.c.stride[0] + column;
  __syncthreads();  // the last tile's rows have been asked for
  if (thread < product_tile) shared.row[thread] = thread < rows && !call.rows(row + thread);
  __syncthreads();
  F sum[4][4];
#pragma unroll
  for (int i = 0; i < 4; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      float first = 0.0f;
      if (shared.row[top + i] && left + j < columns) {
        if (!call.begins)
          first = c[(top + i) * call.c.stride[0] + left + j];
        else if (call.bias.present())
          first = call.bias[column + left + j];
      }
      sum[i][j] = first;
    }
  const std::int64_t depth = call.a.extent[1];
  for (std::int64_t begin = 0; begin < depth; begin += product_depth) {
    const std::int64_t ahead = depth - begin;
    const int steps = ahead < product_depth ? static_cast<int>(ahead) : product_depth;
    bool(&live)[product_depth] = shared.step[begin / product_depth % 2];
    if (thread < product_depth) live[thread] = thread < steps && !call.steps(begin + thread);
    __syncthreads();  // and the last pieces have been read
    load_piece(
        call.a.data + row * call.a.stride[0] + begin * call.a.stride[1], call.a.stride[1],
        call.a.stride[0], [&](int k, int i) { return live[k] && shared.row[i]; }, shared.a);
    load_piece(
        call.b.data + begin * call.b.stride[0] + column * call.b.stride[1], call.b.stride[0],
        call.b.stride[1], [&](int k, int j) { return live[k] && j < columns; }, shared.b);
    __syncthreads();
#pragma unroll 4
    for (int k = 0; k < steps; ++k) {
      if (!live[k]) continue;  // adding 0 would lose the sign of a zero
      const float4 x = *reinterpret_cast<const float4*>(&shared.a[k][top]);
      const float4 y = *reinterpret_cast<const float4*>(&shared.b[k][left]);
      const F p[4] = {x.x, x.y, x.z, x.w}, q[4] = {y.x, y.y, y.z, y.w};
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) sum[i][j] = fma(p[i], q[j], sum[i][j]);
    }
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if (top + i >= rows) break;
    const bool is_live = shared.row[top + i];
    if (!is_live && !call.zeroes_rows) continue;
#pragma unroll
    for (int j = 0; j < 4; ++j)
      if (left + j < columns)
        c[(top + i) * call.c.stride[0] + left + j] = is_live ? sum[i][j].v : 0.0f;
  }
}

/// \cond kernels: Doxygen 1.9 does not read __launch_bounds__
template <class A, class B>
__global__ void __launch_bounds__(product_threads, 2) product_kernel(product_call<A, B> call) {
  __shared__ product_scratch shared;
  const std::int64_t high = (call.c.extent[0] + product_tile - 1) / product_tile;
  const std::int64_t wide = (call.c.extent[1] + product_tile - 1) / product_tile;
  for (std::int64_t t = blockIdx.x; t < high * wide; t += gridDim.x)
    product_of_tile(call, t % high * product_tile, t / high * product_tile, shared);
}
/// \endcond

template <class A, class B>
void launch_product(stream s, const product_call<A, B>& call, const std::source_location& where) {
  const std::int64_t tiles = (call.c.extent[0] + product_tile - 1) / product_tile *
                             ((call.c.extent[1] + product_tile - 1) / product_tile);
  if (tiles > 0)
    launch("product_kernel", product_kernel<A, B>, at_most(tiles, product_blocks), product_threads,
           s, where, call);
}

}  // namespace detail

/// Queues C = A B or C += A B on a stream: one kernel, none where C is empty. Never synchronises,
/// never allocates; capturable in a CUDA graph. Every matrix lies in device memory; only shapes are
/// looked at on the host. Throws `std::invalid_argument` for those and `cuda_error` for CUDA's own.
/// \param s the stream. \param a, b, c, u as for `gemm::ordered`. \param where the caller.
template <class A, class B>
void ordered_product(stream s, view<A, 2> a, view<B, 2> b, view<float, 2> c, update u,
                     const std::source_location& where = std::source_location::current()) {
  using namespace hence::detail;
  using left = std::remove_const_t<A>;
  using right = std::remove_const_t<B>;
  static_assert(stored_logit<left> && stored_logit<right>,
                "hence: cuda::ordered_product multiplies float, hence::bf16 and hence::f16");
  check_product(a.extent, b.extent, c.extent, c.stride[1]);
  if (overlap(range_of(c), range_of(a)) || overlap(range_of(c), range_of(b)))
    refuse(message() << "hence: gemm: C overlaps A or B, expected separate arrays");
  cuda::detail::launch_product(
      s, cuda::detail::product_call<left, right>{a, b, c, u == update::overwrite}, where);
}

}  // namespace hence::inline v0::cuda
