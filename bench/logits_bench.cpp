// Log-prob and entropy of labels from logits, without and with the gradient, against the time to
// read the logits once (and to write as much).
#include "probe.hpp"

#include <hence/logits/token_logprob.hpp>

#include <random>

namespace {

using hence::view;

/// Logits of `rows` rows: normal ones, or rising through 300 nats so that every leaf moves its
/// references.
template <class T> struct matrix {
  std::int64_t rows, columns;
  std::vector<T> data;
  matrix(std::int64_t r, std::int64_t c, bool rising)
      : rows(r), columns(c), data(static_cast<std::size_t>(r * c)) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0, 3);
    std::vector<float> noise(1 << 20);
    for (float& x : noise) x = normal(random);
    for (std::size_t i = 0; i < data.size(); ++i) {
      const float slope = rising ? 300.0f * static_cast<float>(i % static_cast<std::size_t>(c)) /
                                       static_cast<float>(c)
                                 : 0.0f;
      data[i] = T(noise[i % noise.size()] * (rising ? 0.1f : 1.0f) + slope);
    }
  }
  view<const T, 2> read() const { return {data.data(), rows, columns}; }
  std::size_t words() const { return data.size() * sizeof(T) / 4; }
  const float* raw() const { return reinterpret_cast<const float*>(data.data()); }
};

constexpr hence::softmax_rule rule{.temperature = 1.0, .negative = hence::negative_labels::ignored};

template <class T> void forward(benchmark::State& state, bool rising) {
  const matrix<T> logits(state.range(0), state.range(1), rising);
  const auto rows = static_cast<std::size_t>(logits.rows);
  std::vector<std::int64_t> labels(rows);
  for (std::size_t i = 0; i < rows; ++i)
    labels[i] = static_cast<std::int64_t>(i * 7919) % logits.columns;
  std::vector<float> logp(rows), entropy(rows);
  probe::run(
      state, logits.data.size(),
      [&] {
        benchmark::DoNotOptimize(hence::token_logprob(hence::cpu{}, rule, logits.read(), labels,
                                                      {.logp = logp, .entropy = entropy}));
      },
      [&] { benchmark::DoNotOptimize(probe::read_stream(logits.raw(), logits.words())); });
}

template <class T> void both(benchmark::State& state) {
  const matrix<T> logits(state.range(0), state.range(1), false);
  const auto rows = static_cast<std::size_t>(logits.rows);
  std::vector<std::int64_t> labels(rows);
  for (std::size_t i = 0; i < rows; ++i)
    labels[i] = static_cast<std::int64_t>(i * 7919) % logits.columns;
  std::vector<float> logp(rows), entropy(rows), cot(rows, 0.5f);
  std::vector<T> gradient(logits.data.size());
  auto* raw_gradient = reinterpret_cast<float*>(gradient.data());
  const float* streams[] = {logits.raw()};
  const std::size_t whole = logits.words() / 16 * 16;
  probe::run(
      state, logits.data.size(),
      [&] {
        benchmark::DoNotOptimize(hence::token_logprob_and_gradient(
            hence::cpu{}, rule, logits.read(), labels, {.logp = cot, .entropy = cot},
            {.logp = logp, .entropy = entropy},
            view<T, 2>(gradient.data(), logits.rows, logits.columns)));
      },
      [&] { probe::sum_streams<1, false>(streams, raw_gradient, whole); });
}

void forward_fp32(benchmark::State& s) { forward<float>(s, false); }
void forward_fp32_rising(benchmark::State& s) { forward<float>(s, true); }
void forward_bf16(benchmark::State& s) { forward<hence::bf16>(s, false); }
void forward_f16(benchmark::State& s) { forward<hence::f16>(s, false); }
void gradient_fp32(benchmark::State& s) { both<float>(s); }
void gradient_bf16(benchmark::State& s) { both<hence::bf16>(s); }

void shapes(benchmark::internal::Benchmark* b) {
  b->Args({512, 32000})->Args({2048, 50257})->Args({256, 152064});
  b->UseManualTime()->Iterations(5)->Unit(benchmark::kMillisecond);
}
BENCHMARK(forward_fp32)->Apply(shapes)->Args({4096, 300})->Args({64, 4096});
BENCHMARK(forward_fp32_rising)->Apply(shapes);
BENCHMARK(forward_bf16)->Apply(shapes);
BENCHMARK(forward_f16)->Apply(shapes);
BENCHMARK(gradient_fp32)->Apply(shapes);
BENCHMARK(gradient_bf16)->Apply(shapes);

}  // namespace
