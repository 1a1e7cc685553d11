/// \file
/// What the expert MLPs read and write, and what they refuse. An expert's rows are a segment, so
/// that one text serves all layouts: contiguous, padded to a block, or masked.
#pragma once

#include <hence/moe/combine.hpp>
#include <hence/moe/expert_rule.hpp>

namespace hence::inline v0 {

namespace moe {

/// Expert e's rows are [first[e], first[e] + count[e]). Rows in no segment are not read or written.
///
///     permute                  first = offsets,           count = load
///     DeepGEMM contiguous      first = aligned_offsets,   count = load
///     DeepGEMM masked          first = e rows_per_expert, count = masked_m
struct expert_segments {
  view<const std::int64_t> first;  ///< `[experts]` or longer, as offsets are; ascending
  view<const std::int64_t> count;  ///< `[experts]`; 0: the expert costs nothing
};

/// What the experts read. \tparam S the executor's scalar. \tparam X, W storage of rows and
/// matrices, of a kind that the product takes: gemm::ordered float, bf16, f16.
template <class S = float, class X = S, class W = S> struct expert_inputs {
  view<const X, 2> rows;        ///< `[rows, width]`, tokens by expert
  expert_segments segments;     ///< whose rows are whose
  view<const W, 3> gate{};      ///< `[experts, ff, width]`; absent for a plain activation
  view<const W, 3> up;          ///< `[experts, ff, width]`
  view<const W, 3> down;        ///< `[experts, width, ff]`
  view<const S> row_weights{};  ///< `[rows]`: of each row's slot, for before_down; else absent
};

/// Where gradients go; each may be absent.
template <class S = float> struct expert_gradients {
  view<S, 2> rows{};                       ///< `[rows, width]`
  view<S> row_weights{};                   ///< `[rows]`, for before_down
  view<S, 3> gate{};                       ///< `[experts, ff, width]`
  view<S, 3> up{};                         ///< `[experts, ff, width]`
  view<S, 3> down{};                       ///< `[experts, width, ff]`
  update of_rows = update::overwrite;      ///< of `rows`
  update of_matrices = update::overwrite;  ///< overwrite: an expert without rows gets 0;
                                           ///< accumulate: it is not touched
};

}  // namespace moe

namespace detail {

/// A row's scalars in a tile: rows begin at a cache line, and never a whole number of pages apart.
HENCE_FN constexpr std::int64_t padded_row(std::int64_t n) {
  const std::int64_t lines = (n + 15) / 16;
  return 16 * (lines % 4 == 0 ? lines + 1 : lines);
}

/// Rows at a time: of a tile going forward, of a block going backward.
constexpr std::int64_t expert_tile = 512;
template <class Executor> HENCE_FN std::int64_t expert_block() {
  return Executor::is_parallel ? 8 * expert_tile : expert_tile;
}

/// Rows of experts: as they lie, or those of the tokens whose they are, copied a tile at a time, so
/// that they stay in the cache while they are multiplied.
template <class X> struct row_source {
  view<const X, 2> from;      ///< `[rows, width]`, or `[tokens, width]`
  const std::int64_t* token;  ///< `[rows]`; null: rows as they lie

  HENCE_FN bool copies() const { return token != nullptr; }
  /// Rows [first, first + n). \param room where they are, or will be, if they are copied.
  HENCE_FN view<const X, 2> rows(std::int64_t first, std::int64_t n, const X* room) const {
    if (!copies()) return rows_of(from, first, n);
    return view<const X, 2>(room, n, from.extent[1], padded_row(from.extent[1]));
  }
  /// The same, copied first if they are to be.
  HENCE_FN view<const X, 2> take(std::int64_t first, std::int64_t n, X* room) const {
    const view<const X, 2> to = rows(first, n, room);
    const auto bytes = static_cast<std::size_t>(to.extent[1]) * sizeof(X);
    for (std::int64_t i = 0; copies() && i < n; ++i)
      __builtin_memcpy(room + i * to.stride[0], from.data + token[first + i] * from.stride[0],
                       bytes);
    return to;
  }
};

/// Parts that rows are cut into, each with its own memory: by their number alone.
template <class Executor> HENCE_FN std::int64_t expert_parts(std::int64_t rows) {
  if constexpr (Executor::is_parallel) {
    const std::int64_t n = (rows + 63) / 64;
    return n < 1 ? 1 : (n < 16 ? n : 16);
  } else {
    return 1;
  }
}

template <class Kept> constexpr bool is_saved = false;
template <class S> constexpr bool is_saved<moe::saved_activations<S>> = true;

template <class T> HENCE_FN view<T, 2> matrix_of(const view<T, 3>& m, std::int64_t e) {
  view<T, 2> r;
  r.data = m.data + e * m.stride[0];
  r.extent[0] = m.extent[1], r.extent[1] = m.extent[2];
  r.stride[0] = m.stride[1], r.stride[1] = m.stride[2];
  return r;
}

template <class Isa = native_isa>
void check_matrices(const char* name, bool present, const std::int64_t (&extent)[3],
                    const std::int64_t (&stride)[3], std::int64_t experts, std::int64_t rows,
                    std::int64_t columns, bool is_written) {
  if (extent[0] != experts || extent[1] != rows || extent[2] != columns)
    refuse(message() << "hence: " << name << " has shape [" << extent[0] << ", " << extent[1]
                     << ", " << extent[2] << "], expected [" << experts << ", " << rows << ", "
                     << columns << "]");
  if (!present)
    refuse(message() << "hence: " << name << " is null, expected [" << experts << ", " << rows
                     << ", " << columns << "]");
  if (!is_written) return;
  if (columns > 1 && stride[2] != 1)
    refuse(message() << "hence: " << name << " has stride " << stride[2]
                     << " within a row, expected 1");
  if ((rows > 1 && stride[1] < columns) || (experts > 1 && stride[0] < rows * columns))
    refuse(message() << "hence: " << name << " has strides [" << stride[0] << ", " << stride[1]
                     << "], expected rows and matrices one after the other");
}
template <class T>
[[gnu::always_inline]] inline void check_matrices(const char* name, const view<T, 3>& m,
                                                  std::int64_t experts, std::int64_t rows,
                                                  std::int64_t columns) {
  check_matrices(name, m.present(), m.extent, m.stride, experts, rows, columns,
                 !std::is_const_v<T>);
}

/// \return how many rows are in segments.
template <class Isa = native_isa>
std::int64_t check_segments(const moe::expert_segments& s, std::int64_t experts,
                            std::int64_t rows) {
  if (s.first.extent[0] < experts)
    refuse(message() << "hence: segments.first has " << s.first.extent[0]
                     << " entries, expected at least the " << experts << " experts");
  check_vector("segments.first", s.first, s.first.extent[0]);
  check_vector("segments.count", s.count, experts);
  std::int64_t end = 0, total = 0;
  for (std::int64_t e = 0; e < experts; ++e) {
    if (s.count[e] < 0)
      refuse(message() << "hence: segments.count[" << e << "] is " << s.count[e]
                       << ", expected 0 or more");
    if (s.count[e] == 0) continue;
    if (s.first[e] < end || s.count[e] > rows - s.first[e])
      refuse(message() << "hence: segments: expert " << e << " has " << s.count[e]
                       << " rows from row " << s.first[e] << " on, expected them within [" << end
                       << ", " << rows << ")");
    end = s.first[e] + s.count[e];
    total += s.count[e];
  }
  return total;
}

/// Calls f(expert, first row, rows) for what the segments hold of the live rows [begin, end), at
/// most `most` at a time; live rows are counted through all segments.
template <class F>
HENCE_FN void for_segments(const moe::expert_segments& s, std::int64_t begin, std::int64_t end,
                           std::int64_t most, F f) {
  std::int64_t before = 0;  // live rows of the experts so far
  for (std::int64_t e = 0; e < s.count.extent[0]; ++e) {
    const std::int64_t n = s.count[e];
    const std::int64_t low = begin > before ? begin - before : 0;
    const std::int64_t high = end - before < n ? end - before : n;
    for (std::int64_t i = low; i < high; i += most)
      f(e, s.first[e] + i, high - i < most ? high - i : most);
    before += n;
  }
}

/// Arguments and where they lie, as a function gives them back.
template <int N> struct named_places {
  named_place of[static_cast<unsigned>(N)];
};
/// The memory of a call is of its own.
template <int N, class Isa = native_isa>
void check_memory_apart(const view<std::byte>& workspace, const named_places<N>& others) {
  for (const named_place& other : others.of) check_apart({"workspace", range_of(workspace)}, other);
}

}  // namespace detail

}  // namespace hence::inline v0
