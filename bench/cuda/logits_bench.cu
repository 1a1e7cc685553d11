// Log-probs from logits, from hidden states and the head, with their gradients; sampling.
#include "device.cuh"

#include <hence/cuda/linear_logprob.cuh>
#include <hence/cuda/sample.cuh>
#include <hence/cuda/token_logprob_split.cuh>

namespace {

using namespace bench;
using hence::bf16;

constexpr auto label = [](std::int64_t i) { return i * 7919 % 100; };

template <class T> void logprob(benchmark::State& state, bool backward, const char* peer) {
  const std::int64_t rows = size(4096, 2), columns = size(131072, 1000);
  auto numbers = noise(0, 2.5f, 1);
  const array<T> logits(rows * columns, [&](std::int64_t i) { return T(numbers(i)); });
  const array<T> gradient(backward ? rows * columns : 0);
  const array<std::int64_t> labels(rows, label);
  const array<float> logp(rows), entropy(rows), slope(rows, noise(0, 1, 2));
  const array<hence::softmax_state> states(rows);
  const array<hence::status> conditions(1);
  const hence::softmax_rule rule{.temperature = 1.0, .negative = hence::negative_labels::ignored};
  const hence::token_labels of(labels.read());
  const auto forward = [&](cudaStream_t s) {
    hence::cuda::token_logprob(
        s, rule, logits.read(columns), of,
        {.logp = logp.all(), .entropy = entropy.all(), .states = states.all()}, conditions.get());
  };
  const double bytes = double(sizeof(T)) * double(rows) * double(columns);
  state.SetLabel(peer);
  if (!backward) return run(state, {bytes}, forward);
  forward(nullptr);
  run(state, {2 * bytes}, [&](cudaStream_t s) {
    hence::cuda::token_logprob_gradient(s, rule, logits.read(columns), of, states.read(),
                                        {.logp = slope.read()}, gradient.rows(columns),
                                        conditions.get());
  });
}
void token_logprob_fp32(benchmark::State& s) {
  logprob<float>(s, false, "quack softmax fp32, 16k x 131k, H100: 3010 GB/s, 0.897 of its peak");
}
void token_logprob_bf16(benchmark::State& s) {
  logprob<bf16>(s, false, "quack cross entropy bf16, 131072 columns, RTX 5090: 1617 GB/s");
}
void token_logprob_gradient_fp32(benchmark::State& s) { logprob<float>(s, true, ""); }
void token_logprob_gradient_bf16(benchmark::State& s) {
  logprob<bf16>(s, true, "quack cross entropy bf16, 131072 columns, RTX 5090: 1497 GB/s");
}
BENCHMARK(token_logprob_fp32)->Apply(times);
BENCHMARK(token_logprob_bf16)->Apply(times);
BENCHMARK(token_logprob_gradient_fp32)->Apply(times);
BENCHMARK(token_logprob_gradient_bf16)->Apply(times);

/// Few long rows, by one block each (0) or eight (1).
void token_logprob_few_rows(benchmark::State& state) {
  const std::int64_t rows = size(16, 2), columns = size(131072, 1000);
  auto numbers = noise(0, 2.5f, 1);
  const array<float> logits(rows * columns, [&](std::int64_t i) { return numbers(i); });
  const array<std::int64_t> labels(rows, label);
  const array<float> logp(rows), entropy(rows);
  const array<hence::status> conditions(1);
  const std::int64_t memory = hence::cuda::token_logprob_workspace_bytes(rows);
  const array<std::byte> workspace(memory);
  const std::span<std::byte> scratch(workspace.get(), static_cast<std::size_t>(memory));
  const hence::softmax_rule rule{.temperature = 1.0, .negative = hence::negative_labels::ignored};
  const hence::token_labels of(labels.read());
  const bool splits = state.range(0) != 0;
  run(state, {4.0 * double(rows) * double(columns)}, [&](cudaStream_t s) {
    const hence::token_results<float> out{.logp = logp.all(), .entropy = entropy.all()};
    if (splits)
      hence::cuda::token_logprob(s, rule, logits.read(columns), of, out, scratch, conditions.get());
    else
      hence::cuda::token_logprob(s, rule, logits.read(columns), of, out, conditions.get());
  });
}
BENCHMARK(token_logprob_few_rows)->Apply(times)->Arg(0)->Arg(1);

/// The product is hence's ordered one in fp32; the peers' use tensor cores in bf16.
void linear(benchmark::State& state, bool backward, const char* peer) {
  const std::int64_t tokens = size(8192, 3), width = size(4096, 40), columns = size(131072, 70),
                     tile = size(1024, 2);
  auto numbers = noise(0, 0.05f, 1);
  const auto number = [&](std::int64_t i) { return bf16(numbers(i)); };
  const array<bf16> hidden(tokens * width, number), weight(columns * width, number);
  const array<std::int64_t> labels(tokens, [&](std::int64_t i) { return label(i) % columns; });
  const array<float> logp(tokens), entropy(tokens), slope(tokens, noise(0, 1, 2));
  const array<float> to_hidden(backward ? tokens * width : 0),
      to_weight(backward ? columns * width : 0);
  const array<hence::softmax_state> states(tokens);
  const array<hence::status> conditions(1);
  const std::int64_t memory = hence::cuda::linear_logprob_workspace_bytes(tile, columns);
  const array<std::byte> workspace(memory);
  const std::span<std::byte> scratch(workspace.get(), static_cast<std::size_t>(memory));
  const hence::softmax_rule rule{.temperature = 1.0, .negative = hence::negative_labels::ignored};
  const hence::linear_head<const bf16> head{weight.read(width)};
  const hence::token_labels of(labels.read());
  const auto forward = [&](cudaStream_t s) {
    hence::cuda::linear_logprob(
        s, rule, hidden.read(width), head, of,
        {.logp = logp.all(), .entropy = entropy.all(), .states = states.all()}, scratch,
        conditions.get());
  };
  const auto up = [](std::int64_t a, std::int64_t b) { return double((a + b - 1) / b); };
  const double t = double(tokens), v = double(columns), d = double(width);
  const double of_head = 2 * v * d * up(tokens, 64), product = 2 * t * v * d;
  state.SetLabel(peer);
  if (!backward) return run(state, {of_head + 8 * t * v, product}, forward);
  forward(nullptr);
  const double bytes = 2 * of_head + 4 * v * d + 8 * v * d * (up(tokens, tile) - 1) +
                       4 * t * v * (3 + 2 * up(width, 64));
  run(state, {bytes, 3 * product}, [&](cudaStream_t s) {
    hence::cuda::linear_logprob_gradient(
        s, rule, hidden.read(width), head, of, states.read(), {.logp = slope.read()},
        {.hidden = to_hidden.rows(width), .weight = to_weight.rows(width)}, scratch,
        conditions.get());
  });
}
void linear_logprob(benchmark::State& s) {
  linear(s, false, "Liger CuTe bf16, this shape, H100: 12.25 ms, 718 TFLOPS");
}
void linear_logprob_gradient(benchmark::State& s) {
  linear(s, true, "Liger CuTe bf16, this shape, H100: 37.93 ms");
}
BENCHMARK(linear_logprob)->Apply(times)->Iterations(3);
BENCHMARK(linear_logprob_gradient)->Apply(times)->Iterations(3);

/// Bytes: a row once; up to 2^17 logits are read again from cache.
void draw(benchmark::State& state, const hence::sample_rule& rule) {
  const std::int64_t rows = size(512, 2), columns = size(131072, 700);
  const array<float> logits(rows * columns, noise(0, 2.5f, 1));
  const array<float> uniforms(rows, [](std::int64_t i) {
    return hence::uniform_of(1, {.token = static_cast<std::uint32_t>(i)});
  });
  const array<std::int64_t> token(rows);
  const array<float> logp(rows);
  const array<hence::status> conditions(1);
  run(state, {4.0 * double(rows) * double(columns)}, [&](cudaStream_t s) {
    hence::cuda::sample(s, rule, logits.read(columns), uniforms.read(),
                        {.token = token.all(), .logp = logp.all()}, conditions.get());
  });
}
void sample_plain(benchmark::State& s) { draw(s, {.temperature = 0.8}); }
void sample_top_k(benchmark::State& s) { draw(s, {.temperature = 0.8, .top_k = 50}); }
void sample_top_p(benchmark::State& s) { draw(s, {.temperature = 0.8, .top_p = 0.95}); }
void sample_top_k_top_p(benchmark::State& s) {
  draw(s, {.temperature = 0.8, .top_k = 50, .top_p = 0.95});
}
BENCHMARK(sample_plain)->Apply(times);
BENCHMARK(sample_top_k)->Apply(times);
BENCHMARK(sample_top_p)->Apply(times);
BENCHMARK(sample_top_k_top_p)->Apply(times);

}  // namespace
