/// \file
/// The sums of a row's 1024 lanes in memory, between kernels or blocks that add to them.
#pragma once

#include <hence/cuda/softmax.cuh>

namespace hence::inline v0::cuda::detail {

__device__ __forceinline__ void load_eight_floats(const float4 (&from)[2][softmax_threads],
                                                  float (&x)[group_size]) {
#pragma unroll
  for (int q = 0; q < 2; ++q) {
    const float4 v = from[q][threadIdx.x];
    x[4 * q] = v.x, x[4 * q + 1] = v.y, x[4 * q + 2] = v.z, x[4 * q + 3] = v.w;
  }
}
__device__ __forceinline__ void store_eight_floats(float4 (&to)[2][softmax_threads],
                                                   const float (&x)[group_size]) {
#pragma unroll
  for (int q = 0; q < 2; ++q)
    to[q][threadIdx.x] = make_float4(x[4 * q], x[4 * q + 1], x[4 * q + 2], x[4 * q + 3]);
}

/// Sums, moments and references of a row's 128 groups of 8 lanes; thread t of a block holds group
/// t. Behind them what only rows in tiles need (cuda/tile_softmax.cuh).
struct alignas(16) row_memory {
  float4 sum[2][softmax_threads], moment[2][softmax_threads];
  float reference[softmax_threads];
  float top[softmax_threads];  // the largest logit that a thread saw; +infinity: also a NaN
  float label;                 // its logit
  float shift;                 // NaN, or the row is to be summed again less this
  float rest[6];               // so that the next row begins with a sector of 32 bytes too

  __device__ __forceinline__ void load(lane_sums& sums) const {
    load_eight_floats(sum, sums.sum), load_eight_floats(moment, sums.moment);
#pragma unroll
    for (int j = 0; j < group_size; ++j) sums.reference[j] = reference[threadIdx.x];
  }
  __device__ __forceinline__ void store(const lane_sums& sums) {
    store_eight_floats(sum, sums.sum), store_eight_floats(moment, sums.moment);
    reference[threadIdx.x] = sums.reference[0];
  }
  /// One lane's sums. \param l of 1024.
  __device__ __forceinline__ void store_lane(int l, float its_sum, float its_moment,
                                             float its_reference) {
    const int group = l / group_size, j = l % group_size;
    reinterpret_cast<float*>(&sum[j / 4][group])[j % 4] = its_sum;
    reinterpret_cast<float*>(&moment[j / 4][group])[j % 4] = its_moment;
    if (j == 0) reference[group] = its_reference;
  }
};
static_assert(sizeof(row_memory) % 32 == 0);

}  // namespace hence::inline v0::cuda::detail
