/// \file
/// Where a prefix of an order ends, by a block and without sorting: digits of 8 bits from the top,
/// a histogram of counts and weights for each.
///
/// Weights are integers, so the result depends neither on the order of additions nor on the launch.
/// Shared memory: 5 KiB. A pass reads all elements once; what does not share the digits found so
/// far is not weighed.
#pragma once

#include <hence/cuda/warp.cuh>
#include <hence/logits/sample_row.hpp>

namespace hence::inline v0::cuda::detail {

using hence::detail::wide_integer;

/// The element that a prefix ends with: the first with which its weights sum to what is wanted.
struct prefix_place {
  std::uint64_t rank;  ///< of it; all ones where the prefix is everything
  wide_integer left;   ///< what is wanted of the elements of this rank
  std::int64_t ties;   ///< how many there are
  wide_integer total;  ///< the weight of everything
};

/// Where the warps of a block meet.
struct select_scratch {
  std::uint32_t count[256];
  unsigned long long low[256], high[256];  // sums of the weights' low 32 bits, and of the rest
  prefix_place place;
  std::uint64_t digits;
  bool is_found;
};

__device__ __forceinline__ wide_integer shuffled_up(wide_integer x, unsigned by) {
  const auto low = __shfl_up_sync(whole_warp, static_cast<unsigned long long>(x), by);
  const auto high = __shfl_up_sync(whole_warp, static_cast<unsigned long long>(x >> 64), by);
  return static_cast<wide_integer>(high) << 64 | low;
}

/// By the first warp: the bin in which the prefix ends, and what is left to find there.
/// \param end_of makes what is wanted from the total weight, in the first pass.
template <class End>
__device__ __forceinline__ void find_bin(select_scratch& s, bool is_first, const End& end_of) {
  const auto weight_of = [&](int bin) {
    return (static_cast<wide_integer>(s.high[bin]) << 32) + s.low[bin];
  };
  wide_integer own = 0;
  // Each lane begins at another of its 8 bins, so that lanes do not meet in a bank of shared
  // memory.
  const int turn = lane_id() / 2 + lane_id() / 16;
  for (int k = 0; k < 8; ++k) own += weight_of(lane_id() * 8 + (k + turn) % 8);
  wide_integer sum = own;
#pragma unroll
  for (unsigned by = 1; by < 32; by *= 2) {
    const wide_integer w = shuffled_up(sum, by);
    if (lane_id() >= static_cast<int>(by)) sum += w;
  }
  if (is_first && lane_id() == 31) s.place.total = sum, s.place.left = end_of(sum);
  __syncwarp();
  const wide_integer end = s.place.left;
  __syncwarp();
  const unsigned found = __ballot_sync(whole_warp, sum >= end);
  if (lane_id() == 0) s.is_found = found != 0;
  if (found == 0 || lane_id() != __ffs(static_cast<int>(found)) - 1) return;
  sum -= own;
  int bin = lane_id() * 8;
  while (sum + weight_of(bin) < end) sum += weight_of(bin++);
  s.place.left = end - sum;
  s.place.ties = s.count[bin];
  s.digits = s.digits << 8 | static_cast<unsigned>(bin);
}

/// The prefix's end. All threads call; all get it.
/// \param bits of a rank, a multiple of 8.
/// \param visit calls its argument f(rank, weigh) for this thread's share of the elements, each
/// once;
///   weigh() gives an element's weight, below 2^57. It is told how many digits are known, so that
///   it may leave out others: visit(digits, shift, f), the elements whose rank >> shift is
///   `digits`.
template <class Visit, class End>
__device__ __forceinline__ prefix_place select_prefix_end(select_scratch& s, int bits,
                                                          const Visit& visit, const End& end_of) {
  __syncthreads();  // the last result has been read
  if (threadIdx.x == 0) s.digits = 0;
#pragma unroll 1
  for (int shift = bits - 8; shift >= 0; shift -= 8) {
    for (unsigned b = threadIdx.x; b < 256; b += blockDim.x)
      s.count[b] = 0, s.low[b] = s.high[b] = 0;
    __syncthreads();
    const bool is_first = shift == bits - 8;
    const std::uint64_t digits = s.digits;
    const auto add = [&](std::uint64_t rank, const auto& weigh) {
      if (!is_first && rank >> (shift + 8) != digits) return;
      const auto bin = static_cast<unsigned>(rank >> shift & 0xff);
      const std::uint64_t weight = weigh();
      atomicAdd(&s.count[bin], 1u);
      atomicAdd(&s.low[bin], static_cast<unsigned long long>(weight & 0xffffffffu));
      atomicAdd(&s.high[bin], static_cast<unsigned long long>(weight >> 32));
    };
    visit(digits, is_first ? 63 : shift + 8, add);
    __syncthreads();
    if (warp_id() == 0) find_bin(s, is_first, end_of);
    __syncthreads();
    if (!s.is_found) return {~std::uint64_t{0}, 0, 0, s.place.total};
  }
  prefix_place out = s.place;
  out.rank = s.digits;
  return out;
}

}  // namespace hence::inline v0::cuda::detail
