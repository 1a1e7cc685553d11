/// \file
/// More named losses: those of recipe.hpp's kind that need the rest of the family, and
/// DeepSeek-R1's schedule. What a paper does not state is a required argument; docs/papers.md
/// quotes the rest.
#pragma once

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

/// What a run does beside its loss. arXiv:2501.12948v2, 2.1, 3.2.1 and 3.2.2.
struct schedule {
  int group = 16;               ///< outputs per question
  int questions = 32;           ///< per step
  int rollout = 8192;           ///< outputs, split at random into minibatches
  int minibatches = 16;         ///< per rollout, for one epoch
  int refresh_reference = 400;  ///< steps until the policy becomes the reference
  double temperature = 1.0;     ///< of the rollout
  int steps = 0;                ///< 0: not stated
  int preference_steps = 0;     ///< the last steps, in which preference rewards count
};
/// DeepSeek-R1-Zero, arXiv:2501.12948v2, 2.1.
inline constexpr schedule deepseek_r1_zero_schedule{.steps = 10400};
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
/// GMPO: the clipped geometric mean. arXiv:2507.20673; log-ratios within (e^-0.4, e^0.4).
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
/// DPPO with total variation, against the rollout engine's probabilities. arXiv:2602.04879.
template <class S = float>
[[gnu::always_inline]] constexpr auto dppo_tv(S delta_low, S delta_high) {
  static_assert(check_number<S>());
  return policy_loss{ratio::token{ratio::unclamped{}, ratio::against_rollout{}},
                     clip::dppo_tv{delta_low, delta_high, clip::through_ratio{}}, kl::none{},
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

}  // namespace hence::inline v0::recipe
