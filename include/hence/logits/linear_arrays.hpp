/// \file
/// What `linear_logprob` reads and writes beside the hidden states, and how its memory is cut.
#pragma once

#include <hence/core/gemm/product.hpp>
#include <hence/logits/token_checks.hpp>
#include <hence/logits/token_rows.hpp>

#include <cstddef>  // byte

namespace hence::inline v0 {

/// The output layer. \tparam W how weights are stored. \tparam S the executor's scalar.
template <class W, class S = float> struct linear_head {
  view<W, 2> weight{};   ///< `[vocabulary, width]`, as PyTorch's Linear holds it
  view<const S> bias{};  ///< `[vocabulary]`, or absent
};
template <class W> linear_head(view<W, 2>) -> linear_head<W>;

/// Where gradients go; each may be absent. \tparam S the executor's scalar.
template <class S = float> struct linear_gradients {
  view<S, 2> hidden{};                   ///< `[tokens, width]`
  view<S, 2> weight{};                   ///< `[vocabulary, width]`
  view<S> bias{};                        ///< `[vocabulary]`
  update of_hidden = update::overwrite;  ///< of `hidden`; ignored tokens get 0 or stay
  update of_head = update::overwrite;    ///< of `weight` and `bias`
};

/// Parts that `linear_logprob` cuts a tile's work into for a pool, each with the backend's scratch.
constexpr std::int64_t linear_parts = 16;

namespace detail {

/// A backend's scratch, so that the next one begins at a cache line too.
template <class Gemm> HENCE_FN constexpr std::int64_t scratch_of() {
  return (Gemm::scratch_floats + 15) / 16 * 16;
}
/// Columns [begin, begin + count).
template <class T>
HENCE_FN constexpr view<T, 2> columns_of(view<T, 2> m, std::int64_t begin, std::int64_t count) {
  return transposed(rows_of(transposed(m), begin, count));
}

/// A row's floats in a tile: rows begin at a cache line, and never a whole number of pages apart,
/// where a column would fall on one set of the cache.
HENCE_FN constexpr std::int64_t rounded_up(std::int64_t n) {
  const std::int64_t lines = (n + 15) / 16;
  return 16 * (lines % 4 == 0 ? lines + 1 : lines);
}
/// Logits, hidden state and its gradient.
HENCE_FN constexpr std::int64_t floats_per_token(std::int64_t width, std::int64_t vocabulary) {
  return rounded_up(vocabulary) + 2 * rounded_up(width);
}

/// The part of the memory that begins at a cache line, as whole S.
template <class S> HENCE_FN view<S> aligned_floats(const view<std::byte>& memory) {
  const auto address = reinterpret_cast<std::uintptr_t>(memory.data);
  const auto skip = static_cast<std::int64_t>((64 - address % 64) % 64);
  if (memory.data == nullptr || memory.extent[0] < skip) return {};
  return {reinterpret_cast<S*>(memory.data + skip),
          (memory.extent[0] - skip) / static_cast<std::int64_t>(sizeof(S))};
}

}  // namespace detail

}  // namespace hence::inline v0
