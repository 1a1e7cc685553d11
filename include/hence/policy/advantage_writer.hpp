/// \file
/// Where a thread's advantages go: gathered in a buffer, then stored line by line. Large results
/// pass the caches by (non-temporal stores): they are not read again soon, and a line that is
/// written whole need not be fetched first.
#pragma once

#include <hence/core/pack.hpp>
#include <hence/core/view.hpp>

namespace hence::inline v0::detail {

/// Results of so many bytes and more bypass the caches: the second-level cache of one core. On the
/// machine of the benchmark a copy ran at 27 GB/s so, and at 17 GB/s with regular stores.
constexpr std::int64_t streaming_bytes = 2 << 20;

/// One 16-float line, past the caches where there is an instruction for it. \param to aligned
/// to 64.
template <class Isa> HENCE_FN void stream_line(const float* from, float* to) {
  using F = pack<float, Isa>;
  for (int i = 0; i < 16; i += F::lanes) {
    const F x = F::load(from + i);
#if defined(__AVX__)
    __asm__("vmovntps %1, %0" : "=m"(*reinterpret_cast<typename F::vector*>(to + i)) : "v"(x.v));
#elif defined(__x86_64__)
    __asm__("movntps %1, %0" : "=m"(*reinterpret_cast<typename F::vector*>(to + i)) : "x"(x.v));
#else
    x.store(to + i);
#endif
  }
}

/// Rows are written in order, from `begin` to `end`.
template <class Isa> class row_writer {
 public:
  static constexpr unsigned capacity = 2048;  // rows between two calls of `settle`

  row_writer(const view<float>& out, std::int64_t begin, std::int64_t end)
      : out_(out),
        next_(begin),
        end_(end),
        contiguous_(out.stride[0] == 1),
        streams_(contiguous_ && out.extent[0] * 4 >= streaming_bytes) {}

  /// Where the next n rows go; whole registers may be written, as the rows after them come later.
  HENCE_FN float* take(std::int64_t n) {
    if (contiguous_ && !streams_ && held_ == 0 && next_ + n + pack<double, Isa>::lanes <= end_) {
      float* p = &out_[next_];
      next_ += n;
      return p;
    }
    float* p = buffer_ + held_;
    held_ += n;
    return p;
  }

  /// Stores about n of the rows held, so that stores past the caches do not come all at once.
  HENCE_FN void drain(std::int64_t n) {
    if (streams_)
      for (; n > 0 && done_ + 16 <= held_ && aligned(); n -= 16) {
        stream_line<Isa>(buffer_ + done_, out_.data + next_);
        done_ += 16, next_ += 16;
      }
  }
  /// Makes room for `capacity` rows.
  void settle() {
    if (streams_) {
      while (done_ < held_ && !aligned()) out_[next_++] = buffer_[done_++];
      drain(held_);
      std::int64_t rest = 0;
      for (; done_ < held_; ++done_, ++rest) buffer_[rest] = buffer_[done_];
      done_ = 0, held_ = rest;
    } else {
      store();
    }
  }

  /// Stores the rest, for other threads to see.
  void finish() {
    drain(held_);
    store();
#if defined(__x86_64__)
    if (streams_) __builtin_ia32_sfence();
#endif
  }

 private:
  HENCE_FN bool aligned() const {
    return reinterpret_cast<std::uintptr_t>(out_.data + next_) % 64 == 0;
  }
  void store() {
    while (done_ < held_) out_[next_++] = buffer_[done_++];
    done_ = 0, held_ = 0;
  }

  alignas(64) float buffer_[capacity + 64];
  view<float> out_;
  std::int64_t next_, end_, done_ = 0, held_ = 0;  // buffer_[done_] belongs to row next_
  bool contiguous_, streams_;
};

}  // namespace hence::inline v0::detail
