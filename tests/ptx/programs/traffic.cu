// What each row kernel moves on aligned shapes. It prints, for traffic.cmake to compare with what
// the emulator counts, a line a kernel: how its mangled name begins behind hence's namespaces, and
// the bytes that its header states.
#include "check.hpp"

#include <hence/cuda/advantages.cuh>
#include <hence/cuda/gate.cuh>
#include <hence/cuda/gate_backward.cuh>
#include <hence/cuda/policy_loss.cuh>
#include <hence/cuda/sample.cuh>
#include <hence/cuda/token_logprob_split.cuh>
#include <hence/policy/recipe.hpp>

#include <random>

namespace {

using hence::view;
namespace moe = hence::moe;

std::vector<float> noise(std::int64_t n, float scale, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<float> out;
  for (std::int64_t i = 0; i < n; ++i) {
    float x = 0;  // nearly normal
    for (int k = 0; k < 4; ++k) x += static_cast<float>(random()) / 2147483648.0f - 1;
    out.push_back(scale * x);
  }
  return out;
}

void state(const char* kernel, std::int64_t bytes) {
  std::printf("minimum %s %lld\n", kernel, static_cast<long long>(bytes));
}

/// Rows of `width` tokens without masks: logp, old and the gradient 4 each, ref 4 with a KL term.
template <class Loss>
void policy_loss(const Loss& loss, bool has_kl, const char* kernel, cudaStream_t s) {
  constexpr std::int64_t rows = 3, width = 2048, n = rows * width;
  const test::input<float> logp(noise(n, 0.5f, 1)), old(noise(n, 0.5f, 2)), ref(noise(n, 0.5f, 3)),
      advantages(noise(rows, 1, 4));
  const test::output<float> gradient(n);
  using state_t = hence::cuda::loss_state_for<Loss, hence::over_this_call_t>;
  const test::output<state_t> sums(1);
  const auto of = [&](const float* p) { return view<const float, 2>(p, rows, width); };
  hence::policy_inputs<float> in;
  in.logp = {of(logp.get()), {.temperature = 1.0}};
  in.old = {of(old.get()), {.temperature = 1.0}};
  in.ref = {of(ref.get()), {.temperature = 1.0}};
  in.advantages = view<const float>(advantages.get(), rows);
  hence::cuda::loss_and_gradient(s, loss, hence::padded{.rows = rows, .width = width}, in,
                                 hence::over_this_call, view<float, 2>(gradient.get(), rows, width),
                                 sums.get());
  test::check(cudaStreamSynchronize(s));
  test::check(sums.read()[0].result().counts().tokens == n, "tokens");
  state(kernel, (has_kl ? 16 : 12) * n);
}

/// The rewards three times, the result once.
void advantages(cudaStream_t s) {
  constexpr std::int64_t groups = 4, size = 1024, n = groups * size;
  const test::input<float> rewards(noise(n, 1, 1));
  const test::input<std::int64_t> cu({0, size, 2 * size, 3 * size, 4 * size});
  const test::output<float> out(n);
  const test::output<hence::status> conditions(1);
  hence::cuda::advantages(s, hence::advantage::grpo(1, 1e-4, hence::advantage::singleton_zero{}),
                          {{view<const std::int64_t>(cu.get(), groups + 1)}},
                          view<const float>(rewards.get(), n), view<float>(out.get(), n),
                          conditions.get());
  test::check(conditions.read()[0] == hence::status::ok, "advantages");
  state("advantages_kernel", 16 * n);
}

/// A row's logits once, for the gradient once more, and the gradient.
template <class T> void logprobs(const char* forward, const char* backward, cudaStream_t s) {
  constexpr std::int64_t rows = 2, columns = 16384, n = rows * columns;
  std::vector<T> values;
  for (const float x : noise(n, 2.5f, 1)) values.push_back(T(x));
  const test::input<T> logits(values);
  const test::input<std::int64_t> labels({5, 700});
  const test::input<float> slope({1, -1});
  const test::output<float> logp(rows), entropy(rows);
  const test::output<hence::softmax_state> states(rows);
  const test::output<T> gradient(n);
  const test::output<hence::status> conditions(1);
  const hence::softmax_rule rule{.temperature = 1.0, .negative = hence::negative_labels::ignored};
  const view<const T, 2> from(logits.get(), rows, columns);
  const hence::token_labels of(view<const std::int64_t>(labels.get(), rows));
  hence::cuda::token_logprob(s, rule, from, of,
                             {.logp = view<float>(logp.get(), rows),
                              .entropy = view<float>(entropy.get(), rows),
                              .states = view<hence::softmax_state>(states.get(), rows)},
                             conditions.get());
  hence::cuda::token_logprob_gradient(s, rule, from, of,
                                      view<const hence::softmax_state>(states.get(), rows),
                                      {.logp = view<const float>(slope.get(), rows)},
                                      view<T, 2>(gradient.get(), rows, columns), conditions.get());
  test::check(cudaStreamSynchronize(s));
  test::check(conditions.read()[0] == hence::status::ok, "gradient");
  constexpr std::int64_t size = sizeof(T);
  state(forward, size * n), state(backward, 2 * size * n);
}

/// The logits once and, for each of the row's eight blocks, its first 4096 columns; 8704 bytes a
/// row written and read.
void split_logprobs(cudaStream_t s) {
  constexpr std::int64_t rows = 2, columns = 16384, n = rows * columns;
  const test::input<float> logits(noise(n, 2.5f, 1));
  const test::input<std::int64_t> labels({5, 700});
  const test::output<float> logp(rows);
  const test::output<hence::status> conditions(1);
  const auto bytes = static_cast<std::size_t>(hence::cuda::token_logprob_workspace_bytes(rows));
  const test::output<std::byte> workspace(bytes);
  const hence::softmax_rule rule{.temperature = 1.0, .negative = hence::negative_labels::ignored};
  hence::cuda::token_logprob(s, rule, view<const float, 2>(logits.get(), rows, columns),
                             hence::token_labels(view<const std::int64_t>(labels.get(), rows)),
                             {.logp = view<float>(logp.get(), rows)}, {workspace.get(), bytes},
                             conditions.get());
  test::check(conditions.read()[0] == hence::status::ok, "split log-probs");
  state("split_lanes_kernel", 4 * (n + 8 * 4096 * rows) + 8704 * rows);
  state("merge_lanes_kernel", 8704 * rows);
}

/// Logits and, from cache, the bias twice a token; ids and weights.
template <class Gate>
void routing(const Gate& gate, bool has_bias, const char* forward, const char* backward,
             cudaStream_t s) {
  constexpr std::int64_t tokens = 16, experts = 256;
  const std::int64_t k = gate.k;
  const test::input<float> logits(noise(tokens * experts, 1, 1)), bias(noise(experts, 0.1f, 2)),
      cotangent(noise(tokens * k, 1, 3));
  const test::output<std::int32_t> ids(static_cast<std::size_t>(tokens * k));
  const test::output<float> weights(static_cast<std::size_t>(tokens * k)),
      gradient(tokens * experts);
  const test::output<moe::route_counts> counts(1);
  moe::gate_inputs<float> in;
  in.logits = {logits.get(), tokens, experts};
  if (has_bias) in.bias = {bias.get(), experts};
  moe::gate_outputs<float> out;
  out.ids = {ids.get(), tokens, k}, out.weights = {weights.get(), tokens, k};
  hence::cuda::route(s, gate, in, out, counts.get());
  state(forward, tokens * (4 * experts * (has_bias ? 3 : 1) + 8 * k));
  if (backward == nullptr) return;
  moe::gate_backward_inputs<float> back;
  back.logits = in.logits, back.ids = {ids.get(), tokens, k};
  back.grad_weights = {cotangent.get(), tokens, k};
  hence::cuda::route_backward(s, gate, back, view<float, 2>(gradient.get(), tokens, experts),
                              counts.get());
  test::check(counts.read()[0].rows == tokens, "rows");
  state(backward, tokens * (8 * experts + 8 * k));
}

/// A row is read for its largest and for the draw, here of 32,768 = 65536/2 logits twice.
void sample(cudaStream_t s) {
  constexpr std::int64_t rows = 2, columns = 32768;
  const test::input<float> logits(noise(rows * columns, 2.5f, 1)), uniforms({0.25f, 0.75f});
  const test::output<std::int64_t> token(rows);
  const test::output<hence::status> conditions(1);
  hence::cuda::sample(s, {.temperature = 0.8}, view<const float, 2>(logits.get(), rows, columns),
                      view<const float>(uniforms.get(), rows),
                      {.token = view<std::int64_t>(token.get(), rows)}, conditions.get());
  test::check(conditions.read()[0] == hence::status::ok, "sample");
  state("sample_kernelIf", 3 * 4 * rows * columns);
}

}  // namespace

int main() {
  cudaStream_t s;
  test::check(cudaStreamCreate(&s));
  policy_loss(hence::recipe::dapo(), false, "policy_loss_kernel.*2kl4none", s);
  policy_loss(hence::recipe::grpo(0.2f), true, "policy_loss_kernel.*2kl2k3", s);
  advantages(s);
  logprobs<float>("token_logprob_kernelIf", "token_gradient_kernelIf", s);
  logprobs<hence::bf16>("token_logprob_kernelIN", "token_gradient_kernelIN", s);
  split_logprobs(s);
  routing(moe::gate{moe::score::sigmoid{}, 8, moe::grouped{8, 4, moe::top2_sum{}},
                    moe::normalized{1e-20, moe::single_raw{}}, 2.5},
          true, "route_kernel.*7sigmoid", nullptr, s);
  routing(moe::gate{moe::score::softmax{}, 8, moe::all_experts{},
                    moe::normalized{0.0, moe::single_raw{}}, 1.0},
          false, "route_kernel.*7softmax", "route_backward_kernel", s);
  sample(s);
  test::check(cudaStreamDestroy(s));
  return test::result();
}
