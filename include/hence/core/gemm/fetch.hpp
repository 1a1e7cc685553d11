/// \file
/// Memory that `gemm::ordered` asks for while it multiplies: the next panel of B, which comes from
/// memory, and the tile of C that is about to be written. A line at a time between multiplications
/// costs nothing; all at once would fill the processor's list of open requests.
#pragma once

#include <hence/core/config.hpp>

#include <cstdint>

namespace hence::inline v0::detail {

/// The cache lines of a matrix whose rows or columns are contiguous, one after another.
class line_walk {
 public:
  HENCE_FN line_walk() = default;  ///< no lines
  /// \param along, deep the strides of `rows` and of `depth` columns. Without a stride of 1: no
  /// lines.
  template <class T>
  HENCE_FN line_walk(const T* from, std::int64_t along, std::int64_t deep, std::int64_t rows,
                     std::int64_t depth)
      : piece_(reinterpret_cast<std::uintptr_t>(from)), at_(piece_ / 64 * 64) {
    if ((deep != 1 && along != 1) || rows <= 0 || depth <= 0) return;
    pieces_ = deep == 1 ? rows : depth;
    bytes_ = static_cast<std::uintptr_t>(deep == 1 ? depth : rows) * sizeof(T);
    step_ = static_cast<std::uintptr_t>(deep == 1 ? along : deep) * sizeof(T);
  }
  /// At least as many lines as there are.
  HENCE_FN std::int64_t most() const {
    return pieces_ * static_cast<std::int64_t>((bytes_ + 63) / 64 + 1);
  }
  HENCE_FN bool is_done() const { return pieces_ == 0; }
  /// The address of a line; there must be one.
  HENCE_FN std::uintptr_t take() {
    const std::uintptr_t line = at_;
    at_ += 64;
    if (at_ >= piece_ + bytes_) piece_ += step_, at_ = piece_ / 64 * 64, --pieces_;
    return line;
  }

 private:
  std::uintptr_t piece_ = 0, at_ = 0, bytes_ = 0, step_ = 0;
  std::int64_t pieces_ = 0;
};

/// What is asked for in the course of a number of steps, each of `columns` columns of A.
class fetch_plan {
 public:
  static constexpr std::int64_t columns = 16;
  /// Steps in a tile of this depth.
  static HENCE_FN std::int64_t steps(std::int64_t depth) { return (depth + columns - 1) / columns; }
  /// \param next to be read after `count` steps.
  HENCE_FN fetch_plan(const line_walk& next, std::int64_t count)
      : next_(next), of_next_(share(next, count)) {}
  /// \param result to be written after `count` steps.
  HENCE_FN void writes(const line_walk& result, std::int64_t count) {
    result_ = result, of_result_ = share(result, count);
  }
  HENCE_FN void step() {
    for (std::int64_t n = of_next_; n > 0 && !next_.is_done(); --n)
      __builtin_prefetch(reinterpret_cast<const void*>(next_.take()), 0, 2);
    for (std::int64_t n = of_result_; n > 0 && !result_.is_done(); --n)
      __builtin_prefetch(reinterpret_cast<const void*>(result_.take()), 1);
  }
  HENCE_FN bool is_done() const { return next_.is_done() && result_.is_done(); }

 private:
  static HENCE_FN std::int64_t share(const line_walk& lines, std::int64_t count) {
    return count > 0 ? (lines.most() + count - 1) / count : 0;
  }
  line_walk next_, result_;
  std::int64_t of_next_, of_result_ = 0;
};

}  // namespace hence::inline v0::detail
