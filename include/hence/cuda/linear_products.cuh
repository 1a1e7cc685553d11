/// \file
/// `gemm::cublaslt`: the products of a linear log-prob by cuBLASLt, prepared once for a shape.
///
/// The vocabulary is cut into tiles of columns, outside; the tokens of a tile's logits into tiles
/// inside, so that logits stay in the L2 cache (1024 x 8192 fp32: 33.5 MB). The gradient of a
/// tile's logits is kept for all tokens, so the head's gradient is finished by one product a tile.
#pragma once

#include <hence/cuda/cublaslt.cuh>
#include <hence/cuda/tile_softmax.cuh>

namespace hence::inline v0 {

/// What a linear log-prob by cuBLASLt is prepared for. Strides are elements from row to row; 0: the
/// width, rows without gaps.
struct linear_shape {
  std::int64_t tokens;                      ///< of hidden, ignored ones included
  std::int64_t width;                       ///< of a hidden state
  std::int64_t vocabulary;                  ///< rows of the head
  bool has_bias = false;                    ///< whether the head has one
  std::int64_t tile_tokens = 1024;          ///< a multiple of 64, or all
  std::int64_t tile_columns = 8192;         ///< a multiple of 4096, or the whole vocabulary
  std::int64_t library_bytes = 32ll << 20;  ///< workspace that cuBLASLt may ask for
  std::int64_t hidden_stride = 0;           ///< of `hidden`
  std::int64_t weight_stride = 0;           ///< of `head.weight`
  std::int64_t to_hidden_stride = 0;        ///< of `gradients.hidden`
  std::int64_t to_weight_stride = 0;        ///< of `gradients.weight`
};

namespace cuda::detail {

/// [begin, begin + count) of n, in tiles.
struct tile_range {
  std::int64_t begin, count;
  bool is_last_and_less;  // a shape of its own
};
constexpr tile_range tile_at(std::int64_t begin, std::int64_t n, std::int64_t tile) {
  const std::int64_t left = n - begin;
  return {begin, at_most(left, tile), left < tile};
}
constexpr std::int64_t rounded(std::int64_t n, std::int64_t unit) {
  return (n + unit - 1) / unit * unit;
}
/// Elements of a row that begins on the library's boundary.
template <class T> constexpr std::int64_t library_stride(std::int64_t n) {
  return rounded(n, library_alignment / static_cast<std::int64_t>(sizeof(T)));
}

}  // namespace cuda::detail

namespace gemm {

/// Products by cuBLASLt with fp32 accumulation: of float as they are (no TF32), of bf16 on tensor
/// cores. Algorithms are looked up when it is made, by the library's heuristics, whose answer
/// depends on the library's version and the device alone; calls then only queue. Two calls with one
/// object have the same bits; another tile, library or device rounds otherwise.
///
/// Error: a logit's is that of an fp32 sum of `width` products, |x - exact| <=
/// width 2^-23 sum |h||w|; with bf16 the gradient of the logits is rounded to bf16 before it is
/// multiplied (2^-9 each), as peers do. What follows from given logits has the CPU's bits.
/// \tparam T storage of hidden states and head: float or bf16.
template <class T> class cublaslt {
  static_assert(std::same_as<T, float> || std::same_as<T, bf16>,
                "hence: gemm::cublaslt multiplies float by float or hence::bf16 by hence::bf16");

 public:
  using stored = T;  ///< what is multiplied

  /// \param handle the caller's, of the device that will run it. \param shape refused where no tile
  /// fits. Throws `cublas_error` where the library has no algorithm. \param where for errors.
  cublaslt(cublasLtHandle_t handle, const linear_shape& shape,
           const std::source_location& where = std::source_location::current())
      : handle_(handle), shape_(shape) {
    const auto stride = [&](std::int64_t& s) { s = s == 0 ? shape.width : s; };
    stride(shape_.hidden_stride), stride(shape_.weight_stride);
    stride(shape_.to_hidden_stride), stride(shape_.to_weight_stride);
    check_shape();
    if (shape_.tile_columns > shape_.vocabulary) shape_.tile_columns = shape_.vocabulary;
    if (shape_.tile_tokens > shape_.tokens) shape_.tile_tokens = shape_.tokens;
    for_tiles([&](const auto& columns, const auto& tokens) {
      if (!columns.is_last_and_less && columns.begin > 0) return;
      if (tokens.is_last_and_less || tokens.begin == 0)
        algorithm(0, columns, tokens) = operation(logits(columns, tokens), where);
      if (tokens.begin > 0) return;
      algorithm(1, columns, all_tokens()) = operation(to_hidden(columns), where);
      algorithm(2, columns, all_tokens()) = operation(to_weight(columns), where);
    });
  }

  /// As given, strides and tiles filled in.
  const linear_shape& shape() const { return shape_; }
  /// Whether a tile holds whole rows.
  bool holds_rows() const { return shape_.tile_columns == shape_.vocabulary; }
  /// Bytes of workspace, 256-byte aligned, in device memory, for the forward pass.
  std::int64_t forward_bytes() const {
    return library_bytes() + logits_bytes(shape_.tile_tokens) +
           (holds_rows() ? 0 : shape_.tokens * std::int64_t{sizeof(cuda::detail::row_memory)});
  }
  /// The same for both passes.
  std::int64_t workspace_bytes() const {
    const std::int64_t copy = cuda::detail::rounded(
        shape_.tokens * cuda::detail::library_stride<T>(shape_.width) * std::int64_t{sizeof(T)},
        256);
    const std::int64_t backward =
        library_bytes() + logits_bytes(logits_rows()) + gradient_bytes() + copy;
    return backward > forward_bytes() ? backward : forward_bytes();
  }

  /// \cond the launchers' side
  using range = cuda::detail::tile_range;
  /// Calls f(columns, tokens) for every tile of logits, the vocabulary outside.
  template <class F> void for_tiles(F&& f) const {
    for (std::int64_t v = 0; v < shape_.vocabulary; v += shape_.tile_columns)
      for (std::int64_t t = 0; t < shape_.tokens; t += shape_.tile_tokens)
        f(cuda::detail::tile_at(v, shape_.vocabulary, shape_.tile_columns),
          cuda::detail::tile_at(t, shape_.tokens, shape_.tile_tokens));
  }
  range all_tokens() const { return {0, shape_.tokens, false}; }

  // Where the parts of the workspace begin; fp32 logits are turned into their gradient in place.
  static constexpr bool in_place = std::same_as<T, float>;
  std::int64_t logits_at() const { return library_bytes(); }
  std::int64_t rows_at() const { return logits_at() + logits_bytes(shape_.tile_tokens); }
  std::int64_t gradient_at() const {
    return in_place ? logits_at() : logits_at() + logits_bytes(logits_rows());
  }
  std::int64_t copy_at() const {
    return logits_at() + logits_bytes(logits_rows()) + gradient_bytes();
  }
  std::int64_t logits_stride() const {
    return cuda::detail::library_stride<float>(shape_.tile_columns);
  }
  std::int64_t gradient_stride() const {
    return cuda::detail::library_stride<T>(shape_.tile_columns);
  }
  std::int64_t copy_stride() const { return cuda::detail::library_stride<T>(shape_.width); }

  // The products; their memory is filled in by who queues them.
  using product = cuda::detail::library_product<T>;
  product logits(const range& columns, const range& tokens) const {
    return {{nullptr, tokens.count, shape_.width, shape_.hidden_stride},
            {nullptr, columns.count, shape_.width, shape_.weight_stride, true},
            {nullptr, tokens.count, columns.count, logits_stride()},
            false,
            shape_.has_bias};
  }
  product to_hidden(const range& columns) const {
    return {{nullptr, shape_.tokens, columns.count, gradient_stride()},
            {nullptr, columns.count, shape_.width, shape_.weight_stride},
            {nullptr, shape_.tokens, shape_.width, shape_.to_hidden_stride}};
  }
  product to_weight(const range& columns) const {
    return {{nullptr, shape_.tokens, columns.count, gradient_stride(), true},
            {nullptr, shape_.tokens, shape_.width, copy_stride()},
            {nullptr, columns.count, shape_.width, shape_.to_weight_stride}};
  }
  /// \param which 0 logits, 1 the gradient of the hidden states, 2 of the head.
  void queue(int which, const product& p, const range& columns, const range& tokens,
             std::span<std::byte> workspace, cudaStream_t s,
             const std::source_location& where) const {
    cuda::detail::library_operation<T>(p, where).queue(
        handle_, algorithm(which, columns, tokens),
        workspace.first(static_cast<std::size_t>(library_bytes())), s);
  }
  /// \endcond

 private:
  std::int64_t library_bytes() const {
    return shape_.tokens == 0 ? 0 : cuda::detail::rounded(shape_.library_bytes, 256);
  }
  std::int64_t logits_rows() const { return in_place ? shape_.tokens : shape_.tile_tokens; }
  std::int64_t logits_bytes(std::int64_t rows) const {
    return cuda::detail::rounded(4 * rows * logits_stride(), 256);
  }
  std::int64_t gradient_bytes() const {
    return in_place ? 0
                    : cuda::detail::rounded(
                          shape_.tokens * gradient_stride() * std::int64_t{sizeof(T)}, 256);
  }
  template <class Self>
  static auto& algorithm_of(Self& self, int which, const range& columns, const range& tokens) {
    return self.algorithms_[which][columns.is_last_and_less][tokens.is_last_and_less];
  }
  cublasLtMatmulAlgo_t& algorithm(int which, const range& columns, const range& tokens) {
    return algorithm_of(*this, which, columns, tokens);
  }
  const cublasLtMatmulAlgo_t& algorithm(int which, const range& columns,
                                        const range& tokens) const {
    return algorithm_of(*this, which, columns, tokens);
  }
  cublasLtMatmulAlgo_t operation(const product& p, const std::source_location& where) const {
    return cuda::detail::library_operation<T>(p, where).choose(handle_, library_bytes());
  }
  void check_shape() const {
    using namespace hence::detail;
    const auto refuse_unless = [](bool ok, const char* name, std::int64_t value,
                                  const char* wanted) {
      if (!ok)
        refuse(message() << "hence: linear_shape." << name << " is " << value << ", expected "
                         << wanted);
    };
    const linear_shape& s = shape_;
    refuse_unless(s.tokens >= 0, "tokens", s.tokens, "0 or more");
    refuse_unless(s.width >= 1, "width", s.width, "1 or more");
    refuse_unless(s.vocabulary >= 1, "vocabulary", s.vocabulary, "1 or more");
    refuse_unless(s.tile_tokens >= 1 && (s.tile_tokens % 64 == 0 || s.tile_tokens >= s.tokens),
                  "tile_tokens", s.tile_tokens, "a multiple of 64, or all tokens");
    refuse_unless(
        s.tile_columns >= 1 && (s.tile_columns % 4096 == 0 || s.tile_columns >= s.vocabulary),
        "tile_columns", s.tile_columns, "a multiple of 4096, or the whole vocabulary");
    refuse_unless(s.library_bytes >= 0, "library_bytes", s.library_bytes, "0 or more");
    const std::pair<const char*, std::int64_t> strides[] = {
        {"hidden_stride", s.hidden_stride},
        {"weight_stride", s.weight_stride},
        {"to_hidden_stride", s.to_hidden_stride},
        {"to_weight_stride", s.to_weight_stride}};
    for (const auto& [name, value] : strides)
      refuse_unless(value >= s.width, name, value, "the width or more, or 0 for the width");
  }

  cublasLtHandle_t handle_;
  linear_shape shape_;
  cublasLtMatmulAlgo_t algorithms_[3][2][2]{};
};

}  // namespace gemm

}  // namespace hence::inline v0
