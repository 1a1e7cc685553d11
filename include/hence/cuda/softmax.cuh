/// \file
/// The canonical sums over a row of logits (logits/softmax_lanes.hpp) by a block: 128 threads, a
/// group of 8 lanes each, whose sums stay in registers.
///
/// A warp reads 256 neighbouring columns at a time, 8 a thread: 16 or 32 bytes where the row begins
/// on a 16-byte boundary, single elements elsewhere. Moves of a reference, terms and the row's end
/// are the CPU's text; the tree of additions over lanes is written here, in the same order.
#pragma once

#include <hence/cuda/device_row.cuh>

namespace hence::inline v0::cuda::detail {

constexpr int softmax_threads = 128;
constexpr int softmax_warps = softmax_threads / 32;
static_assert(softmax_threads * group_size == hence::detail::softmax_lane_count);

/// The first column of a lane (logits/softmax_lanes.hpp); its others are 256 apart, then 4096.
__device__ __forceinline__ std::int64_t first_column_of(int lane) {
  return lane / 256 * 1024 + lane % 256;
}

/// Eight neighbouring columns; absent ones and the label are -infinity.
template <class Row>
__device__ __forceinline__ void load_group(const Row& row, std::int64_t at, std::int64_t label,
                                           num<float> (&x)[group_size]) {
  row.load(at).map(x, [](const auto& one, int) { return one.template load<num<float>>(0); });
  const std::int64_t left = row.columns - at, hole = label - at;
  if (left < group_size || (hole >= 0 && hole < group_size)) {  // few groups ask which column
#pragma unroll
    for (int j = 0; j < group_size; ++j)
      if (j >= left || j == hole) x[j] = -__builtin_inff();
  }
}
/// A leaf of this thread's group.
template <class Row>
__device__ __forceinline__ void load_leaf(const Row& row, std::int64_t first, std::int64_t label,
                                          num<float> (&x)[4][group_size]) {
  if (!row.is_mapped) {
#pragma unroll
    for (int u = 0; u < 4; ++u) load_group(row, first + 256 * u, label, x[u]);
    return;
  }
#pragma unroll
  for (int u = 0; u < 4; ++u)
#pragma unroll
    for (int j = 0; j < group_size; ++j) x[u][j] = 0.0f;
#pragma unroll 1
  for (int u = 0; u < 4; ++u) {  // long code for few rows: it is there once, all move through x[3]
#pragma unroll
    for (int v = 0; v < 3; ++v)
#pragma unroll
      for (int j = 0; j < group_size; ++j) x[v][j] = x[v + 1][j];
    load_group(row, first + 256 * u, label, x[3]);
  }
}

/// Where the warps of a block meet.
struct softmax_scratch {
  float sum[softmax_warps - 1][group_size][32], moment[softmax_warps - 1][group_size][32];
  unsigned largest[softmax_warps];
  bool again;
};

/// Adds 1024 lanes, 8 a thread, in the order of `softmax_lanes::tree`; the first thread gets it.
__device__ __forceinline__ double tree_of(
    const float (&lanes)[group_size], const float (&others)[softmax_warps - 1][group_size][32]) {
  using F = num<float>;
  using D = num<double>;
  const int t = lane_id();
  D b[group_size];
#pragma unroll
  for (int j = 0; j < group_size; ++j) {
    F a = (F(lanes[j]) + F(others[1][j][t])) + (F(others[0][j][t]) + F(others[2][j][t]));
#pragma unroll
    for (unsigned by = 16; by >= 4; by /= 2) a = a + F(__shfl_down_sync(whole_warp, a.v, by));
    b[j] = static_cast<double>(a.v);
#pragma unroll
    for (unsigned by = 2; by >= 1; by /= 2)
      b[j] = b[j] + D(__shfl_down_sync(whole_warp, b[j].v, by));
  }
#pragma unroll
  for (int h = group_size / 2; h >= 1; h /= 2)
#pragma unroll
    for (int j = 0; j < h; ++j) b[j] = b[j] + b[j + h];
  return b[0].v;
}

/// A thread's group of lanes: the sums over the columns so far.
struct lane_sums {
  float sum[group_size], moment[group_size], reference[group_size];

  using unit = hence::detail::softmax_unit<num<float>>;

