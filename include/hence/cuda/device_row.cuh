/// \file
/// A row of logits in global memory as threads read it: eight neighbouring columns at a time, and
/// what is done to them before they are summed.
#pragma once

#include <hence/cuda/warp.cuh>
#include <hence/logits/token_rows.hpp>

namespace hence::inline v0::cuda::detail {

constexpr int group_size = hence::detail::softmax_group;

template <class T> __device__ __forceinline__ bool is_whole(const T* p) {
  return reinterpret_cast<std::uintptr_t>(p) % 16 == 0;
}
/// Eight neighbouring elements, by 16 bytes where they are whole; those from `end` on are not read
/// and become T{}.
template <class T>
__device__ __forceinline__ void load_eight(const T* row, std::int64_t first, std::int64_t end,
                                           T (&x)[group_size]) {
  if (first + group_size <= end && is_whole(row + first)) {
    const auto from = reinterpret_cast<const uint4*>(row + first);
    constexpr int parts = sizeof(T) * group_size / 16, each = group_size / parts;
    static_assert(sizeof(T) == 2 || sizeof(T) == 4);
#pragma unroll
    for (int k = 0; k < parts; ++k) {
      const uint4 v = from[k];
      const unsigned words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
      for (int j = 0; j < each; ++j)
        if constexpr (sizeof(T) == 4)
          x[k * each + j] = __uint_as_float(words[j]);
        else
          x[j].bits = static_cast<std::uint16_t>(words[j / 2] >> (j % 2 * 16));
    }
  } else {
#pragma unroll
    for (int j = 0; j < group_size; ++j) x[j] = first + j < end ? row[first + j] : T{};
  }
}
/// Writes those of eight neighbouring elements that lie before `end`.
template <class T>
__device__ __forceinline__ void store_eight(T* row, std::int64_t first, std::int64_t end,
                                            const T (&x)[group_size]) {
  if (first + group_size <= end && is_whole(row + first)) {
    const auto to = reinterpret_cast<uint4*>(row + first);
    constexpr int parts = sizeof(T) * group_size / 16, each = group_size / parts;
#pragma unroll
    for (int k = 0; k < parts; ++k) {
      unsigned words[4] = {};
#pragma unroll
      for (int j = 0; j < each; ++j)
        if constexpr (sizeof(T) == 4)
          words[j] = __float_as_uint(x[k * each + j]);
        else
          words[j / 2] |= static_cast<unsigned>(x[j].bits) << (j % 2 * 16);
      to[k] = make_uint4(words[0], words[1], words[2], words[3]);
    }
  } else {
#pragma unroll
    for (int j = 0; j < group_size; ++j)
      if (first + j < end) row[first + j] = x[j];
  }
}
/// Which of eight neighbouring columns a mask keeps, a bit each; a null mask keeps all.
__device__ __forceinline__ unsigned kept_of_eight(const std::uint8_t* mask, std::int64_t first,
                                                  std::int64_t end) {
  unsigned bits = 0;
  if (mask == nullptr) return 0xff;
  if (first + group_size <= end &&
      reinterpret_cast<std::uintptr_t>(mask + first) % group_size == 0) {
    const uint2 v = *reinterpret_cast<const uint2*>(mask + first);
#pragma unroll
    for (int j = 0; j < group_size; ++j)
      bits |= ((j < 4 ? v.x : v.y) >> (j % 4 * 8) & 0xff) != 0 ? 1u << j : 0u;
  } else {
#pragma unroll
    for (int j = 0; j < group_size; ++j)
      bits |= first + j < end && mask[first + j] != 0 ? 1u << j : 0u;
  }
  return bits;
}

/// Eight neighbouring logits in registers, and what is done to them before they are summed.
template <class T> struct logit_group {
  T x[group_size];
  unsigned keep;  // a bit each
  float cap, inverse_cap, shift;
  bool is_mapped;

  /// out[j] = f(a row of column j alone, j).
  template <class R, class F>
  __device__ __forceinline__ void map(R (&out)[group_size], F&& f) const {
    if (!is_mapped) {
#pragma unroll
      for (int j = 0; j < group_size; ++j) out[j] = f(hence::detail::plain_row<T>{x + j, 1}, j);
    } else if (!(cap > 0)) {
#pragma unroll
      for (int j = 0; j < group_size; ++j) {
        const auto kept = static_cast<std::uint8_t>(keep >> j & 1);
        out[j] = f(hence::detail::mapped_row<T>{x + j, 1, &kept, 0.0f, 0.0f, shift}, j);
      }
    } else {  // a soft-cap's code is long, so it is there once: all moves through the first
              // register
      logit_group rest = *this;
#pragma unroll
      for (int j = 0; j < group_size; ++j) out[j] = R{};
#pragma unroll 1
      for (int j = 0; j < group_size; ++j) {
        const auto kept = static_cast<std::uint8_t>(rest.keep >> j & 1);
        const R last =
            f(hence::detail::mapped_row<T>{rest.x, 1, &kept, cap, inverse_cap, shift}, j);
#pragma unroll
        for (int k = 0; k + 1 < group_size; ++k) out[k] = out[k + 1], rest.x[k] = rest.x[k + 1];
        out[group_size - 1] = last;
      }
    }
  }
};

/// A row of logits in global memory.
template <class T> struct device_row {
  const T* data;
  std::int64_t columns;
  const std::uint8_t* keep;  // or null
  float cap, inverse_cap, shift;
  bool is_mapped;  // what the CPU decides: by `mapped_row` rather than `plain_row`

  /// Columns [first, first + 8).
  __device__ __forceinline__ logit_group<T> load(std::int64_t first) const {
    logit_group<T> g;
    load_eight(data, first, columns, g.x);
    g.keep = kept_of_eight(keep, first, columns), g.cap = cap, g.inverse_cap = inverse_cap,
    g.shift = shift, g.is_mapped = is_mapped;
    return g;
  }
  /// One logit as it is summed.
  __device__ __forceinline__ float logit(std::int64_t i) const {
    return hence::detail::mapped_row<T>{data, columns, keep, cap, inverse_cap, shift}
        .template load<num<float>>(i)
        .v;
  }
};

}  // namespace hence::inline v0::cuda::detail
