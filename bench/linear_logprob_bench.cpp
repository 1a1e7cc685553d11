// linear_logprob, one call: loss of known cotangents, gradients of hidden states and head, against
// three matrix products of the same backend.
#include "probe.hpp"

#include <hence/logits/linear_logprob.hpp>

#include <random>

#if defined(HENCE_BENCH_EIGEN)
#  include <hence/core/gemm/eigen.hpp>
#endif
#if defined(HENCE_BENCH_OPENBLAS)
#  include <hence/core/gemm/cblas.hpp>
#endif
#if defined(HENCE_BENCH_DNNL)
#  include <hence/core/gemm/onednn.hpp>
#endif

namespace {

using hence::update;
using hence::view;

template <class Gemm, class W = float> void one_call(benchmark::State& state) {
  const std::int64_t tokens = state.range(0), width = state.range(1), vocabulary = state.range(2);
  const std::int64_t tile = state.range(3);
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 0.2f);
  const auto fill = [&](std::size_t) { return normal(random); };
  const auto zero = [](std::size_t) { return 0.0f; };
  const auto size = [](std::int64_t a, std::int64_t b) { return static_cast<std::size_t>(a * b); };
  probe::array hidden(size(tokens, width), fill), weight(size(vocabulary, width), fill);
  probe::array d_hidden(hidden.size(), zero), d_weight(weight.size(), zero);
  probe::array scratch(static_cast<std::size_t>(Gemm::scratch_floats) + 64, zero);
  probe::array logits(size(tile, hence::detail::rounded_up(vocabulary)), zero);
  std::vector<std::int64_t> labels(static_cast<std::size_t>(tokens), 5);
  std::vector<float> logp(labels.size()), cot(labels.size(), 0.5f);
  std::vector<std::byte> memory(
      static_cast<std::size_t>(hence::linear_logprob_bytes<Gemm>(tile, width, vocabulary)));
  std::vector<W> stored;
  for (std::size_t i = 0; i < weight.size(); ++i) stored.push_back(W(weight.data()[i]));
  const view<const float, 2> h(hidden.data(), tokens, width);
  const view<const W, 2> w(stored.data(), vocabulary, width);
  const view<float, 2> dh(d_hidden.data(), tokens, width), dw(d_weight.data(), vocabulary, width);
  const hence::softmax_rule rule{.temperature = 1.0, .negative = hence::negative_labels::ignored};
  const Gemm gemm;
  probe::run(
      state, size(tokens, vocabulary),
      [&] {
        benchmark::DoNotOptimize(hence::linear_logprob_and_gradient(
            hence::cpu{}, gemm, rule, h, hence::linear_head<const W>{.weight = w}, labels,
            {.logp = cot}, {.logp = logp}, {.hidden = dh, .weight = dw}, memory));
      },
      [&] {  // the products alone, in the same tiles
        for (std::int64_t t = 0; t < tokens; t += tile) {
          const std::int64_t n = std::min(tile, tokens - t);
          const view<float, 2> z(logits.data(), n, vocabulary,
                                 hence::detail::rounded_up(vocabulary));
          const view<const float, 2> read = z;
          gemm(hence::rows_of(h, t, n), hence::transposed(w), z, update::overwrite, scratch.data());
          gemm(read, w, hence::rows_of(dh, t, n), update::overwrite, scratch.data());
          gemm(hence::transposed(read), hence::rows_of(h, t, n), dw, update::accumulate,
               scratch.data());
        }
      });
  state.counters["MiB"] = static_cast<double>(memory.size()) / 1048576;
}

void ordered(benchmark::State& s) { one_call<hence::gemm::ordered>(s); }
void shapes(benchmark::internal::Benchmark* b) {
  b->Args({512, 576, 49152, 256})->Args({1024, 896, 32000, 256});
  b->UseManualTime()->Iterations(2)->Unit(benchmark::kMillisecond);
}
BENCHMARK(ordered)->Apply(shapes);
#if defined(HENCE_BENCH_EIGEN)
void eigen(benchmark::State& s) { one_call<hence::gemm::eigen>(s); }
BENCHMARK(eigen)->Apply(shapes);
#endif
// Threads of a library: one, by OPENBLAS_NUM_THREADS=1 and OMP_NUM_THREADS=1.
#if defined(HENCE_BENCH_OPENBLAS)
void cblas(benchmark::State& s) { one_call<hence::gemm::cblas>(s); }
BENCHMARK(cblas)->Apply(shapes);
#endif
#if defined(HENCE_BENCH_DNNL)
void onednn(benchmark::State& s) { one_call<hence::gemm::onednn>(s); }
void onednn_bf16(benchmark::State& s) { one_call<hence::gemm::onednn_bf16, hence::bf16>(s); }
BENCHMARK(onednn)->Apply(shapes);
BENCHMARK(onednn_bf16)->Apply(shapes);
#endif

}  // namespace
