/// \file
/// The named losses of the papers, every constant quoted. What a paper does not state is a required
/// argument. S is the executor's scalar: `recipe::dapo()` in float32, `recipe::dapo<double>()` in
/// float64.
#pragma once

#include <hence/policy/loss.hpp>

namespace hence::inline v0::recipe {

/// The type of a recipe's numbers; `grpo(10)` would make them integers.
template <class S> constexpr bool check_number() {
  static_assert(
      std::floating_point<S>,
      "hence: a recipe's numbers are floating-point: write 10.0f, or 10.0 for reference<double>");
  return std::floating_point<S>;
}

/// GRPO as DeepSeekMath writes it: token ratio, k3 in the loss, mean over sequences of token means.
/// arXiv:2402.03300 eq. 3 and 4; "the KL coefficient is 0.04" (4.2). The paper does not state
/// epsilon.
/// \param epsilon the clip range, r in [1 - epsilon, 1 + epsilon]. \param kl_coef the KL
/// coefficient.
template <class S = float>
[[gnu::always_inline]] constexpr auto grpo(S epsilon, S kl_coef = S(0.04)) {
  static_assert(check_number<S>());
  return policy_loss{ratio::token{}, clip::two_sided<S>{S(1) - epsilon, S(1) + epsilon},
                     kl::k3<S>{kl_coef}, aggregate::sequence_mean_token_mean{}};
}

/// DAPO: clip-higher, token mean, no KL. arXiv:2503.14476 eq. 8 to 12; "we set the clipping
/// parameter epsilon_low to 0.2 and epsilon_high to 0.28" (4.1). Eq. 8 stands inside an expectation
/// over prompts; the mean here is over all tokens of the batch, as in verl, the paper's code. Read
/// as a mean within each prompt it has `aggregate::prompt_mean_token_mean`.
template <class S = float> [[gnu::always_inline]] constexpr auto dapo() {
  return policy_loss{ratio::token{}, clip::two_sided<S>{S(0.8), S(1.28)}, kl::none{},
                     aggregate::token_mean{}};
}

/// CISPO: clipped importance weights without gradient, token mean, no KL. MiniMax-M1,
/// arXiv:2506.13585 eq. 4 and 5; "we did not impose a lower bound on the IS weight by setting
/// epsilon_low to a large value; instead, we only tuned epsilon_high", whose value the paper does
/// not state.
/// \param high the upper bound of the weight itself, 1 + epsilon_high.
template <class S = float> [[gnu::always_inline]] constexpr auto cispo(S high) {
  static_assert(check_number<S>());
  return policy_loss{ratio::token{}, clip::cispo<S>{-static_cast<S>(__builtin_inff()), high},
                     kl::none{}, aggregate::token_mean{}};
}

/// Dr. GRPO's loss: a constant in place of the lengths, no KL. arXiv:2503.20783 eq. 2; pair it with
/// `advantage::dr_grpo`. \param epsilon the clip range. \param rows sequences in the window. \param
/// longest the generation budget in tokens.
template <class S = float>
[[gnu::always_inline]] constexpr auto dr_grpo(S epsilon, double rows, double longest) {
  static_assert(check_number<S>());
  return policy_loss{ratio::token{}, clip::two_sided<S>{S(1) - epsilon, S(1) + epsilon}, kl::none{},
                     aggregate::constant{rows * longest}};
}

/// The first RL stage of DeepSeek-R1: "the GRPO clip ratio epsilon to 10" and "the KL coefficient
/// to 0.001" (arXiv:2501.12948v2, 3.2.1; Nature 645, 633 (2025), Methods). With epsilon = 10 the
/// lower bound, -9, never binds. The paper writes the ratio per output; here it is per token, as in
/// DeepSeekMath and TRL.
template <class S = float> [[gnu::always_inline]] constexpr auto deepseek_r1_stage1() {
  return grpo<S>(S(10), S(0.001));
}

}  // namespace hence::inline v0::recipe
