/// \file
/// `cuda::token_logprob` with a workspace: each row by eight blocks, for fewer rows than a device
/// has room for, as in decoding or with a long context and a small batch.
///
/// Kernels: a block of 128 threads adds an eighth of a row's 1024 lanes (logits/softmax_lanes.hpp),
/// a lane each thread, so the eight threads of a group meet by votes and shuffles; then a block a
/// row adds the lanes' sums and writes the row's numbers.
///
/// Grid: eight blocks a row, striding; then one. With one block a row (cuda/token_logprob.cuh) a
/// device is full from four rows a multiprocessor on: from there on that is the one to call.
///
/// Bytes: the logits once, 1 more each of a keep mask, and the first 4096 columns of a row eight
/// times more, from cache; 8704 a row written and read. A warp reads 32 neighbouring columns at a
/// time, an element a thread. A row that leaves the fast range is read three times more, by one
/// block.
///
/// Determinism: the bits of `cpu` and `reference<float>`, as without a workspace.
///
/// Proof: as for cuda/policy_loss.cuh, see docs/cuda.md. It has not run on a device yet.
#pragma once

#include <hence/cuda/row_memory.cuh>
#include <hence/cuda/token_logprob.cuh>

#include <cstddef>  // byte
#include <source_location>
#include <span>

namespace hence::inline v0::cuda {

namespace detail {

constexpr int split_parts = hence::detail::softmax_lane_count / softmax_threads;

/// A group of 8 lanes on 8 neighbouring threads.
struct group_of_threads {
  static constexpr int packs = 1;

