/// \file
/// `exact_sum` in a kernel: a warp adds with integers alone, so any order gives the same bits.
///
/// Registers only: lane k < 16 of a warp holds word k. A step of 32 x N terms costs two redux for
/// the largest magnitude, of the terms and of what is left of them, and two for the sums.
#pragma once

#include <hence/core/sum_lanes.hpp>
#include <hence/cuda/warp.cuh>

namespace hence::inline v0::cuda::detail {

/// One warp's exact sum. All 32 lanes call every member together.
class warp_sum {
 public:
  /// Adds N terms of every lane. A dead lane passes zeros.
  template <unsigned N> __device__ __forceinline__ void add(const float (&x)[N]) {
    using namespace hence::detail;
    static_assert(N <= 8, "hence: more than 8 terms a lane overflow a 32-bit integer sum");
    num<float> rest[N];
#pragma unroll
    for (unsigned i = 0; i < N; ++i) rest[i] = x[i];
    for (;;) {  // a second round only where the terms span more than 2^44
      unsigned largest = 0;
#pragma unroll
      for (unsigned i = 0; i < N; ++i)
        largest = ::max(largest, static_cast<unsigned>(to_bits(abs(rest[i]))));
      largest = __reduce_max_sync(whole_warp, largest);
      if (largest == 0) return;
      const term_splitter splitter(static_cast<std::int32_t>(largest));
      if (!splitter.usable) break;
      std::int32_t coarse = 0, fine = 0;
#pragma unroll
      for (unsigned i = 0; i < N; ++i) {
        const split_term s(rest[i], splitter);
        coarse += s.coarse, fine += s.fine, rest[i] = s.rest;
      }
      word_ += word_of(coarse_parts(__reduce_add_sync(whole_warp, coarse), splitter), lane_id());
      word_ += word_of(fine_parts(__reduce_add_sync(whole_warp, fine), splitter), lane_id());
    }
    // Infinities, NaN and magnitudes from 2^121 or below 2^-80, one by one.
#pragma unroll
    for (unsigned i = 0; i < N; ++i)
      for (unsigned left = __ballot_sync(whole_warp, rest[i].v != 0); left != 0; left &= left - 1)
        add(static_cast<double>(
            __shfl_sync(whole_warp, rest[i].v, __ffs(static_cast<int>(left)) - 1)));
    carry();
  }

  /// Adds one term that every lane holds.
  __device__ __forceinline__ void add(double x) {
    word_ += hence::detail::word_of(exact_sum::parts_of(x), lane_id());
  }

  __device__ __forceinline__ warp_sum& operator+=(const warp_sum& other) {
    word_ += other.word_;
    return *this;
  }

  /// Once per row or 2^20 steps: keeps the words far below 2^63. The value does not change.
  __device__ __forceinline__ void carry() {
    const std::int64_t out = hence::detail::carry_of(word_, lane_id());
    const std::int64_t in = __shfl_up_sync(whole_warp, out, 1);
    word_ += (lane_id() == 0 ? 0 : in) - (out << 32);
  }

  __device__ __forceinline__ std::int64_t word() const { return word_; }

 private:
  std::int64_t word_ = 0;
};

/// Where the warps of a block meet. One object in shared memory serves any number of sums; between
/// add_to and the next one there is a __syncthreads().
template <unsigned Warps> struct block_sum {
  std::int64_t words[Warps][exact_sum::words_count];
  double rounded;

  /// The sum over the block: thread k < 16 gets word k, any other 0. All threads call.
  __device__ __forceinline__ std::int64_t gather(const warp_sum& sum) {
    if (lane_id() < exact_sum::words_count) words[warp_id()][lane_id()] = sum.word();
    __syncthreads();
    std::int64_t total = 0;
    if (threadIdx.x < exact_sum::words_count)
      for (unsigned w = 0; w < Warps; ++w) total += words[w][threadIdx.x];
    return total;
  }

  /// The sum over the block, rounded once; every thread gets it.
  __device__ __forceinline__ double value(const warp_sum& sum) {
    const std::int64_t word = gather(sum);
    if (threadIdx.x < exact_sum::words_count) words[0][threadIdx.x] = word;
    __syncwarp();
    if (threadIdx.x == 0) rounded = exact_sum::value_of(words[0]);
    __syncthreads();
    return rounded;
  }

  /// Adds the block's sum to one in global memory; integers, so the order of blocks leaves no
  /// trace. A block of up to 16 warps adds at most 2^36 to a word. Returns, in the first warp,
  /// whether a term was infinite or NaN.
  __device__ __forceinline__ bool add_to(exact_sum& total, warp_sum sum) {
    sum.carry();
    const std::int64_t word = gather(sum);
    if (word != 0)
      atomicAdd(reinterpret_cast<unsigned long long*>(total.words() + threadIdx.x),
                static_cast<unsigned long long>(word));
    return __any_sync(whole_warp, threadIdx.x >= exact_sum::limbs && word != 0) != 0;
  }
};

}  // namespace hence::inline v0::cuda::detail
