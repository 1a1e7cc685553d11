// gemm::ordered against the machine's fused multiply-adds per second, at the shapes of a
// linear log-prob: m tokens, n vocabulary, k model width. In time of the thread.
#include "peak.hpp"
#include "probe.hpp"

#include <hence/core/gemm/ordered.hpp>

#include <random>

#if defined(HENCE_BENCH_EIGEN)
#  include <Eigen/Core>
#endif

namespace {

template <class Product> void run(benchmark::State& state, Product product) {
  probe::of_thread = true;
  const std::int64_t m = state.range(0), n = state.range(1), k = state.range(2);
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 1);
  const auto fill = [&](std::size_t) { return normal(random); };
  probe::array a(static_cast<std::size_t>(m * k), fill), b(static_cast<std::size_t>(n * k), fill),
      c(static_cast<std::size_t>(m * n), fill);
  const double work = static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  double best = 1e9, peak = 0;
  for (auto _ : state) {
    const double t = probe::seconds([&] { product(a.data(), b.data(), c.data(), m, n, k); });
    state.SetIterationTime(t);
    best = std::min(best, t);
    double count = 0;
    const double s = probe::seconds([&] { count = probe::multiply_adds(); });
    peak = std::max(peak, count / s);
  }
  state.counters["GFLOPS"] = 2e-9 * work / best;
  state.counters["peak"] = 2e-9 * peak;
  state.counters["of_peak"] = work / best / peak;
}

/// C = A B^T, A [m, k], B [n, k]: logits from hidden states and the head.
void ordered_logits(benchmark::State& state) {
  probe::array scratch(hence::gemm::ordered::scratch_floats, [](std::size_t) { return 0.0f; });
  run(state, [&](const float* a, const float* b, float* c, std::int64_t m, std::int64_t n,
                 std::int64_t k) {
    hence::gemm::ordered{}(hence::view<const float, 2>(a, m, k),
                           hence::transposed(hence::view<const float, 2>(b, n, k)),
                           hence::view<float, 2>(c, m, n), hence::update::overwrite,
                           scratch.data());
  });
}
BENCHMARK(ordered_logits)
    ->Args({512, 49152, 576})
    ->Args({1024, 32000, 896})
    ->Args({256, 49152, 576})
    ->UseManualTime()
    ->Iterations(5)
    ->Unit(benchmark::kMillisecond);

#if defined(HENCE_BENCH_EIGEN)
void eigen_logits(benchmark::State& state) {
  using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  run(state, [&](const float* a, const float* b, float* c, std::int64_t m, std::int64_t n,
                 std::int64_t k) {
    Eigen::Map<matrix>(c, m, n).noalias() =
        Eigen::Map<const matrix>(a, m, k) * Eigen::Map<const matrix>(b, n, k).transpose();
  });
}
BENCHMARK(eigen_logits)
    ->Args({512, 49152, 576})
    ->UseManualTime()
    ->Iterations(5)
    ->Unit(benchmark::kMillisecond);
#endif

}  // namespace
