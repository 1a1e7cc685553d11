// expect: ^hence: the first part of a policy_loss is a ratio
// The ratio comes first.
#include <hence/policy/loss.hpp>

#include "call.hpp"

int main() {
#ifdef FIXED
  const hence::policy_loss loss{hence::ratio::token{}, ppo, hence::kl::none{},
                                hence::aggregate::token_mean{}};
#else
  const hence::policy_loss loss{ppo, hence::ratio::token{}, hence::kl::none{},
                                hence::aggregate::token_mean{}};
#endif
  hence::loss_and_gradient(hence::cpu{}, loss, batch, inputs(), hence::over_this_call, out);
}
