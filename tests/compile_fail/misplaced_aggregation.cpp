// expect: ^hence: the fourth part of a policy_loss is an aggregation
// The aggregation comes last.
#include <hence/policy/loss.hpp>

#include "call.hpp"

int main() {
#ifdef FIXED
  const hence::policy_loss loss{hence::ratio::token{}, ppo, hence::kl::none{},
                                hence::aggregate::token_mean{}};
#else
  const hence::policy_loss loss{hence::ratio::token{}, ppo, hence::aggregate::token_mean{},
                                hence::kl::none{}};
#endif
  hence::loss_and_gradient(hence::cpu{}, loss, batch, inputs(), hence::over_this_call, out);
}
