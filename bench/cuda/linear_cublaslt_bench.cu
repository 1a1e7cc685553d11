// Log-probs from hidden states and the head with the products of cuBLASLt, and their gradients.
#include "device.cuh"

#include <hence/cuda/linear_logprob_cublaslt.cuh>

namespace {

using namespace bench;
using hence::bf16;

void linear(benchmark::State& state, bool backward, const char* peer) {
  const std::int64_t tokens = size(8192, 3), width = size(4096, 40), columns = size(131072, 4200);
  auto numbers = noise(0, 0.05f, 1);
  const auto number = [&](std::int64_t i) { return bf16(numbers(i)); };
  const array<bf16> hidden(tokens * width, number), weight(columns * width, number);
  const array<std::int64_t> labels(tokens, [](std::int64_t i) { return i * 7919 % 100; });
  const array<float> logp(tokens), entropy(tokens), slope(tokens, noise(0, 1, 2));
  const array<float> to_hidden(backward ? tokens * width : 0),
      to_weight(backward ? columns * width : 0);
  const array<hence::softmax_state> states(tokens);
  const array<hence::status> conditions(1);
  cublasLtHandle_t handle;
  hence::cuda::check(cublasLtCreate(&handle), "cublasLtCreate");
  {
    const hence::gemm::cublaslt<bf16> products(handle, {.tokens = tokens,
                                                        .width = width,
                                                        .vocabulary = columns,
                                                        .tile_columns = size(8192, 4096)});
    const array<std::byte> workspace(products.workspace_bytes());
    const std::span<std::byte> scratch(workspace.get(),
                                       static_cast<std::size_t>(products.workspace_bytes()));
    const hence::softmax_rule rule{.temperature = 1.0, .negative = hence::negative_labels::ignored};
    const hence::linear_head<const bf16> head{weight.read(width)};
    const hence::token_labels of(labels.read());
    const auto forward = [&](cudaStream_t s) {
      hence::cuda::linear_logprob(
          s, products, rule, hidden.read(width), head, of,
          {.logp = logp.all(), .entropy = entropy.all(), .states = states.all()}, scratch,
          conditions.get());
    };
    const double t = double(tokens), v = double(columns), d = double(width);
    const double tiles = double((columns + 8191) / 8192), product = 2 * t * v * d;
    // each matrix once a product; what lies in the L2 cache counts as moved
    const double once = 2 * v * d + 2 * t * d * tiles + 8 * t * v;
    state.SetLabel(peer);
    if (!backward) {
      run(state, {once + 2 * 9224 * t * tiles, product}, forward);
    } else {
      forward(nullptr);
      run(state, {2 * once + 6 * t * v + 4 * v * d + 8 * t * d * tiles, 3 * product},
          [&](cudaStream_t s) {
            hence::cuda::linear_logprob_gradient(
                s, products, rule, hidden.read(width), head, of, states.read(),
                {.logp = slope.read()},
                {.hidden = to_hidden.rows(width), .weight = to_weight.rows(width)}, scratch,
                conditions.get());
          });
    }
  }
  hence::cuda::check(cublasLtDestroy(handle), "cublasLtDestroy");
}
void linear_logprob_cublaslt(benchmark::State& s) {
  linear(s, false, "Liger CuTe bf16, this shape, H100: 12.25 ms, 718 TFLOPS");
}
void linear_logprob_gradient_cublaslt(benchmark::State& s) {
  linear(s, true, "Liger CuTe bf16, this shape, H100: 37.93 ms");
}
BENCHMARK(linear_logprob_cublaslt)->Apply(times)->Iterations(3);
BENCHMARK(linear_logprob_gradient_cublaslt)->Apply(times)->Iterations(3);

}  // namespace
