// The distillation kernels, from full logits and from a teacher's top k. Judged as policy_loss.cu
// is; nothing here runs without a GPU (tests/ptx runs the kernels).
#include <hence/cuda/distill_top_k.cuh>

void instantiate(hence::view<const hence::bf16, 2> logits, const hence::distill_results<float>& out,
                 hence::status* conditions) {
  const hence::divergence::generalized_jsd jsd{0.5f};
  const hence::divergence::mixed_kl mixed{0.5f};
  hence::cuda::distill(nullptr, jsd, {.temperature = 1}, logits, logits, {}, out, {}, conditions);
  hence::cuda::distill(nullptr, mixed, {.temperature = 1}, logits, logits, {}, out, {}, conditions);
  hence::cuda::distill_top_k(nullptr, jsd, hence::tail::one_token{}, {.temperature = 1}, logits, {},
                             {}, {}, out, {}, conditions);
}
