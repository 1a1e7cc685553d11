// One GRPO step: rewards -> group advantages -> loss and its gradient with respect to the
// log-probs. The batch is made up; in a training loop the log-probs come from the model and the
// gradient goes into its backward pass.
#include <hence/policy.hpp>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

int main() {
  // 4 prompts with 8 sampled responses each, 20 to 60 tokens long, one after the other.
  const int prompts = 4, group = 8, rows = prompts * group;
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(0.0f, 1.0f);
  std::vector<std::int64_t> cu_seqlens{0};  // [rows + 1]
  std::vector<std::int64_t> cu_groups{0};   // [prompts + 1]
  for (int i = 0; i < rows; ++i)
    cu_seqlens.push_back(cu_seqlens.back() + 20 + static_cast<std::int64_t>(random() % 41));
  for (int p = 0; p < prompts; ++p) cu_groups.push_back(cu_groups.back() + group);
  const auto tokens = static_cast<std::size_t>(cu_seqlens.back());

  std::vector<float> logp(tokens), old_logp(tokens), ref_logp(tokens);  // [tokens]
  for (std::size_t t = 0; t < tokens; ++t) {
    logp[t] = std::log(0.05f + 0.9f * uniform(random));
    old_logp[t] = logp[t] + 0.2f * (uniform(random) - 0.5f);  // the policy that sampled
    ref_logp[t] = logp[t] + 0.4f * (uniform(random) - 0.5f);  // the frozen reference
  }
  std::vector<float> rewards(rows);  // [rows], right or wrong
  for (float& r : rewards) r = uniform(random) < 0.4f ? 1.0f : 0.0f;

  // A = (r - mean) / (std + eps) within each group.
  std::vector<float> advantages(rows);
  const auto grpo_advantage =
      hence::advantage::grpo(/*ddof=*/1, /*eps=*/1e-4, hence::advantage::singleton_zero{});
  hence::advantages(hence::cpu{}, grpo_advantage, hence::groups{.cu_groups = cu_groups}, rewards,
                    advantages);

  // DeepSeek-R1's first RL stage; the log-probs say at which temperature they were computed.
  const auto loss = hence::recipe::deepseek_r1_stage1();
  const hence::ragged batch{.cu_seqlens = cu_seqlens};
  const hence::policy_inputs<float> inputs{.logp = {logp, {.temperature = 1.0}},
                                           .old = {old_logp, {.temperature = 1.0}},
                                           .ref = {ref_logp, {.temperature = 1.0}},
                                           .advantages = advantages};
  std::vector<float> gradient(tokens);  // [tokens], d loss / d logp
  const auto result = hence::loss_and_gradient(
      hence::cpu{}, loss, batch, inputs, hence::over_this_call, gradient, hence::with_metrics);

  double norm = 0;
  for (const float g : gradient) norm += static_cast<double>(g) * static_cast<double>(g);
  std::printf("%d sequences, %lld tokens\n", rows, static_cast<long long>(result.counts().tokens));
  std::printf("loss          %.9f\n", result.loss());
  std::printf("gradient norm %.9f\n", std::sqrt(norm));
  std::printf("kl            %.9f\n", result.metrics().kl_mean());
  std::printf("ratio mean    %.9f, max %.6f\n", result.metrics().ratio_mean(),
              static_cast<double>(result.metrics().max_ratio));
  std::printf("clipped       %.4f\n", result.metrics().clip_region_mean());
  return result.conditions() == hence::status::ok ? 0 : 1;
}
