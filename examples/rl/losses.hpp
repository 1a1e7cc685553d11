/// \file
/// The losses that a run can choose from: the library's recipes by name, with what a flag may
/// change of them.
#pragma once

#include "settings.hpp"

#include <hence/policy/recipe_family.hpp>

#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace demo {

/// A recipe with the KL term k3. At coefficient 0 it changes neither loss nor gradient and is
/// measured all the same: how far a policy went is then known of recipes without the term too.
template <class Recipe> constexpr auto with_kl(const Recipe& r, float coef) {
  return hence::policy_loss{r.ratio, r.surrogate, hence::kl::k3<float>{coef}, r.aggregation};
}
template <class Recipe> using measured = decltype(with_kl(std::declval<Recipe>(), 0.0f));

/// Any of them. GRPO's family comes first: R1-Zero and the stages of R1 are of it.
using any_loss = std::variant<measured<decltype(hence::recipe::grpo(0.2f))>,
                              measured<decltype(hence::recipe::dr_grpo(0.2f, 1.0, 1.0))>,
                              measured<decltype(hence::recipe::dapo())>,
                              measured<decltype(hence::recipe::gspo())>,
                              measured<decltype(hence::recipe::cispo(3.0f))>>;

/// "grpo", "dr_grpo", "dapo", "gspo", "cispo".
const std::vector<std::string>& loss_names();

/// The loss that the settings name, with their range and KL coefficient in place of its own where
/// they are given. Throws std::invalid_argument that names the setting, its value and what was
/// expected.
/// \param longest reply in tokens, of Dr. GRPO's constant.
any_loss make_loss(const settings& s, std::int64_t longest);

/// What tells two losses of a recipe apart, as the decimals that were meant.
struct loss_constants {
  double low = 0, high = 0;  ///< bounds of the ratio, or of CISPO's weight
  double kl_coef = 0;
};
loss_constants constants_of(const any_loss& loss);

/// Of a part of a minibatch. Parts add up: the divisor is the whole minibatch's.
struct loss_part {
  double loss = 0;
  bool is_finite = true;
  hence::policy_metrics<float> metrics;
};
/// \param whole the minibatch's counts. \param cotangent the gradient with respect to `in.logp`.
loss_part loss_and_gradient(const any_loss& loss, hence::counts whole, const hence::ragged& batch,
                            const hence::policy_inputs<float>& in, std::vector<float>& cotangent);

}  // namespace demo
