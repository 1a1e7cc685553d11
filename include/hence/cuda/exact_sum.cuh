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

/// Where the warps of a block meet. One object in shared memory serves any number of sums.
template <unsigned Warps> struct block_sum {
  std::int64_t words[Warps][exact_sum::words_count];
  double rounded;

  /// The sum over the block, in words[0]; only the first warp may read it there. All threads call.
  __device__ __forceinline__ void gather(const warp_sum& sum) {
    __syncthreads();  // the last sum has been read
    if (lane_id() < exact_sum::words_count) words[warp_id()][lane_id()] = sum.word();
    __syncthreads();
    if (threadIdx.x >= exact_sum::words_count) return;
    std::int64_t total = 0;
    for (unsigned w = 0; w < Warps; ++w) total += words[w][threadIdx.x];
    words[0][threadIdx.x] = total;
  }

  /// The sum over the block, rounded once; every thread gets it.
  __device__ __forceinline__ double value(const warp_sum& sum) {
    gather(sum);
    __syncwarp();
    if (threadIdx.x == 0) rounded = exact_sum::value_of(words[0]);
    __syncthreads();
    return rounded;
  }

  /// Adds the block's sum to one in global memory; integers, so the order of blocks leaves no
  /// trace. Returns, in the first warp, whether a term was infinite or NaN.
  __device__ __forceinline__ bool add_to(exact_sum& total, const warp_sum& sum) {
    gather(sum);
    __syncwarp();
    if (threadIdx.x == 0) exact_sum::carry(words[0]);
    __syncwarp();
    if (threadIdx.x >= 32) return false;
    const bool holds_word = lane_id() < exact_sum::words_count;
    const std::int64_t word = holds_word ? words[0][lane_id()] : 0;
    if (word != 0)
      atomicAdd(reinterpret_cast<unsigned long long*>(total.words() + lane_id()),
                static_cast<unsigned long long>(word));
    return __any_sync(whole_warp, holds_word && lane_id() >= exact_sum::limbs && word != 0) != 0;
  }
};

}  // namespace hence::inline v0::cuda::detail