  /// The first column of a thread's leaves: that of its group's first lane.
  static __device__ __forceinline__ std::int64_t begin() {
    return threadIdx.x / 32 * 1024 + threadIdx.x % 32 * group_size;
  }
  /// \param x the thread's first leaf of the row.
  __device__ __forceinline__ void start(const unit::leaf& x, float scale, softmax_scratch& shared) {
    using F = num<float>;
    float largest = -__builtin_inff();
#pragma unroll
    for (int u = 0; u < 4; ++u)
#pragma unroll
      for (int j = 0; j < group_size; ++j) largest = x[u][j].v > largest ? x[u][j].v : largest;
    const float first =
        hence::detail::first_reference(F(block_maximum(largest, shared.largest)), F(scale)).v;
#pragma unroll
    for (int j = 0; j < group_size; ++j) sum[j] = moment[j] = 0.0f, reference[j] = first;
  }
  /// Adds a row, or those columns of it that begin at a multiple of 4096. All threads call.
  /// \param begin_from called once, with the first leaf, before it is added: makes the sums begin.
  /// \param seen called with leaves.
  template <class Row, class Begin, class Seen>
  __device__ __forceinline__ void add(const Row& row, std::int64_t label, float scale,
                                      const Begin& begin_from, const Seen& seen) {
    using F = num<float>;
    const unit group{sum, moment, reference};
    bool is_first = true;
    std::int64_t i = begin();
#pragma unroll 1
    do {  // one text for the first leaf and the others, since it is long
      unit::leaf x;
      load_leaf(row, i, label, x);
      if (is_first) begin_from(x);
      is_first = false;
      if (i < row.columns) {
        seen(x);
        group.add(x, 4, F(scale), [&](const unit& at, unit::maxima& of_leaf, F by) {
          at.move(of_leaf, by);
#pragma unroll
          for (int j = 1; j < group_size; ++j) reference[j] = reference[0];  // one register
        });
      }
      i += 4 * hence::detail::softmax_lane_count;
    } while (i < row.columns);
  }
  /// The sums of all groups but for the label's logit, in the first thread; the others get parts.
  __device__ __forceinline__ softmax_state finish(softmax_scratch& shared) {
    using F = num<float>;
    const unit group{sum, moment, reference};
    const float top = block_maximum(reference[0], shared.largest);
#pragma unroll
    for (int j = 0; j < group_size; ++j) group.settle(j, F(top));
#pragma unroll
    for (int j = 0; j < group_size; ++j)
      if (warp_id() > 0) {
        shared.sum[warp_id() - 1][j][lane_id()] = sum[j];
        shared.moment[warp_id() - 1][j][lane_id()] = moment[j];
      }
    __syncthreads();
    softmax_state s{};
    if (warp_id() != 0) return s;
    s.others = tree_of(sum, shared.sum);
    s.moment = tree_of(moment, shared.moment);
    s.reference = static_cast<double>(top);
    return s;
  }
};

/// The canonical sums of a row, in the first thread; the other threads get parts.
template <class Row>
__device__ __forceinline__ softmax_state sum_row(const Row& row, std::int64_t label, float scale,
                                                 softmax_scratch& shared) {
  lane_sums sums;
  sums.add(
      row, label, scale, [&](const auto& leaf) { sums.start(leaf, scale, shared); },
      [](const auto&) {});
  softmax_state s = sums.finish(shared);
  if (warp_id() == 0)
    s.label = label >= 0 ? static_cast<double>(row.logit(label)) : __builtin_nan("");
  return s;
}

/// Whether a row is to be summed again, less its largest logit.
__device__ __forceinline__ bool asks_for_shift(const softmax_state& s, std::int64_t label,
                                               float scale) {
  return (label >= 0 && !(s.label == s.label)) || hence::detail::leaves_fast_range(s, scale);
}

/// The sums of a row whatever its logits, as `softmax_engine::sum`; in the first thread.
template <class T>
__device__ __forceinline__ softmax_state sum_any_row(device_row<T> row, std::int64_t label,
                                                     float scale, softmax_scratch& shared) {
  using namespace hence::detail;
  for (bool is_shifted = false;;) {  // one text for both passes, since it is long
    softmax_state s = sum_row(row, label, scale, shared);
    if (is_shifted) {
      s.shift = static_cast<double>(row.shift);
      if (label >= 0) {  // in float64, as the CPU
        row.shift = 0;
        s.label = (num<double>(row.logit(label)) - num<double>(s.shift)).v;
      }
      return s;
    }
    if (threadIdx.x == 0) shared.again = asks_for_shift(s, label, scale);
    __syncthreads();
    if (!shared.again) return s;
    float top = -__builtin_inff();  // +infinity: the row has a NaN or is beyond all numbers
    for (std::int64_t i = threadIdx.x; i < row.columns; i += softmax_threads) {
      const float x = row.logit(i);
      top = !(x < __builtin_inff()) ? __builtin_inff() : x > top ? x : top;
    }
    top = block_maximum(top, shared.largest);
    if (!(top < __builtin_inff())) return without_numbers();
    if (top == -__builtin_inff()) return without_support();
    row.shift = top, row.is_mapped = is_shifted = true;
  }
}

}  // namespace hence::inline v0::cuda::detail
