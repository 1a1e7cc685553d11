// Routing as DeepSeek-V3 and Qwen3 do it, and the permutation of its slots.
#include "device.cuh"

#include <hence/cuda/gate.cuh>
#include <hence/cuda/permute.cuh>

namespace {

using namespace bench;
namespace moe = hence::moe;

template <class Gate>
void routed(benchmark::State& state, const Gate& gate, std::int64_t experts, bool biased) {
  const std::int64_t tokens = size(1 << 17, 9), k = gate.k;
  const array<float> logits(tokens * experts, noise(0, 1, 1)), bias(experts, noise(0, 0.1f, 2)),
      weights(tokens * k);
  const array<std::int32_t> ids(tokens * k);
  const array<std::int64_t> load(experts);
  const array<moe::route_counts> counts(1);
  moe::gate_inputs<float> in{.logits = logits.read(experts)};
  if (biased) in.bias = bias.read();
  run(state, {double(tokens) * (4 * double(experts) + 8 * double(k))}, [&](cudaStream_t s) {
    hence::cuda::route(s, gate, in,
                       moe::gate_outputs<float>{
                           .ids = ids.rows(k), .weights = weights.rows(k), .load = load.all()},
                       counts.get());
  });
}
void route_deepseek_v3(benchmark::State& s) {
  routed(s,
         moe::gate{moe::score::sigmoid{}, 8, moe::grouped{8, 4, moe::top2_sum{}},
                   moe::normalized{1e-20, moe::single_raw{}}, 2.5},
         256, true);
}
void route_qwen3(benchmark::State& s) {
  routed(s,
         moe::gate{moe::score::softmax{}, 8, moe::all_experts{},
                   moe::normalized{0.0, moe::single_raw{}}, 1.0},
         128, false);
}
BENCHMARK(route_deepseek_v3)->Apply(times);
BENCHMARK(route_qwen3)->Apply(times);

/// Bytes: a slot's alone; the workspace's, 16 an expert and tile four times, stay in the cache.
void permute(benchmark::State& state) {
  const std::int64_t tokens = size(1 << 20, 9), k = 8, experts = 256;
  const array<std::int32_t> ids(tokens * k, [](std::int64_t i) {
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(i) * 2654435761u >> 24);
  });
  const array<std::int64_t> offsets(experts + 1), order(tokens * k), position(tokens * k);
  const std::int64_t bytes = hence::cuda::permute_workspace_bytes(tokens, k, experts);
  const array<std::byte> workspace(bytes);
  const array<hence::status> conditions(1);
  run(state, {24.0 * double(tokens * k)}, [&](cudaStream_t s) {
    hence::cuda::permute(
        s, ids.read(k), experts, 1,
        {.offsets = offsets.all(), .order = order.all(), .position = position.rows(k)},
        {workspace.get(), static_cast<std::size_t>(bytes)}, conditions.get());
  });
}
BENCHMARK(permute)->Apply(times);

}  // namespace
