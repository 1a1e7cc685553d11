/// \file
/// What every kernel needs of its warp: who a thread is, floats in the order of integers, how a
/// condition reaches global memory.
#pragma once

#include <hence/core/check.hpp>

#include <cstddef>  // size_t

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
#  error "hence: kernels need sm_80 or newer (with CMake, set CMAKE_CUDA_ARCHITECTURES)"
#endif

namespace hence::inline v0::cuda::detail {

constexpr unsigned whole_warp = 0xffffffffu;

/// This thread's lane and warp; blocks are one-dimensional.
__device__ __forceinline__ int lane_id() { return static_cast<int>(threadIdx.x % 32); }
__device__ __forceinline__ int warp_id() { return static_cast<int>(threadIdx.x / 32); }

/// Order of floats as unsigned integers, for redux; and back. NaN lies beyond the infinities.
__device__ __forceinline__ unsigned ordered_bits(float x) {
  const unsigned bits = __float_as_uint(x);
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}
__device__ __forceinline__ float of_ordered_bits(unsigned bits) {
  return __uint_as_float(bits >> 31 ? bits ^ 0x80000000u : ~bits);
}

/// The largest over the block; every thread gets it. A NaN is not passed in.
template <std::size_t Warps>
__device__ __forceinline__ float block_maximum(float x, unsigned (&largest)[Warps]) {
  const unsigned mine = __reduce_max_sync(whole_warp, ordered_bits(x));
  __syncthreads();  // the last one has been read
  if (lane_id() == 0) largest[warp_id()] = mine;
  __syncthreads();
  unsigned most = largest[0];
#pragma unroll
  for (unsigned w = 1; w < Warps; ++w) most = ::max(most, largest[w]);
  return of_ordered_bits(most);
}

/// Joins what a thread found to a status in global memory.
__device__ __forceinline__ void add_to(status& conditions, status s) {
  if (s != status::ok) atomicOr(reinterpret_cast<unsigned*>(&conditions), static_cast<unsigned>(s));
}

}  // namespace hence::inline v0::cuda::detail
