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
  HENCE_FN line_walk() {}  ///< no lines
  /// The lines from element `offset` of an array on; it may lie outside, where there are no lines:
  /// a pointer might not. \param along, deep the strides of `rows` and of `depth` columns. Without
  /// a stride of 1: no lines.
  template <class T>
  HENCE_FN line_walk(const T* array, std::int64_t offset, std::int64_t along, std::int64_t deep,
                     std::int64_t rows, std::int64_t depth)
      : piece_(reinterpret_cast<std::uintptr_t>(array) +
               static_cast<std::uintptr_t>(offset) * sizeof(T)),
        at_(piece_ / 64 * 64) {
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

/// Asks for the lines of a walk in equal shares, one a step. \tparam Writes to be written.
template <bool Writes> class fetch {
 public:
  HENCE_FN fetch() {}  ///< asks for nothing
  /// \param steps after which the lines are needed.
  HENCE_FN fetch(const line_walk& lines, std::int64_t steps)
      : lines_(lines), share_(steps > 0 ? (lines.most() + steps - 1) / steps : 0) {}
  HENCE_FN bool is_done() const { return lines_.is_done(); }
  HENCE_FN void step() {
    for (std::int64_t n = share_; n > 0 && !lines_.is_done(); --n)
      __builtin_prefetch(reinterpret_cast<const void*>(lines_.take()), Writes, Writes ? 3 : 2);
  }

 private:
  line_walk lines_;
  std::int64_t share_ = 0;
};

/// Two fetches whose steps go together. A step is taken every `columns` columns of A.
template <bool FirstWrites, bool SecondWrites> struct fetches {
  static constexpr std::int64_t columns = 16;
  fetch<FirstWrites> first;
  fetch<SecondWrites> second;
  HENCE_FN void step() { first.step(), second.step(); }
  /// Steps over this depth.
  static HENCE_FN std::int64_t steps(std::int64_t depth) { return (depth + columns - 1) / columns; }
};
using fetches_of_tile = fetches<false, true>;    ///< the next panel, the next tile of C
using fetches_of_panel = fetches<false, false>;  ///< what is multiplied next, the next panel

}  // namespace hence::inline v0::detail
