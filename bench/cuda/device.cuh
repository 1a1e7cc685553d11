// What every benchmark of a kernel needs: memory, times by cudaEvent, and the device's peak.
#pragma once

#include <hence/core/storage.hpp>
#include <hence/core/view.hpp>
#include <hence/cuda/launch.cuh>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <vector>

namespace bench {

inline void check(cudaError_t e) { hence::cuda::check(e, "a call of the benchmark"); }

/// HENCE_BENCH_SMALL=1: sizes at which the emulator of tests/ptx can try a benchmark. No figure
/// means anything then, and there is no peak.
inline bool is_small() { return std::getenv("HENCE_BENCH_SMALL") != nullptr; }
inline std::int64_t size(std::int64_t full, std::int64_t small) {
  return is_small() ? small : full;
}

inline double attribute(cudaDeviceAttr name) {
  int value = 0, device = 0;
  if (is_small()) return 0;
  check(cudaGetDevice(&device));
  check(cudaDeviceGetAttribute(&value, name, device));
  return value;
}
/// Bytes a second between the device and its memory, two transfers a clock: 3.35e12 of an H100 SXM.
inline double peak() {
  return 2 * 1e3 * attribute(cudaDevAttrMemoryClockRate) *
         attribute(cudaDevAttrGlobalMemoryBusWidth) / 8;
}

/// n elements of device memory: of zero bytes, or f(0), f(1), ... in a period of a million.
template <class T> class array {
 public:
  explicit array(std::int64_t n) : size_(n) {
    void* p = nullptr;
    check(cudaMalloc(&p, bytes() + 1));
    data_ = static_cast<T*>(p);
    check(cudaMemset(p, 0, bytes()));
  }
  template <class F> array(std::int64_t n, F&& f) : array(n) {
    const std::int64_t period = std::min<std::int64_t>(n, 1048573);  // prime: no row is another
    std::vector<T> host(static_cast<std::size_t>(period));
    for (std::int64_t i = 0; i < period; ++i) host[static_cast<std::size_t>(i)] = f(i);
    for (std::int64_t i = 0; i < n; i += period)
      check(cudaMemcpy(static_cast<void*>(data_ + i), host.data(),
                       static_cast<std::size_t>(std::min(period, n - i)) * sizeof(T),
                       cudaMemcpyHostToDevice));
  }
  array(const array&) = delete;
  array& operator=(const array&) = delete;
  ~array() { cudaFree(data_); }

  T* get() const { return data_; }
  hence::view<T> all() const { return {data_, size_}; }
  hence::view<const T> read() const { return {data_, size_}; }
  hence::view<T, 2> rows(std::int64_t columns) const { return {data_, size_ / columns, columns}; }
  hence::view<const T, 2> read(std::int64_t columns) const { return rows(columns); }

 private:
  std::size_t bytes() const { return static_cast<std::size_t>(size_) * sizeof(T); }
  std::int64_t size_;
  T* data_ = nullptr;
};

/// f(i) for arrays: numbers around `mean`.
inline auto noise(float mean, float deviation, unsigned seed) {
  return [random = std::mt19937(seed), normal = std::normal_distribution<float>(mean, deviation)](
             std::int64_t) mutable { return normal(random); };
}

/// What a call moves, as the kernel's header states it, and what it computes.
struct work {
  double bytes, flops = 0;
};

/// Times queue(stream) by events on that stream; nothing of its arrays is in the L2 cache before.
template <class F> void run(benchmark::State& state, const work& w, F&& queue) {
  cudaStream_t stream;
  cudaEvent_t begin, end;
  check(cudaStreamCreate(&stream));
  check(cudaEventCreate(&begin));
  check(cudaEventCreate(&end));
  try {
    const auto cache = static_cast<std::int64_t>(2 * attribute(cudaDevAttrL2CacheSize));
    const array<unsigned char> other(cache);
    queue(stream);  // what only the first launch costs
    check(cudaStreamSynchronize(stream));
    double seconds = 0;
    for (auto _ : state) {
      check(cudaMemsetAsync(other.get(), 0, other.all().extent[0], stream));
      check(cudaEventRecord(begin, stream));
      queue(stream);
      check(cudaEventRecord(end, stream));
      check(cudaEventSynchronize(end));
      float milliseconds = 0;
      check(cudaEventElapsedTime(&milliseconds, begin, end));
      state.SetIterationTime(1e-3 * milliseconds);
      seconds += 1e-3 * milliseconds;
    }
    const double each = seconds / static_cast<double>(state.iterations());
    state.counters["GB/s"] = 1e-9 * w.bytes / each;
    if (peak() > 0) state.counters["of_peak"] = w.bytes / each / peak();
    if (w.flops > 0) state.counters["TFLOPS"] = 1e-12 * w.flops / each;
  } catch (const std::exception& e) {
    state.SkipWithError(e.what());
  }
  check(cudaEventDestroy(end));
  check(cudaEventDestroy(begin));
  check(cudaStreamDestroy(stream));
}

inline void times(benchmark::internal::Benchmark* b) {
  b->UseManualTime()->Unit(benchmark::kMillisecond);
}

}  // namespace bench
