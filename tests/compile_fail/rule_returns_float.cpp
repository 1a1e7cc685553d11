// expect: ^hence: a surrogate returns a number made from its arguments
// A built-in float has lost the gradient.
#include <hence/policy/loss.hpp>

#include "call.hpp"

int main() {
#ifdef FIXED
  const auto rule = [](const auto& ratio, const auto& advantage) { return -(ratio * advantage); };
#else
  const auto rule = [](const auto& ratio, const auto& advantage) {
    return -(ratio.value.v * advantage.v);
  };
#endif
  const hence::policy_loss loss{hence::ratio::token{}, rule, hence::kl::none{},
                                hence::aggregate::token_mean{}};
  hence::loss_and_gradient(hence::reference<float>{}, loss, batch, inputs(), hence::over_this_call,
                           out);
}
