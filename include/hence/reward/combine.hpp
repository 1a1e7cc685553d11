/// \file
/// Several rewards of a response: kept as columns [samples, rewards], so that an advantage that
/// normalises each (GDPO) can read them, or summed with weights, R1's way.
#pragma once

#include <hence/core/num.hpp>
#include <hence/core/view.hpp>

namespace hence::inline v0::reward {

/// What a gated reward is worth where its gate is shut: accuracy counts only if the format holds.
struct gate {
  double otherwise;  ///< the reward of a response that does not hold the format, often 0
  HENCE_FN constexpr double operator()(double reward, bool holds) const {
    return holds ? reward : otherwise;
  }
};

namespace detail {

template <class Isa>
void sum_columns(view<const float, 2> columns, view<const double> weights, view<float> out) {
  using V = num<double, Isa>;
  for (std::int64_t i = 0; i < columns.extent[0]; ++i) {
    V sum = 0.0;
    for (std::int64_t k = 0; k < columns.extent[1]; ++k)
      sum = sum + V(weights[k]) * V(static_cast<double>(columns(i, k)));
    out[i] = static_cast<float>(sum.v);
  }
}

}  // namespace detail

/// out_i = sum over k of weights_k columns_ik, in float64, in the order of the columns.
/// \param columns one column per reward // [samples, rewards]
/// \param weights one per column // [rewards]
/// \param out // [samples]
template <class Isa = native_isa>
[[gnu::always_inline]] inline void weighted_sum(view<const float, 2> columns,
                                                view<const double> weights, view<float> out) {
  using hence::detail::message;
  if (weights.extent[0] != columns.extent[1])
    hence::detail::refuse(message{} << "hence: weights has " << weights.extent[0]
                                    << " entries, columns has " << columns.extent[1] << " columns");
  if (out.extent[0] != columns.extent[0])
    hence::detail::refuse(message{} << "hence: out has " << out.extent[0]
                                    << " entries, columns has " << columns.extent[0] << " rows");
  for (std::int64_t k = 0; k < weights.extent[0]; ++k)
    if (!(weights[k] - weights[k] == 0))
      hence::detail::refuse(message{} << "hence: weights[" << k << "] is " << weights[k]
                                      << ", expected a finite number");
  detail::sum_columns<Isa>(columns, weights, out);
}

}  // namespace hence::inline v0::reward

namespace hence::inline v0::recipe {

/// R1-Zero: Reward_rule = Reward_acc + Reward_format, "with the same weight" (Nature 645, 633, eq.
/// 4).
HENCE_FN constexpr double deepseek_r1_zero_reward(double accuracy, double format) {
  return accuracy + format;
}
/// R1's first RL stage: the language reward is "directly added" (arXiv:2501.12948, 2.3.2; eq. 7).
HENCE_FN constexpr double deepseek_r1_stage1_reward(double accuracy, double format,
                                                    double language) {
  return accuracy + format + language;
}
/// R1's last RL stage, Reward = Reward_reasoning + Reward_general + Reward_language with
/// Reward_reasoning = Reward_rule and Reward_general = Reward_reward_model + Reward_format (eq. 8
/// to 10). A prompt is of one kind: give 0 for what it does not have.
HENCE_FN constexpr double deepseek_r1_stage2_reward(double rule, double reward_model,
                                                    double general_format, double language) {
  return rule + (reward_model + general_format) + language;
}

}  // namespace hence::inline v0::recipe
