// Drawing a token from 64 rows, against the time to read the rows once; both of the thread.
#include "probe.hpp"

#include <hence/logits/sample.hpp>

#include <random>

namespace {

using hence::view;

void draw(benchmark::State& state, const hence::sample_rule& rule, bool peaked) {
  probe::of_thread = true;
  const std::int64_t rows = 64, columns = state.range(0);
  const auto n = static_cast<std::size_t>(rows * columns);
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 2.5f);
  probe::array logits(n, [&](std::size_t i) {
    return normal(random) +
           (peaked && i % static_cast<std::size_t>(columns) % 1200 == 7 ? 9.0f : 0);
  });
  std::vector<float> uniforms(static_cast<std::size_t>(rows));
  for (std::size_t i = 0; i < uniforms.size(); ++i)
    uniforms[i] = hence::uniform_of(1, {.token = static_cast<std::uint32_t>(i)});
  std::vector<std::int64_t> token(uniforms.size());
  std::vector<float> logp(uniforms.size());
  std::vector<std::byte> memory(static_cast<std::size_t>(hence::sample_bytes(columns)));
  probe::run(
      state, n,
      [&] {
        benchmark::DoNotOptimize(hence::sample(hence::cpu{}, rule,
                                               view<const float, 2>(logits.data(), rows, columns),
                                               uniforms, {.token = token, .logp = logp}, memory));
      },
      [&] { benchmark::DoNotOptimize(probe::read_stream(logits.data(), n)); });
}

void plain(benchmark::State& s) { draw(s, {.temperature = 0.8}, false); }
void top_k(benchmark::State& s) { draw(s, {.temperature = 0.8, .top_k = 50}, false); }
void top_k_top_p(benchmark::State& s) {
  draw(s, {.temperature = 0.8, .top_k = 50, .top_p = 0.95}, false);
}
void top_p(benchmark::State& s) { draw(s, {.temperature = 0.8, .top_p = 0.95}, false); }
void top_p_peaked(benchmark::State& s) { draw(s, {.temperature = 0.8, .top_p = 0.95}, true); }
void shapes(benchmark::internal::Benchmark* b) {
  b->Arg(50257)->Arg(151936)->UseManualTime()->Iterations(15)->Unit(benchmark::kMillisecond);
}
BENCHMARK(plain)->Apply(shapes);
BENCHMARK(top_k)->Apply(shapes);
BENCHMARK(top_k_top_p)->Apply(shapes);
BENCHMARK(top_p)->Apply(shapes);
BENCHMARK(top_p_peaked)->Apply(shapes);

}  // namespace
