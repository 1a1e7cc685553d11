// The kernels of vocabulary shards. Judged as policy_loss.cu is; nothing here runs without a GPU
// (tests/ptx runs the kernels).
#include <hence/cuda/vocabulary_shards.cuh>

void instantiate(hence::view<const hence::bf16, 2> logits, const hence::token_labels& labels,
                 hence::view<hence::softmax_state> states, hence::view<hence::bf16, 2> gradient,
                 hence::status* conditions) {
  const hence::softmax_rule rule{.temperature = 1, .negative = hence::negative_labels::ignored};
  hence::cuda::shard_states(nullptr, rule, logits, labels, 0, states, conditions);
  hence::cuda::merge_shards(nullptr, rule, {}, labels, 1, {.states = states}, conditions);
  hence::cuda::shard_gradient(nullptr, rule, logits, labels, 0, states, {}, gradient, conditions);
}
