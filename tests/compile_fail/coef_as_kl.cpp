// expect: ^hence: the KL term is kl::none
// A coefficient alone does not name the estimator.
#include <hence/policy/loss.hpp>

#include "call.hpp"

int main() {
#ifdef FIXED
  const hence::kl::k3 kl{0.04f};
#else
  const float kl = 0.04f;
#endif
  const hence::policy_loss loss{hence::ratio::token{}, ppo, kl, hence::aggregate::token_mean{}};
  hence::loss_and_gradient(hence::cpu{}, loss, batch, inputs(), hence::over_this_call, out);
}
