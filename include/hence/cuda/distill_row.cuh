/// \file
/// What the distillation kernels share: a token's softmaxes, what its gradient is made of, and sums
/// over columns in the CPU's order.
///
/// Terms are added by column modulo 16, each of those sums one column after the other
/// (logits/distill_rows.hpp). A block makes the terms of a tile of columns into shared memory; half
/// the lanes of its first warp add the values and half the slopes, while the other warps make the
/// next tile's.
#pragma once

#include <hence/cuda/token_logprob.cuh>
#include <hence/logits/distill_rows.hpp>

namespace hence::inline v0::cuda::detail {

using distribution = hence::detail::row_distribution<float>;

constexpr int distill_tile = 1024, chain_count = 16;

/// What the kernels of a call leave each other, a token each.
struct distill_plan {
  distribution of[2];  // student, teacher; not of a dead token
  float slope;         // the sum of phi; with a top k: phi of the rest less that
  float rest_slope, weight;
  float fill;  // of a gradient that is one number
  int is_filled;

  __device__ __forceinline__ void fill_with(float x) { fill = x, is_filled = 1; }
};

/// Ends a token whose divergence and gradient are one number: a dead one, or one that has none.
__device__ __forceinline__ void fill_token(distill_plan& plan, const distill_results<float>& out,
                                           std::int64_t t, float x) {
  if (threadIdx.x != 0) return;
  plan.fill_with(x);
  if (out.per_token.present()) out.per_token[t] = x;
}
/// Its gradient's piece. All threads.
__device__ __forceinline__ void fill_piece(float* gradient, std::int64_t begin, std::int64_t end,
                                           float x) {
  for (std::int64_t i = begin + threadIdx.x; i < end; i += softmax_threads) gradient[i] = x;
}

/// Where the terms of two tiles meet. No two lanes that read together meet in a bank.
struct distill_scratch {
  float value[2][distill_tile], apart[chain_count], slope[2][distill_tile];
};

/// Two sums over a row's columns, as `column_sum`.
class block_column_sums {
 public:
  __device__ __forceinline__ explicit block_column_sums(distill_scratch& shared)
      : shared_(shared) {}

  __device__ __forceinline__ void clear() { chain_ = 0; }
  /// Adds the next `count` columns, at most a tile: term(c, value, slope) for each, all threads.
  template <class F> __device__ __forceinline__ void add(int count, F&& term) {
    float* const value = shared_.value[turn_];
    float* const slope = shared_.slope[turn_];
#pragma unroll 1
    for (int c = static_cast<int>(threadIdx.x); c < count; c += softmax_threads)
      term(c, value[c], slope[c]);
    __syncthreads();
    turn_ ^= 1;
    if (warp_id() != 0) return;
    const float* const mine = lane_id() < chain_count ? value : slope;
#pragma unroll 4
    for (int c = lane_id() % chain_count; c < count; c += chain_count)
      add_one(static_cast<double>(mine[c]));
  }
  __device__ __forceinline__ void add_one(double x) {
    chain_ = (num<double>(chain_) + num<double>(x)).v;
  }
  /// In the first warp, all lanes: the sum of the values and of the slopes.
  __device__ __forceinline__ void totals(double& value, double& slope) const {
    num<double> a = chain_;
#pragma unroll
    for (unsigned by = chain_count / 2; by >= 1; by /= 2)
      a = a + num<double>(__shfl_down_sync(whole_warp, a.v, by));
    value = __shfl_sync(whole_warp, a.v, 0), slope = __shfl_sync(whole_warp, a.v, chain_count);
  }

 private:
  distill_scratch& shared_;
  double chain_ = 0;
  int turn_ = 0;
};

/// The softmaxes of one or both logits of a token. \tparam T their storage.
template <class T> struct softmaxes_call {
  token_numbers numbers;
  view<const T, 2> logits[2];
  int first, count;  // of student and teacher
  view<const std::uint8_t> mask;
  distill_plan* plans;
};
__device__ __forceinline__ bool is_dead(const view<const std::uint8_t>& mask, std::int64_t t) {
  return mask.present() && mask[t] == 0;
}

/// \cond kernels: Doxygen 1.9 does not read __launch_bounds__
template <class T>
__global__ void __launch_bounds__(softmax_threads, 4)
    distill_softmax_kernel(softmaxes_call<T> call) {
  __shared__ softmax_scratch shared;
  const auto& student = call.logits[0];
  for (std::int64_t p = blockIdx.x; p < student.extent[0] * call.count; p += gridDim.x) {
    const std::int64_t t = call.count == 2 ? p / 2 : p;
    const bool is_teacher = call.count == 2 ? p % 2 != 0 : call.first != 0;
    if (is_dead(call.mask, t)) continue;
    const T* const row =
        is_teacher ? token_row::row_of(call.logits[1], t) : token_row::row_of(student, t);
    const softmax_state s =
        sum_any_row(device_row<T>{row, student.extent[1], nullptr, 0.0f, 0.0f, 0.0f, false}, -1,
                    call.numbers.scale, shared);
    if (threadIdx.x == 0)
      call.plans[t].of[is_teacher ? 1 : 0] =
          hence::detail::distribution_of<token_row::N>(call.numbers, s);
  }
}
/// \endcond

/// Queues the softmaxes of the student's logits, and of the teacher's where there are any.
template <token_logprob_tuning Tuning, class T, class Q>
void launch_softmaxes(stream s, const distill_rule& rule, const view<const T, 2>& student,
                      const view<const Q, 2>& teacher, const view<const std::uint8_t>& mask,
                      distill_plan* plans, const std::source_location& where) {
  const auto n = hence::detail::numbers_of_distill<float>(rule);
  const auto go = [&]<class U>(const softmaxes_call<U>& call) {
    const std::int64_t blocks = student.extent[0] * call.count;
    launch("distill_softmax_kernel", distill_softmax_kernel<U>, at_most(blocks, Tuning.max_blocks),
           softmax_threads, s, where, call);
  };
  if constexpr (std::same_as<T, Q>) {
    go(softmaxes_call<T>{n, {student, teacher}, 0, teacher.present() ? 2 : 1, mask, plans});
  } else {
    go(softmaxes_call<T>{n, {student, {}}, 0, 1, mask, plans});
    view<const Q, 2> shape;  // whose extents are all that is read
    shape.extent[0] = student.extent[0], shape.extent[1] = student.extent[1];
    go(softmaxes_call<Q>{n, {shape, teacher}, 1, 1, mask, plans});
  }
}

}  // namespace hence::inline v0::cuda::detail