  template <class V> static __device__ __forceinline__ void spread(V (&m)[1]) {
#pragma unroll
    for (int by = group_size / 2; by >= 1; by /= 2)
      m[0] = greater(m[0], V(__shfl_xor_sync(whole_warp, m[0].v, by)));
  }
  /// Asks the warp's other groups too, so that its threads take one branch: both branches give the
  /// same bits.
  static __device__ __forceinline__ bool all(bool x) { return __all_sync(whole_warp, x) != 0; }
};

using leaf_of_lane = hence::detail::softmax_unit<num<float>, group_of_threads>::leaf;

/// Columns first, first + 256, + 512, + 768 as they are summed; absent ones and the label are
/// -infinity.
template <class T>
__device__ __forceinline__ void load_lane(const device_row<T>& row, std::int64_t first,
                                          std::int64_t label, leaf_of_lane& x) {
  using F = num<float>;
  const auto counts = [&](std::int64_t i) { return i < row.columns && i != label; };
  if (!row.is_mapped) {
#pragma unroll
    for (int u = 0; u < 4; ++u)
      x[u][0] = counts(first + 256 * u) ? hence::detail::load_as<F>(row.data + first + 256 * u)
                                        : F(-__builtin_inff());
  } else {  // as in `logit_group::map`, one text for a soft-cap
#pragma unroll
    for (int u = 0; u < 4; ++u) x[u][0] = 0.0f;
#pragma unroll 1
    for (int u = 0; u < 4; ++u) {
      const F last = counts(first + 256 * u) ? row.logit(first + 256 * u) : -__builtin_inff();
      x[0][0] = x[1][0], x[1][0] = x[2][0], x[2][0] = x[3][0], x[3][0] = last;
    }
  }
}

/// \cond kernels: Doxygen 1.9 does not read __launch_bounds__
/// The sums of an eighth of a row's lanes.
template <class T>
__global__ void __launch_bounds__(softmax_threads)
    split_lanes_kernel(token_call<T> call, row_memory* rows) {
  using F = num<float>;
  using unit = hence::detail::softmax_unit<F, group_of_threads>;
  constexpr int leaf_columns = 4 * hence::detail::softmax_lane_count;
  __shared__ unsigned largest_of_warp[softmax_warps];
  const F scale(call.numbers.scale);
  for (std::int64_t p = blockIdx.x; p < call.logits.extent[0] * split_parts; p += gridDim.x) {
    const std::int64_t i = p / split_parts;
    const auto label = call.label(i);
    if (label.is_ignored) continue;
    const auto row = call.row(i);
    leaf_of_lane x;
    float largest = -__builtin_inff();
#pragma unroll 1
    for (int k = 0; k < split_parts; ++k) {  // the first leaf of all lanes
      const int lane = k * softmax_threads + static_cast<int>(threadIdx.x);
      load_lane(row, first_column_of(lane), label.column, x);
#pragma unroll
      for (int u = 0; u < 4; ++u) largest = x[u][0].v > largest ? x[u][0].v : largest;
    }
    float sum = 0, moment = 0;
    float reference =
        hence::detail::first_reference(F(block_maximum(largest, largest_of_warp)), scale).v;
    const int lane =
        static_cast<int>(p % split_parts) * softmax_threads + static_cast<int>(threadIdx.x);
    const unit mine{&sum, &moment, &reference};
#pragma unroll 1
    for (std::int64_t at = first_column_of(lane), begin = 0; begin < row.columns;
         begin += leaf_columns, at += leaf_columns) {
      load_lane(row, at, label.column, x);
      mine.add(x, 4, scale, [](const unit& one, typename unit::maxima& of_leaf, F by) {
        one.move(of_leaf, by);
      });
    }
    rows[i].store_lane(lane, sum, moment, reference);
  }
}

/// The numbers of rows from their lanes.
template <class T>
__global__ void __launch_bounds__(softmax_threads, 4)
    merge_lanes_kernel(token_call<T> call, const row_memory* rows, token_results<float> out,
                       status* conditions) {
  __shared__ softmax_scratch shared;
  status found = status::ok;
  const float scale = call.numbers.scale;
  for (std::int64_t i = blockIdx.x; i < call.logits.extent[0]; i += gridDim.x) {
    const auto label = call.label(i);
    softmax_state s{};
    if (!label.is_ignored) {
      const auto row = call.row(i);
      lane_sums sums;
      rows[i].load(sums);
      s = sums.finish(shared);
      if (threadIdx.x == 0) {
        s.label =
            label.column >= 0 ? static_cast<double>(row.logit(label.column)) : __builtin_nan("");
        shared.again = asks_for_shift(s, label.column, scale);
      }
      __syncthreads();
      if (shared.again) s = sum_any_row(row, label.column, scale, shared);
    }
    if (threadIdx.x == 0) found |= write_row(call, out, i, label, s);
  }
  add_to(*conditions, found);
}
/// \endcond

}  // namespace detail

/// Bytes of workspace, 16-byte aligned, in device memory, of the split token_logprob of so many
/// rows.
constexpr std::int64_t token_logprob_workspace_bytes(std::int64_t rows) {
  return rows * static_cast<std::int64_t>(sizeof(detail::row_memory));
}

/// As the `token_logprob` of cuda/token_logprob.cuh, by eight blocks a row: queues a memset of
/// `conditions` and two kernels. Results and status have the same bits. It pays for few rows of
/// many times 4096 columns; up to 4096 it reads a row nine times.
/// \param s the stream. \param rule, logits, labels, out, conditions, keep, where as there.
/// \param workspace `token_logprob_workspace_bytes(rows)` or more, apart from every array; in use
///   until the stream is past the call. \tparam Tuning the launch; its pieces are not used.
template <token_logprob_tuning Tuning = token_logprob_tuning{}, class T>
void token_logprob(stream s, const softmax_rule& rule, view<T, 2> logits,  // [rows, vocabulary]
                   const token_labels& labels,                             // [rows]
                   const token_results<float>& out,                        // [rows] each
                   std::span<std::byte> workspace, status* conditions,
                   view<const std::uint8_t, 2> keep = {},  // [rows, vocabulary]
                   const std::source_location& where = std::source_location::current()) {
  using namespace hence::detail;
  static_assert(cuda::detail::is_launchable<Tuning>());
  if constexpr (check_logits<reference<float>, T>()) {
    using stored = std::remove_const_t<T>;
    check_token_arrays(rule, logits, labels, out, keep);
    const std::int64_t rows = logits.extent[0];
    cuda::detail::check_workspace(
        workspace, token_logprob_workspace_bytes(rows), 16, conditions,
        {range_of(out.logp), range_of(out.entropy), range_of(out.anchor), range_of(out.log_sum),
         range_of(out.expected_logit), range_of(out.states)},
        {range_of(logits), labels.bytes(), range_of(keep)});
    check(cudaMemsetAsync(conditions, 0, sizeof(status), s), "cudaMemsetAsync", where);
    if (rows == 0) return;
    const auto call = cuda::detail::token_call_of(rule, logits, labels, keep);
    auto* const lanes = reinterpret_cast<cuda::detail::row_memory*>(workspace.data());
    launch("split_lanes_kernel", cuda::detail::split_lanes_kernel<stored>,
           at_most(rows * cuda::detail::split_parts, Tuning.max_blocks),
           cuda::detail::softmax_threads, s, where, call, lanes);
    launch("merge_lanes_kernel", cuda::detail::merge_lanes_kernel<stored>,
           at_most(rows, Tuning.max_blocks), cuda::detail::softmax_threads, s, where, call, lanes,
           out, conditions);
  }
}

}  // namespace hence::inline v0::cuda
