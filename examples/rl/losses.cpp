#include "losses.hpp"

#include <cstdio>
#include <stdexcept>

namespace demo {
namespace {

/// Refuses what is neither absent nor a number of 0 or more.
void check(const char* name, const std::optional<double>& x) {
  if (x && !(*x >= 0 && *x <= 1e30))
    throw std::invalid_argument(std::string(name) + " is " + std::to_string(*x) +
                                ", expected a number of 0 or more");
}

/// The recipe with what the settings put in place of its own. \param kl_coef its own.
template <class Recipe>
any_loss changed(const settings& s, const Recipe& recipe, double kl_coef = 0) {
  auto loss = with_kl(recipe, static_cast<float>(s.kl_coef.value_or(kl_coef)));
  if (s.epsilon_low) loss.surrogate.low = static_cast<float>(1 - *s.epsilon_low);
  if (s.epsilon_high) loss.surrogate.high = static_cast<float>(1 + *s.epsilon_high);
  return loss;
}

/// 0.8 of 0.8f.
double decimal(float x) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.7g", static_cast<double>(x));
  return std::stod(text);
}

}  // namespace

const std::vector<std::string>& loss_names() {
  static const std::vector<std::string> names{"grpo", "dr_grpo", "dapo", "gspo", "cispo"};
  return names;
}

any_loss make_loss(const settings& s, std::int64_t longest) {
  namespace recipe = hence::recipe;
  check("epsilon_low", s.epsilon_low), check("epsilon_high", s.epsilon_high);
  check("kl_coef", s.kl_coef);
  const auto epsilon = static_cast<float>(s.epsilon);
  if (s.recipe == "grpo") {
    const auto own = recipe::deepseek_r1_zero(epsilon);
    return changed(s, own, static_cast<double>(own.kl.coef));
  }
  if (s.recipe == "dr_grpo") {
    const auto rows =
        static_cast<double>(s.questions * s.group) / static_cast<double>(s.minibatches);
    return changed(s, recipe::dr_grpo(epsilon, rows, static_cast<double>(longest)));
  }
  if (s.recipe == "dapo") return changed(s, recipe::dapo());
  if (s.recipe == "gspo") return changed(s, recipe::gspo());
  if (s.recipe == "cispo")
    return changed(s, recipe::cispo(1 + static_cast<float>(s.cispo_epsilon_high)));
  throw std::invalid_argument("there is no recipe " + s.recipe +
                              ", expected grpo, dr_grpo, dapo, gspo or cispo");
}

loss_constants constants_of(const any_loss& loss) {
  return std::visit(
      [](const auto& l) {
        return loss_constants{decimal(l.surrogate.low), decimal(l.surrogate.high),
                              decimal(l.kl.coef)};
      },
      loss);
}

loss_part loss_and_gradient(const any_loss& loss, hence::counts whole, const hence::ragged& batch,
                            const hence::policy_inputs<float>& in, std::vector<float>& cotangent) {
  return std::visit(
      [&](const auto& l) {
        const auto window = hence::over_window(l.aggregation, whole);
        const auto r = hence::loss_and_gradient(hence::cpu{}, l, batch, in, window, cotangent,
                                                hence::with_metrics);
        return loss_part{r.loss(), !has(r.conditions(), hence::status::non_finite), r.metrics()};
      },
      loss);
}

}  // namespace demo
