/// \file
/// Where a thread's advantages go: straight to the result, or through a buffer where that cannot be
/// (strides, ragged ends). A large result passes the caches by (non-temporal stores): it is not
/// read again soon, and a line that is written whole need not be fetched first.
#pragma once

#include <hence/core/pack.hpp>
#include <hence/core/view.hpp>

namespace hence::inline v0::detail {

/// Results of so many bytes and more bypass the caches: the second-level cache of one core. On the
/// machine of the benchmark a copy ran at 27 GB/s so, and at 17 GB/s with regular stores.
constexpr std::int64_t streaming_bytes = 2 << 20;

/// Stores a register, past the caches where there is an instruction for it. \param to aligned to
/// the register's size, which is 16 bytes or more.
template <class Vector> HENCE_FN void stream_register(Vector x, float* to) {
#if defined(__x86_64__)
  if constexpr (sizeof(Vector) >= 16) {
#  if defined(__AVX__)
    __asm__("vmovntps %1, %0" : "=m"(*reinterpret_cast<Vector*>(to)) : "v"(x));
#  else
    __asm__("movntps %1, %0" : "=m"(*reinterpret_cast<Vector*>(to)) : "x"(x));
#  endif
    return;
  }
#endif
  __builtin_memcpy(to, &x, sizeof(x));  // no test: where a register has 8 bytes
}

/// A place for rows. Whole registers may be written, since the rows after them come later.
struct row_place {
  float* to;
  bool past_caches;  ///< `stream_register` may be used, for as many lanes as `pack<double>` has
};

/// Rows are written in order, from `begin` to `end`: take a place, fill it, take the next.
template <class Isa> class row_writer {
 public:
  static constexpr unsigned capacity = 1024;  // of one place

  row_writer(const view<float>& out, std::int64_t begin, std::int64_t end)
      : out_(out),
        next_(begin),
        end_(end),
        contiguous_(out.stride[0] == 1),
        streams_(contiguous_ && out.extent[0] * 4 >= streaming_bytes) {}

  /// The place of the next n rows, n <= capacity.
  HENCE_FN row_place take(std::int64_t n) {
    if (held_ >= gathered || (held_ > 0 && !streams_)) release();
    const bool whole = n % lanes == 0;
    if (held_ == 0 && (streams_ ? lanes >= 4 && whole && is_aligned(lanes)
                                : contiguous_ && (whole || next_ + n + lanes <= end_))) {
      float* to = out_.data + next_;
      next_ += n;
      return {to, streams_};
    }
    float* to = buffer_ + held_;
    held_ += n;
    return {to, false};
  }

  /// Stores the rest, for other threads to see.
  void finish() {
    if (streams_) release();
    store(held_);
#if defined(__x86_64__)
    if (streams_) __builtin_ia32_sfence();
#endif
  }

 private:
  static constexpr std::int64_t lanes = pack<double, Isa>::lanes, line = 16;

  static constexpr std::int64_t gathered = 256;  // so many rows are worth the work of a release

  HENCE_FN bool is_aligned(std::int64_t floats) const {
    return reinterpret_cast<std::uintptr_t>(out_.data + next_) %
               static_cast<std::uintptr_t>(floats * 4) ==
           0;
  }
  /// Stores what is held, but for the start of a line that is to be streamed whole.
  void release() {
    if (!streams_) return store(held_);
    const std::int64_t misaligned = static_cast<std::int64_t>(
        reinterpret_cast<std::uintptr_t>(out_.data + next_) / 4 % static_cast<unsigned>(line));
    if (misaligned > 0 && held_ >= line) store(line - misaligned);
    if (!is_aligned(line)) return;
    using F = pack<float, Isa>;
    std::int64_t i = 0;
    for (; i + line <= held_; i += line, next_ += line)
      for (std::int64_t k = 0; k < line; k += F::lanes)
        stream_register(F::load(buffer_ + i + k).v, out_.data + next_ + k);
    drop(i);
  }
  /// Stores the first n rows held.
  void store(std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) out_[next_++] = buffer_[i];
    drop(n);
  }
  void drop(std::int64_t n) {
    for (std::int64_t i = n; i < held_; ++i) buffer_[i - n] = buffer_[i];
    held_ -= n;
  }

  alignas(64) float buffer_[capacity + gathered + 64];
  view<float> out_;
  std::int64_t next_, end_, held_ = 0;  // buffer_[0] belongs to row next_
  bool contiguous_, streams_;
};

}  // namespace hence::inline v0::detail
