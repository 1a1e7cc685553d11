/// \file
/// The canonical sums of rows whose logits exist a tile of the vocabulary at a time
/// (cuda/softmax.cuh has them for whole rows, by the same text).
///
/// Tiles begin at multiples of 4096 columns, so a thread's lanes go on where they stopped: between
/// tiles a row's 1024 sums, moments and 128 references lie in memory, 9248 bytes. The bits are
/// those of whole rows, whatever the tile.
///
/// A row that leaves the fast range (see cuda/token_logprob.cuh) is summed once more, shifted, when
/// its tiles are gone: its logits are then computed on the way, as chains over k in their order, a
/// block a row. That reads the whole head for each such row: right, not fast.
///
/// Bytes a row and tile: its logits read once, 9224 read and written.
#pragma once

#include <hence/cuda/row_memory.cuh>
#include <hence/cuda/token_logprob.cuh>

namespace hence::inline v0::cuda::detail {

/// The larger; a NaN counts as +infinity.
__device__ __forceinline__ float top_of(float top, float x) {
  return !(x < __builtin_inff()) ? __builtin_inff() : x > top ? x : top;
}

/// \cond kernels: Doxygen 1.9 does not read __launch_bounds__
/// Adds a tile to its rows; the last one writes what `token_logprob_kernel` writes, but for rows
/// that `shifted_rows_kernel` is left.
/// \tparam T float, so that each unit of a program may have the kernel.
template <class T>
__global__ void __launch_bounds__(softmax_threads, 4)
    tile_softmax_kernel(token_call<T> call, row_memory* rows, token_results<float> out,
                        status* conditions) {
  using namespace hence::detail;
  __shared__ softmax_scratch shared;
  status found = status::ok;
  const float scale = call.numbers.scale;
  for (std::int64_t i = blockIdx.x; i < call.logits.extent[0]; i += gridDim.x) {
    const label_place label = call.label(i);
    row_memory& memory = rows[i];
    if (label.is_ignored) {
      if (call.after != 0 || threadIdx.x != 0) continue;
      token_row::write_zeros(out, i);
      if (out.states.present()) out.states[i] = softmax_state{};
      continue;
    }
    const auto row = call.row(i);
    const bool has_label = label.column >= 0 && label.column < row.columns;
    lane_sums sums;
    float top = -__builtin_inff();
    const auto begin_from = [&](const lane_sums::unit::leaf& leaf) {
      if (call.before == 0) {
        sums.start(leaf, scale, shared);
      } else {
        memory.load(sums);
        top = memory.top[threadIdx.x];
      }
    };
    sums.add(row, label.column, scale, begin_from, [&](const lane_sums::unit::leaf& leaf) {
#pragma unroll
      for (int u = 0; u < 4; ++u)
#pragma unroll
        for (int j = 0; j < group_size; ++j) top = top_of(top, leaf[u][j].v);
    });
    if (threadIdx.x == 0 && has_label) memory.label = row.logit(label.column);
    if (call.after != 0) {
      memory.store(sums);
      memory.top[threadIdx.x] = top;
      continue;
    }
    softmax_state s = sums.finish(shared);
    if (threadIdx.x == 0) {
      s.label = label.is_bad ? __builtin_nan("") : static_cast<double>(memory.label);
      const bool is_label_nan = !label.is_bad && !(s.label == s.label);
      shared.again = is_label_nan || leaves_fast_range(s, scale);
      memory.shift = __builtin_nanf("");
      if (!label.is_bad) top = top_of(top, memory.label);
    }
    __syncthreads();
    if (shared.again) {
      top = block_maximum(top, shared.largest);
      s = top < __builtin_inff() ? without_support() : without_numbers();
      const bool is_finite = top < __builtin_inff() && top > -__builtin_inff();
      if (threadIdx.x == 0 && is_finite) memory.shift = top;
      if (is_finite) continue;
    }
    if (threadIdx.x != 0) continue;
    s = with_bounded_label(s, static_cast<double>(scale));
    found |=
        token_row::write_values(call.numbers, s, call.before + row.columns, label.is_bad, out, i);
    if (out.states.present()) out.states[i] = s;
  }
  add_to(*conditions, found);
}
/// \endcond

/// A row whose logits are not stored: hidden weight^T, each a chain in the order of k, + bias.
template <class T> struct computed_row {
  const T* hidden;
  view<const T, 2> weight;
  view<const float> bias;
  std::int64_t columns;
  token_numbers numbers;
  float shift;
  static constexpr bool is_mapped = true;

  __device__ __forceinline__ num<float> chain(std::int64_t v) const {
    num<float> sum = 0.0f;
    const T* const row = weight.data + v * weight.stride[0];
    for (std::int64_t d = 0; d < weight.extent[1]; ++d)
      sum = fma(num<float>(static_cast<float>(hidden[d])), num<float>(static_cast<float>(row[d])),
                sum);
    return bias.present() ? sum + num<float>(bias[v]) : sum;
  }
  /// Columns [first, first + 8).
  __device__ __forceinline__ logit_group<float> load(std::int64_t first) const {
    logit_group<float> g;
    g.keep = 0xff, g.cap = numbers.cap, g.inverse_cap = numbers.inverse_cap, g.shift = shift;
    g.is_mapped = is_mapped;
#pragma unroll
    for (int j = 0; j < group_size; ++j) g.x[j] = 0;
#pragma unroll 1
    for (int j = 0; j < group_size; ++j) {  // through one register, as `logit_group::map`
      const float last = first + j < columns ? chain(first + j).v : 0.0f;
#pragma unroll
      for (int k = 0; k + 1 < group_size; ++k) g.x[k] = g.x[k + 1];
      g.x[group_size - 1] = last;
    }
    return g;
  }
  __device__ __forceinline__ float logit(std::int64_t v) const {
    const float x = chain(v).v;
    return hence::detail::mapped_row<float>{&x, 1, nullptr, numbers.cap, numbers.inverse_cap, shift}
        .template load<num<float>>(0)
        .v;
  }
};

/// \cond kernels: Doxygen 1.9 does not read __launch_bounds__
/// The rows that `tile_softmax_kernel` left. \tparam T storage of hidden states and head.
template <class T>
__global__ void __launch_bounds__(softmax_threads)
    shifted_rows_kernel(token_numbers numbers, view<const T, 2> hidden, view<const T, 2> weight,
                        view<const float> bias, token_labels labels, const row_memory* rows,
                        token_results<float> out, status* conditions) {
  using namespace hence::detail;
  __shared__ softmax_scratch shared;
  status found = status::ok;
  for (std::int64_t i = blockIdx.x; i < hidden.extent[0]; i += gridDim.x) {
    const label_place label = place_of(labels[i], weight.extent[0], numbers.ignores_negative);
    if (label.is_ignored) continue;
    const float shift = rows[i].shift;
    if (!(shift == shift)) continue;
    computed_row<T> row{
        hidden.data + i * hidden.stride[0], weight, bias, weight.extent[0], numbers, shift};
    softmax_state s = sum_row(row, label.column, numbers.scale, shared);
    if (threadIdx.x != 0) continue;
    s.shift = static_cast<double>(shift);
    row.shift = 0;
    if (label.column >= 0)
      s.label =
          (num<double>(static_cast<double>(row.logit(label.column))) - num<double>(s.shift)).v;
    s = with_bounded_label(s, static_cast<double>(numbers.scale));
    found |= token_row::write_values(numbers, s, row.columns, label.is_bad, out, i);
    if (out.states.present()) out.states[i] = s;
  }
  if (threadIdx.x == 0) add_to(*conditions, found);
}

/// The logits of a tile's shifted rows once more, as the forward pass summed them.
template <class T>
__global__ void __launch_bounds__(softmax_threads)
    shifted_logits_kernel(view<const T, 2> hidden, view<const T, 2> weight, view<const float> bias,
                          token_labels labels, bool ignores_negative,
                          view<const softmax_state> states, view<float, 2> logits) {
  for (std::int64_t i = blockIdx.x; i < hidden.extent[0]; i += gridDim.x) {
    if (ignores_negative && labels[i] < 0) continue;
    const double shift = states[i].shift;
    if (shift == 0 || !(shift > -__builtin_inf())) continue;
    const computed_row<T> row{
        hidden.data + i * hidden.stride[0], weight, bias, weight.extent[0], {}, 0.0f};
    for (std::int64_t v = threadIdx.x; v < row.columns; v += softmax_threads)
      logits.data[i * logits.stride[0] + v] = row.chain(v).v;
  }
}
/// \endcond

}  // namespace hence::inline v0::cuda::detail
