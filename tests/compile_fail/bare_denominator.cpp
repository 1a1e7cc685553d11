// expect: ^hence: a denominator is over_this_call, over_window
// A bare number does not say what was counted.
#include <hence/policy/loss.hpp>

#include "call.hpp"

int main() {
  const hence::policy_loss loss{hence::ratio::token{}, ppo, hence::kl::none{},
                                hence::aggregate::token_mean{}};
#ifdef FIXED
  hence::loss_and_gradient(hence::cpu{}, loss, batch, inputs(), hence::over_this_call, out);
#else
  hence::loss_and_gradient(hence::cpu{}, loss, batch, inputs(), 4.0, out);
#endif
}
