/// \file
/// More named losses: those of recipe.hpp's kind that need the rest of the family, and
/// DeepSeek-R1's schedule. What a paper does not state is a required argument; docs/papers.md
/// quotes the rest.
#pragma once

#include <hence/policy/aggregate_prompt.hpp>
#include <hence/policy/kl_limit.hpp>
#include <hence/policy/recipe.hpp>
#include <hence/policy/surrogate_dppo.hpp>
#include <hence/policy/surrogate_ratio.hpp>
#include <hence/policy/surrogate_score.hpp>

namespace hence::inline v0::recipe {

/// DeepSeek-R1-Zero: GRPO with "the KL coefficient to 0.001" (arXiv:2501.12948v2, 2.1). Epsilon is
/// not stated. The ratio is per token, as in DeepSeekMath and TRL.
template <class S = float> [[gnu::always_inline]] constexpr auto deepseek_r1_zero(S epsilon) {
  return grpo<S>(epsilon, S(0.001));
}
/// R1-Zero with the ratio that the paper writes: of the whole output, the product of its tokens'
/// (eq. 1). The KL stays per token.
template <class S = float>
[[gnu::always_inline]] constexpr auto deepseek_r1_zero_per_output(S epsilon) {
  static_assert(check_number<S>());
  return policy_loss{ratio::sequence_product{}, clip::two_sided<S>{S(1) - epsilon, S(1) + epsilon},
                     kl::k3<S>{S(0.001)}, aggregate::sequence_mean_token_mean{}};
}
/// R1's first RL stage, epsilon 10, with the ratio of the whole output.
template <class S = float> [[gnu::always_inline]] constexpr auto deepseek_r1_stage1_per_output() {
  return deepseek_r1_zero_per_output<S>(S(10));
}

/// R1's second RL stage: the parameters of the first (3.2.2), so the same loss; what changes is in
/// `deepseek_r1_stage2_schedule`.
template <class S = float> [[gnu::always_inline]] constexpr auto deepseek_r1_stage2() {
  return deepseek_r1_stage1<S>();
}
/// The same with the ratio of the whole output.
template <class S = float> [[gnu::always_inline]] constexpr auto deepseek_r1_stage2_per_output() {
  return deepseek_r1_stage1_per_output<S>();
}

/// What a run does beside its loss. arXiv:2501.12948v2, 2.1, 3.2.1 and 3.2.2.
struct schedule {
  int group = 16;               ///< outputs per question
  int questions = 32;           ///< per step
  int rollout = 8192;           ///< outputs, split at random into minibatches
  int minibatches = 16;         ///< per rollout
  int refresh_reference = 400;  ///< steps until the policy becomes the reference
  double temperature = 1.0;     ///< of the rollout
  int steps = 0;                ///< 0: not stated
  int preference_steps = 0;     ///< the last steps, in which preference rewards count
  int epochs = 1;               ///< over a rollout
  double learning_rate = 3e-6;  ///< stated of R1-Zero and, the same, of stage 1
  int max_tokens = 32768;       ///< of a response
  int longer_from = 0;          ///< the step from which max_tokens is longer_max; 0: none
  int longer_max = 0;           ///< tokens; 0: none
};
/// DeepSeek-R1-Zero, arXiv:2501.12948v2, 2.1.
inline constexpr schedule deepseek_r1_zero_schedule{
    .steps = 10400, .longer_from = 8200, .longer_max = 65536};
/// DeepSeek-R1, first RL stage, arXiv:2501.12948v2, 3.2.1; its steps are not stated.
inline constexpr schedule deepseek_r1_stage1_schedule{};
/// DeepSeek-R1, second RL stage, arXiv:2501.12948v2, 3.2.2.
inline constexpr schedule deepseek_r1_stage2_schedule{
    .temperature = 0.7, .steps = 1700, .preference_steps = 400};

/// GSPO: clipped sequence ratios, mean over sequences, no KL. arXiv:2507.18071 eq. 5 and 7; "the
/// left and right clipping ranges to 3e-4 and 4e-4" (5.1).
template <class S = float> [[gnu::always_inline]] constexpr auto gspo() {
  return policy_loss{ratio::sequence{}, clip::two_sided<S>{S(1) - S(3e-4), S(1) + S(4e-4)},
                     kl::none{}, aggregate::sequence_mean_token_mean{}};
}
/// GSPO-token: the same value, each token's gradient its own, for advantages of tokens.
template <class S = float> [[gnu::always_inline]] constexpr auto gspo_token() {
  return policy_loss{ratio::sequence_token{}, clip::two_sided<S>{S(1) - S(3e-4), S(1) + S(4e-4)},
                     kl::none{}, aggregate::sequence_mean_token_mean{}};
}
/// LUSPO: GSPO's ratio with each sequence weighted by its length. arXiv:2602.05261.
template <class S = float>
[[gnu::always_inline]] constexpr auto luspo(S epsilon_low, S epsilon_high) {
  static_assert(check_number<S>());
  return policy_loss{ratio::sequence{}, clip::two_sided<S>{S(1) - epsilon_low, S(1) + epsilon_high},
                     kl::none{}, aggregate::sequence_mean_token_sum{}};
}
/// LUSPO with the paper's range: 2e-3 below and 2.5e-3 above 1 (5.1, as TRL's paper index reads
/// it).
template <class S = float> [[gnu::always_inline]] constexpr auto luspo() {
  return luspo<S>(S(2e-3), S(2.5e-3));
}
/// GMPO: the clipped geometric mean. arXiv:2507.20673; ratios within (e^-0.4, e^0.4).
template <class S = float> [[gnu::always_inline]] constexpr auto gmpo() {
  return policy_loss{ratio::sequence{}, clip::gmpo<S>{S(-0.4), S(0.4)}, kl::none{},
                     aggregate::sequence_mean_token_mean{}};
}
/// SAPO: a soft gate in place of the clip. arXiv:2511.20347; tau 1.0 for A > 0, 1.05 else.
template <class S = float> [[gnu::always_inline]] constexpr auto sapo() {
  return policy_loss{ratio::token{}, clip::sapo<S>{S(1), S(1.05)}, kl::none{},
                     aggregate::sequence_mean_token_mean{}};
}
/// INTELLECT-2: GRPO with the ratio bounded for A < 0 too, token mean. arXiv:2505.07291.
/// \param epsilon r is clipped to [1 - epsilon, 1 + epsilon].
/// \param delta what r is cut at for both signs of A, above 1 + epsilon.
/// \param kl_coef of k3, per token.
template <class S = float>
[[gnu::always_inline]] constexpr auto intellect_2(S epsilon, S delta, S kl_coef) {
  static_assert(check_number<S>());
  return policy_loss{ratio::token{}, clip::upper_bound<S>{S(1) - epsilon, S(1) + epsilon, delta},
                     kl::k3<S>{kl_coef}, aggregate::token_mean{}};
}
/// INTELLECT-2 with the paper's numbers: epsilon 0.2, delta 4, KL coefficient 0.001 (4.1, as TRL's
/// paper index reads it).
template <class S = float> [[gnu::always_inline]] constexpr auto intellect_2() {
  return intellect_2<S>(S(0.2), S(4), S(0.001));
}
/// DPPO with total variation, against the rollout engine's probabilities. arXiv:2602.04879. Kept
/// tokens have -r A with a differentiable ratio, as in SkyRL and prime-rl; verl has the weighted
/// score -sg(min(r, cap)) A log pi: `clip::weight_capped`.
template <class S = float>
[[gnu::always_inline]] constexpr auto dppo_tv(S delta_low, S delta_high) {
  static_assert(check_number<S>());
  return policy_loss{ratio::token{ratio::unclamped{}, ratio::against_rollout{}},
                     clip::dppo_tv{delta_low, delta_high, clip::through_ratio{}}, kl::none{},
                     aggregate::token_mean{}};
}
/// DPPO with the binary KL divergence, likewise.
template <class S = float>
[[gnu::always_inline]] constexpr auto dppo_kl(S delta_low, S delta_high) {
  static_assert(check_number<S>());
  return policy_loss{ratio::token{ratio::unclamped{}, ratio::against_rollout{}},
                     clip::dppo_kl{delta_low, delta_high, clip::through_ratio{}}, kl::none{},
                     aggregate::token_mean{}};
}
/// VESPO: "(c1, c2) = (2.0, 3.0) for A > 0 and (3.0, 2.0) for A < 0", arXiv:2602.10693v3 eq. 20 and
/// 4.1. The weight is of the product of the row's ratios.
template <class S = float> [[gnu::always_inline]] constexpr auto vespo() {
  return policy_loss{ratio::token{}, clip::vespo<S>{S(2), S(3), S(3), S(2)}, kl::none{},
                     aggregate::token_mean{}};
}
/// Kimi k1.5: -A log r + tau/2 (log r)^2, r of the whole output. arXiv:2501.12599 eq. 3.
template <class S = float> [[gnu::always_inline]] constexpr auto kimi_k1_5(S tau) {
  static_assert(check_number<S>());
  return policy_loss{ratio::sequence_product{}, clip::dro_log_ratio<S>{tau}, kl::none{},
                     aggregate::sequence_mean_token_mean{}};
}
/// The same with the penalty of each token, as ROLL has it: another gradient.
template <class S = float> [[gnu::always_inline]] constexpr auto kimi_k1_5_per_token(S tau) {
  static_assert(check_number<S>());
  return policy_loss{ratio::token{}, clip::dro<S>{tau}, kl::none{},
                     aggregate::sequence_mean_token_sum{}};
}
/// DeepSeek-V3.2's loss: GRPO with the unbiased KL and off-policy sequence masking, whose pi_old is
/// "the sampling probability directly returned by the inference framework".
/// arXiv:2512.02556, which states neither number. The advantage there is r - mean:
/// `advantage::dr_grpo`.
template <class S = float>
[[gnu::always_inline]] constexpr auto deepseek_v3_2(S epsilon, S kl_coef, S threshold) {
  static_assert(check_number<S>());
  return policy_loss{ratio::token{},
                     clip::two_sided<S>{S(1) - epsilon, S(1) + epsilon},
                     kl::k3<S, kl::ratio_weighted>{kl_coef, {}, {}},
                     aggregate::sequence_mean_token_mean{},
                     correction::none{},
                     gate::opsm<S, ratio::against_rollout>{threshold, {}}};
}
/// RLOO as PPO on whole outputs: the product ratio, clipped. arXiv:2402.14740; TRL's RLOOTrainer.
/// Its KL is in the reward: `subtract_kl`.
template <class S = float> [[gnu::always_inline]] constexpr auto rloo(S epsilon) {
  static_assert(check_number<S>());
  return policy_loss{ratio::sequence_product{}, clip::two_sided<S>{S(1) - epsilon, S(1) + epsilon},
                     kl::none{}, aggregate::sequence_mean_token_mean{}};
}

/// PPO's clipped surrogate, mean over time steps. arXiv:1707.06347 eq. 7. \param epsilon the clip
/// range; 0.2 is every framework's default.
template <class S = float> [[gnu::always_inline]] constexpr auto ppo(S epsilon) {
  static_assert(check_number<S>());
  return policy_loss{ratio::token{}, clip::two_sided<S>{S(1) - epsilon, S(1) + epsilon}, kl::none{},
                     aggregate::token_mean{}};
}
/// Dual-clip PPO. arXiv:1912.09729 eq. 5. \param epsilon the clip range. \param c above 1: for
/// A < 0 the loss is at most c |A|.
template <class S = float> [[gnu::always_inline]] constexpr auto dual_clip(S epsilon, S c) {
  static_assert(check_number<S>());
  return policy_loss{ratio::token{}, clip::dual<S>{S(1) - epsilon, S(1) + epsilon, c}, kl::none{},
                     aggregate::token_mean{}};
}
/// REINFORCE++: PPO's loss; what is new is in the reward and the advantage: `kl_rewards` with k1,
/// `token_advantages` with `advantage::reinforce_plus_plus`, whitened. arXiv:2501.03262 eq. 4, 5.
template <class S = float> [[gnu::always_inline]] constexpr auto reinforce_plus_plus(S epsilon) {
  return ppo<S>(epsilon);
}
/// REINFORCE++ with a baseline: `advantage::dr_grpo`, whitened over the tokens, and k2 in the loss.
/// arXiv:2501.03262 eq. 6 to 8.
template <class S = float>
[[gnu::always_inline]] constexpr auto reinforce_plus_plus_baseline(S epsilon, S kl_coef) {
  static_assert(check_number<S>());
  return policy_loss{ratio::token{}, clip::two_sided<S>{S(1) - epsilon, S(1) + epsilon},
                     kl::k2<S>{kl_coef}, aggregate::token_mean{}};
}
/// TOPR: weight 1 where the reward is positive, else the response's ratio cut to [0, 1], on the
/// response's log pi. arXiv:2503.14286; ROLL takes the ratio per token. It reads `scores`.
template <class S = float> [[gnu::always_inline]] constexpr auto topr() {
  return policy_loss{ratio::sequence_product{}, clip::topr<S>{S(0), S(1)}, kl::none{},
                     aggregate::sequence_mean_token_sum{}};
}
/// ScaleRL: CISPO's loss, averaged within each prompt first. arXiv:2510.13786, 3.2. Its prompts of
/// equal rewards are left out (`drop_dead_groups`), so that `non_empty_prompts` counts the rest;
/// its advantage is r - mean over the batch's deviation: `scale_batch`. \param high the upper bound
/// of the weight itself.
template <class S = float> [[gnu::always_inline]] constexpr auto scale_rl(S high) {
  static_assert(check_number<S>());
  return policy_loss{ratio::token{}, clip::cispo<S>{-static_cast<S>(__builtin_inff()), high},
                     kl::none{}, aggregate::prompt_mean_token_mean{aggregate::non_empty_prompts{}}};
}
/// IcePop: GRPO whose policy term is weighted with pi_old/pi_rollout, and with 0 where that leaves
/// [low, high]. arXiv:2510.18855, 2.3.2.
template <class S = float>
[[gnu::always_inline]] constexpr auto icepop(S epsilon, S kl_coef, S low, S high) {
  static_assert(check_number<S>());
  return policy_loss{ratio::token{}, clip::two_sided<S>{S(1) - epsilon, S(1) + epsilon},
                     kl::k3<S>{kl_coef}, aggregate::sequence_mean_token_mean{},
                     correction::rollout{correction::token_level{}, correction::mask<S>{low, high},
                                         correction::policy_only{}}};
}
/// Clip-Cov's loss, PPO's: its `mask.policy` is what `token_mask` makes of `clip_cov`.
/// arXiv:2505.22617.
template <class S = float> [[gnu::always_inline]] constexpr auto clip_cov_loss(S epsilon) {
  return ppo<S>(epsilon);
}
/// KL-Cov's loss: -r A without a clip, and coef |log pi - log pi_old| at the tokens of `mask.kl`,
/// which `token_mask` makes of `kl_cov`; `ref` is the old policy's. arXiv:2505.22617.
template <class S = float> [[gnu::always_inline]] constexpr auto kl_cov_loss(S coef) {
  static_assert(check_number<S>());
  return policy_loss{ratio::token{}, clip::none{}, kl::absolute<S>{coef}, aggregate::token_mean{}};
}
/// The top-entropy paper's loss, DAPO's: its `mask.policy` is what `token_mask` makes of
/// `top_entropy{0.2}`. arXiv:2506.01939.
template <class S = float> [[gnu::always_inline]] constexpr auto top_entropy_loss() {
  return dapo<S>();
}

}  // namespace hence::inline v0::recipe
