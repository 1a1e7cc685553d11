// The policy loss with its gradient, and the advantages.
#include "device.cuh"

#include <hence/cuda/advantages.cuh>
#include <hence/cuda/policy_loss.cuh>
#include <hence/policy/recipe.hpp>

namespace {

using namespace bench;

template <class Loss> void loss_of(benchmark::State& state, const Loss& loss, double bytes) {
  const std::int64_t rows = size(8192, 4), width = size(4096, 130), tokens = rows * width;
  const array<float> logp(tokens, noise(-1, 0.5f, 1)), old(tokens, noise(-1, 0.5f, 2)),
      ref(tokens, noise(-1, 0.5f, 3)), advantages(rows, noise(0, 1, 4)), gradient(tokens);
  const hence::padded batch{.rows = rows, .width = width};
  hence::policy_inputs<float> in;
  in.logp = {logp.read(width), {.temperature = 1.0}};
  in.old = {old.read(width), {.temperature = 1.0}};
  in.ref = {ref.read(width), {.temperature = 1.0}};
  in.advantages = advantages.read();
  const array<hence::cuda::loss_state_for<Loss, hence::over_this_call_t>> sums(1);
  run(state, {bytes * double(tokens)}, [&](cudaStream_t s) {
    hence::cuda::loss_and_gradient(s, loss, batch, in, hence::over_this_call, gradient.rows(width),
                                   sums.get());
  });
}
// bytes per token: logp, old, the gradient; ref
void policy_loss_dapo(benchmark::State& s) { loss_of(s, hence::recipe::dapo(), 12); }
void policy_loss_grpo(benchmark::State& s) { loss_of(s, hence::recipe::grpo(0.2f), 16); }
BENCHMARK(policy_loss_dapo)->Apply(times);
BENCHMARK(policy_loss_grpo)->Apply(times);

void advantages(benchmark::State& state) {
  const std::int64_t groups = size(1 << 20, 5), rows = 16 * groups;
  const array<float> rewards(rows, noise(0, 1, 1)), out(rows);
  std::vector<std::int64_t> boundaries;
  for (std::int64_t g = 0; g <= groups; ++g) boundaries.push_back(16 * g);
  const array<std::int64_t> cu(groups + 1);
  check(cudaMemcpy(cu.get(), boundaries.data(), boundaries.size() * 8, cudaMemcpyHostToDevice));
  const array<hence::status> conditions(1);
  run(state, {8.0 * double(rows)}, [&](cudaStream_t s) {
    hence::cuda::advantages(s, hence::advantage::grpo(1, 1e-4, hence::advantage::singleton_zero{}),
                            {{cu.read()}}, rewards.read(), out.all(), conditions.get());
  });
}
BENCHMARK(advantages)->Apply(times);

}  // namespace
