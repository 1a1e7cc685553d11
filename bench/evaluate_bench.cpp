// Figures over many samples: what a benchmark's evaluation and the choice of data cost.

#include <hence/evaluate.hpp>

#include <benchmark/benchmark.h>
#include <cstdint>
#include <vector>

namespace {

namespace evaluate = hence::evaluate;

void pass_at_k(benchmark::State& state) {
  const std::int64_t n = state.range(0), prompts = 1000;
  std::vector<std::int64_t> samples(prompts, n), correct;
  for (std::int64_t i = 0; i < prompts; ++i) correct.push_back(i % (n + 1));
  std::vector<double> out(prompts);
  for (auto _ : state) benchmark::DoNotOptimize(evaluate::pass_at_k(samples, correct, n / 2, out));
  state.SetItemsProcessed(state.iterations() * prompts);
}
BENCHMARK(pass_at_k)->Arg(16)->Arg(64)->Arg(1024);

void majority_of_64(benchmark::State& state) {
  std::vector<std::int64_t> answers;
  for (std::int64_t i = 0; i < 64; ++i) answers.push_back(i * i % state.range(0));
  for (auto _ : state)
    benchmark::DoNotOptimize(
        evaluate::majority_vote(answers, 1, evaluate::ties::first_seen).correct);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(majority_of_64)->ArgName("answers")->Arg(4)->Arg(64);

void expected_majority_of_16_in_64(benchmark::State& state) {
  const std::vector<std::int64_t> counts{20, 18, 10, 6, 5, 3, 1, 1};
  std::vector<double> workspace(static_cast<std::size_t>(evaluate::consensus_workspace_size(16)));
  for (auto _ : state)
    benchmark::DoNotOptimize(
        evaluate::expected_majority(counts, 1, 0, 16, evaluate::ties::first_seen, workspace));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(expected_majority_of_16_in_64);

void bootstrap_of_500_prompts(benchmark::State& state) {
  std::vector<double> values(500), means(10000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i % 7) / 7;
  for (auto _ : state) benchmark::DoNotOptimize(evaluate::bootstrap(values, 0.95, 1, means).low);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(bootstrap_of_500_prompts)->Unit(benchmark::kMillisecond);

void keep_informative(benchmark::State& state) {
  const std::int64_t groups = 65536, size = 16;
  std::vector<float> metric;
  std::vector<std::int64_t> cu_groups{0};
  for (std::int64_t g = 0; g < groups; ++g) {
    for (std::int64_t i = 0; i < size; ++i) metric.push_back(g % 4 == 0 ? 0.0f : float(i % 3 == 0));
    cu_groups.push_back(cu_groups.back() + size);
  }
  std::vector<std::uint8_t> keep(static_cast<std::size_t>(groups));
  for (auto _ : state) {
    evaluate::refill accounts{.wanted = groups};
    evaluate::keep_informative(metric, cu_groups, 1e-6f, {0, 1}, keep, accounts);
    benchmark::DoNotOptimize(accounts.kept);
  }
  state.SetItemsProcessed(state.iterations() * groups);
}
BENCHMARK(keep_informative);

void pack_chunks(benchmark::State& state) {
  const std::int64_t capacity = 32768;
  std::vector<std::int64_t> lengths;
  for (std::int64_t i = 0; i < state.range(0); ++i) lengths.push_back(1 + i * i * 7919 % capacity);
  std::vector<std::int64_t> chunk(lengths.size()),
      workspace(
          static_cast<std::size_t>(evaluate::packing_workspace_size(state.range(0), capacity)));
  for (auto _ : state)
    benchmark::DoNotOptimize(evaluate::pack_chunks(lengths, capacity, 8, chunk, workspace).chunks);
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(pack_chunks)->Arg(1000)->Arg(100000);

}  // namespace
