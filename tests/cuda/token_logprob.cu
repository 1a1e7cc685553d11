// Both kernels, with and without a soft-cap. Judged as policy_loss.cu is; nothing here runs without
// a GPU (tests/ptx runs the kernels).
#include <hence/cuda/token_logprob.cuh>

void instantiate(hence::view<const hence::bf16, 2> logits, const hence::token_labels& labels,
                 hence::view<hence::softmax_state> states, hence::view<hence::bf16, 2> gradient,
                 hence::status* conditions) {
  const hence::softmax_rule rule{.temperature = 1, .negative = hence::negative_labels::ignored};
  hence::cuda::token_logprob(nullptr, rule, logits, labels, {.states = states}, conditions);
  hence::cuda::token_logprob_gradient(nullptr, rule, logits, labels, states, {}, gradient,
                                      conditions);
}
