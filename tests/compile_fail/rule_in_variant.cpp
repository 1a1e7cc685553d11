// expect: ^hence: the surrogate has no gradient
// One alternative of a variant is unsound.
#include <hence/policy/loss.hpp>

#include <variant>

#include "call.hpp"

struct constant_rule {
  auto operator()(const auto& ratio, const auto& advantage) const {
#ifdef FIXED
    return ratio * advantage;
#else
    return detach(ratio) * advantage;
#endif
  }
};

int main() {
  using any_rule = std::variant<hence::clip::two_sided<float>, constant_rule>;
  const hence::policy_loss loss{hence::ratio::token{}, any_rule(ppo), hence::kl::none{},
                                hence::aggregate::token_mean{}};
  hence::loss_and_gradient(hence::cpu{}, loss, batch, inputs(), hence::over_this_call, out);
}
