// Group advantages against the memory bound: 4 bytes read and 4 written per reward. The bound is
// probed in turn with the kernel, within the same run: a scaled copy, the better of regular and
// non-temporal stores; neither prefetches. `x_bound` is least time over least time. One thread.
#include <benchmark/benchmark.h>
#if defined(__AVX__)
#  include <immintrin.h>
#endif

#include <hence/policy/advantage.hpp>

#include <chrono>
#include <random>
#include <vector>

namespace {

using hence::advantage::singleton_zero;

[[gnu::noinline]] void copy_regular(const float* in, float* out, std::int64_t n, float scale) {
  using V = hence::pack<float>;
  std::int64_t i = 0;
  for (; i + V::lanes <= n; i += V::lanes) (V::load(in + i) * V(scale)).store(out + i);
  for (; i < n; ++i) out[i] = in[i] * scale;
}

[[gnu::noinline]] void copy_streaming(const float* in, float* out, std::int64_t n, float scale) {
  std::int64_t i = 0;
#if defined(__AVX512F__)
  for (; i + 16 <= n; i += 16)
    _mm512_stream_ps(out + i, _mm512_mul_ps(_mm512_loadu_ps(in + i), _mm512_set1_ps(scale)));
  _mm_sfence();
#elif defined(__AVX__)
  for (; i + 8 <= n; i += 8)
    _mm256_stream_ps(out + i, _mm256_mul_ps(_mm256_loadu_ps(in + i), _mm256_set1_ps(scale)));
  _mm_sfence();
#endif
  for (; i < n; ++i) out[i] = in[i] * scale;
}

template <class F> double seconds(F&& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  benchmark::ClobberMemory();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

struct floats {
  explicit floats(std::int64_t n)
      : size(n),
        data(static_cast<float*>(
            ::operator new(static_cast<std::size_t>(n) * 4, std::align_val_t{64}))) {
    for (std::int64_t i = 0; i < n; ++i) data[i] = 0;
  }
  ~floats() { ::operator delete(data, std::align_val_t{64}); }
  floats(const floats&) = delete;
  std::int64_t size;
  float* data;
};

template <class Executor, class Rule>
void run(benchmark::State& state, const Executor& executor, const Rule& rule,
         const std::vector<std::int64_t>& cu) {
  const std::int64_t rows = cu.back();
  floats rewards(rows), out(rows), copy(rows);
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (std::int64_t i = 0; i < rows; ++i) rewards.data[i] = normal(random);
  const hence::view<const float> from(rewards.data, rows);
  double least = 1e9, bound = 1e9, non_temporal = 1e9;
  for (auto _ : state) {
    const double t = seconds([&] {
      benchmark::DoNotOptimize(hence::advantages(executor, rule, hence::groups{.cu_groups = cu},
                                                 from, {out.data, rows}));
    });
    state.SetIterationTime(t);
    least = std::min(least, t);
    bound = std::min(bound, seconds([&] { copy_regular(rewards.data, copy.data, rows, 2.0f); }));
    non_temporal = std::min(non_temporal,
                            seconds([&] { copy_streaming(rewards.data, copy.data, rows, 2.0f); }));
  }
  state.SetItemsProcessed(state.iterations() * rows);
  const double best = std::min(bound, non_temporal);
  state.counters["x_bound"] = least / best;
  state.counters["ns_per_group"] = least * 1e9 / static_cast<double>(cu.size() - 1);
  state.counters["bound_GBps"] = 8e-9 * static_cast<double>(rows) / best;
  state.counters["regular_GBps"] = 8e-9 * static_cast<double>(rows) / bound;
}

std::vector<std::int64_t> equal_sizes(std::int64_t count, std::int64_t size) {
  std::vector<std::int64_t> cu(static_cast<std::size_t>(count) + 1);
  for (std::size_t i = 0; i < cu.size(); ++i) cu[i] = static_cast<std::int64_t>(i) * size;
  return cu;
}
/// Sizes from `least` to `most`, drawn.
std::vector<std::int64_t> ragged_sizes(std::int64_t count, std::int64_t least, std::int64_t most) {
  std::mt19937 random(2);
  std::uniform_int_distribution<std::int64_t> size(least, most);
  std::vector<std::int64_t> cu{0};
  for (std::int64_t i = 0; i < count; ++i) cu.push_back(cu.back() + size(random));
  return cu;
}

void grpo(benchmark::State& state) {
  run(state, hence::cpu{}, hence::advantage::grpo(1, 1e-4, singleton_zero{}),
      equal_sizes(state.range(0), state.range(1)));
}
void dr_grpo(benchmark::State& state) {
  run(state, hence::cpu{}, hence::advantage::dr_grpo(singleton_zero{}),
      equal_sizes(state.range(0), state.range(1)));
}
void grpo_ragged(benchmark::State& state) {
  run(state, hence::cpu{}, hence::advantage::grpo(1, 1e-4, singleton_zero{}),
      ragged_sizes(65536, state.range(0), state.range(1)));
}
void grpo_reference(benchmark::State& state) {
  run(state, hence::reference<float>{}, hence::advantage::grpo(1, 1e-4, singleton_zero{}),
      equal_sizes(state.range(0), state.range(1)));
}

BENCHMARK(grpo)
    ->ArgNames({"groups", "size"})
    ->UseManualTime()
    ->Args({65536, 64})
    ->Args({65536, 16})
    ->Args({65536, 8})
    ->Args({65536, 4})
    ->Args({65536, 13})
    ->Args({65536, 24})
    ->Args({1024, 64})
    ->Args({1024, 16})
    ->Args({4096, 1024})
    ->Args({64, 65536});
BENCHMARK(dr_grpo)
    ->ArgNames({"groups", "size"})
    ->UseManualTime()
    ->Args({65536, 64})
    ->Args({65536, 16});
BENCHMARK(grpo_ragged)
    ->ArgNames({"least", "most"})
    ->UseManualTime()
    ->Args({0, 32})
    ->Args({8, 64})
    ->Args({1, 200});
BENCHMARK(grpo_reference)->ArgNames({"groups", "size"})->UseManualTime()->Args({65536, 16});

}  // namespace
