// The log-prob kernels, with and without a soft-cap, and those of the linear log-prob. Judged as
// policy_loss.cu is; nothing here runs without a GPU (tests/ptx runs the kernels).
#include <hence/cuda/linear_logprob.cuh>
#include <hence/cuda/token_logprob_split.cuh>

void instantiate(hence::view<const hence::bf16, 2> logits, const hence::token_labels& labels,
                 hence::view<hence::softmax_state> states, hence::view<hence::bf16, 2> gradient,
                 hence::status* conditions) {
  const hence::softmax_rule rule{.temperature = 1, .negative = hence::negative_labels::ignored};
  hence::cuda::token_logprob(nullptr, rule, logits, labels, {.states = states}, conditions);
  hence::cuda::token_logprob(nullptr, rule, logits, labels, {.states = states},
                             std::span<std::byte>(), conditions);
  hence::cuda::token_logprob_gradient(nullptr, rule, logits, labels, states, {}, gradient,
                                      conditions);
}

template __global__ void hence::cuda::detail::product_kernel(
    hence::cuda::detail::product_call<float, hence::bf16>);
template __global__ void hence::cuda::detail::bias_gradient_kernel(
    hence::view<const float, 2>, hence::cuda::detail::ignored_tokens, hence::view<float>, bool);
