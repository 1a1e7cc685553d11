// The machine's own bounds, measured in the same binary and run as the kernel that they judge.
#pragma once

#include <benchmark/benchmark.h>
#include <immintrin.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <vector>

namespace probe {

/// Memory aligned to a cache line, filled by f(i).
class array {
 public:
  template <class F> array(std::size_t n, F f) : storage_(n + 64), size_(n) {
    offset_ = (64 - reinterpret_cast<std::uintptr_t>(storage_.data()) % 64) / 4 % 16;
    for (std::size_t i = 0; i < n; ++i) data()[i] = f(i);
  }
  float* data() { return storage_.data() + offset_; }
  std::size_t size() const { return size_; }

 private:
  std::vector<float> storage_;
  std::size_t size_, offset_;
};

/// out = sum of the `Inputs` arrays: the bytes of a kernel and next to none of its arithmetic.
/// Prefetches as the policy loss does.
/// \tparam Streaming non-temporal stores, which spare the read of the line that is written.
template <int Inputs, bool Streaming>
[[gnu::noinline]] void sum_streams(const float* const* in, float* out, std::size_t n) {
  const auto prefetch = [&](std::size_t i) {
    for (int k = 0; k < Inputs; ++k) __builtin_prefetch(in[k] + i + 512);
    if constexpr (!Streaming) __builtin_prefetch(out + i + 512, 1);
  };
#if defined(__AVX512F__)
  for (std::size_t i = 0; i < n; i += 16) {
    prefetch(i);
    __m512 x = _mm512_loadu_ps(in[0] + i);
    for (int k = 1; k < Inputs; ++k) x = _mm512_add_ps(x, _mm512_loadu_ps(in[k] + i));
    if constexpr (Streaming)
      _mm512_stream_ps(out + i, x);
    else
      _mm512_storeu_ps(out + i, x);
  }
#elif defined(__AVX__)
  for (std::size_t i = 0; i < n; i += 8) {
    prefetch(i);
    __m256 x = _mm256_loadu_ps(in[0] + i);
    for (int k = 1; k < Inputs; ++k) x = _mm256_add_ps(x, _mm256_loadu_ps(in[k] + i));
    if constexpr (Streaming)
      _mm256_stream_ps(out + i, x);
    else
      _mm256_storeu_ps(out + i, x);
  }
#else
  for (std::size_t i = 0; i < n; i += 4) {
    prefetch(i);
    __m128 x = _mm_loadu_ps(in[0] + i);
    for (int k = 1; k < Inputs; ++k) x = _mm_add_ps(x, _mm_loadu_ps(in[k] + i));
    if constexpr (Streaming)
      _mm_stream_ps(out + i, x);
    else
      _mm_storeu_ps(out + i, x);
  }
#endif
}

/// Reads n floats and does next to nothing with them.
[[gnu::noinline]] inline float read_stream(const float* in, std::size_t n) {
#if defined(__AVX512F__)
  __m512 s[8];
  for (auto& x : s) x = _mm512_setzero_ps();
  for (std::size_t i = 0; i + 128 <= n; i += 128)
    for (std::size_t k = 0; k < 8; ++k) {
      _mm_prefetch(reinterpret_cast<const char*>(in + i + 16 * k) + 16384, _MM_HINT_T0);
      s[k] = _mm512_add_ps(s[k], _mm512_loadu_ps(in + i + 16 * k));
    }
  for (std::size_t k = 1; k < 8; ++k) s[0] = _mm512_add_ps(s[0], s[k]);
  return _mm512_reduce_add_ps(s[0]);
#elif defined(__AVX__)
  __m256 s[8];
  for (auto& x : s) x = _mm256_setzero_ps();
  for (std::size_t i = 0; i + 64 <= n; i += 64)
    for (std::size_t k = 0; k < 8; ++k) {
      _mm_prefetch(reinterpret_cast<const char*>(in + i + 8 * k) + 16384, _MM_HINT_T0);
      s[k] = _mm256_add_ps(s[k], _mm256_loadu_ps(in + i + 8 * k));
    }
  for (std::size_t k = 1; k < 8; ++k) s[0] = _mm256_add_ps(s[0], s[k]);
  return s[0][0] + s[0][1] + s[0][2] + s[0][3] + s[0][4] + s[0][5] + s[0][6] + s[0][7];
#else
  __m128 s[8];
  for (auto& x : s) x = _mm_setzero_ps();
  for (std::size_t i = 0; i + 32 <= n; i += 32)
    for (std::size_t k = 0; k < 8; ++k) s[k] = _mm_add_ps(s[k], _mm_loadu_ps(in + i + 4 * k));
  for (std::size_t k = 1; k < 8; ++k) s[0] = _mm_add_ps(s[0], s[k]);
  return s[0][0] + s[0][1] + s[0][2] + s[0][3];
#endif
}

/// Whether `seconds` counts the thread's own time instead of the clock's: for serial kernels that
/// run longer than a loaded machine lets them.
inline bool of_thread = false;

template <class F> double seconds(F&& f) {
  const auto now = [] {
    timespec t;
    clock_gettime(of_thread ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  };
  const double start = now();
  f();
  benchmark::ClobberMemory();
  return now() - start;
}

/// Times `kernel` and the bounds in turn, so that both see the same machine; prints ns per element
/// and `x_bound`, the ratio of the fastest times. Small arrays are run several times per timing,
/// and once before it: the bound's non-temporal stores have put the output out of the caches.
template <class Kernel, class... Bounds>
void run(benchmark::State& state, std::size_t elements, Kernel&& kernel, Bounds&&... bounds) {
  const int repeat = static_cast<int>(std::max<std::size_t>(1, 200000 / elements));
  const auto repeated = [&](auto& f) {
    f();
    return seconds([&] {
             for (int i = 0; i < repeat; ++i) {
               f();
               benchmark::ClobberMemory();
             }
           }) /
           repeat;
  };
  double best = 1e9, bound = 1e9;
  for (auto _ : state) {
    const double t = repeated(kernel);
    state.SetIterationTime(t);
    best = std::min(best, t);
    ((bound = std::min(bound, repeated(bounds))), ...);
  }
  state.counters["ns_per_element"] = best * 1e9 / static_cast<double>(elements);
  state.counters["bound_ns"] = bound * 1e9 / static_cast<double>(elements);
  state.counters["x_bound"] = best / bound;
}

}  // namespace probe
