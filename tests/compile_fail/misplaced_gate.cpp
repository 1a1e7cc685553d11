// expect: ^hence: the fifth part of a policy_loss is a correction
// The correction comes before the gate.
#include <hence/policy/loss.hpp>

#include "call.hpp"

int main() {
  const hence::gate::opsm gate{0.1f, hence::ratio::against_old{}};
#ifdef FIXED
  const hence::policy_loss loss{hence::ratio::token{},     ppo,
                                hence::kl::none{},         hence::aggregate::token_mean{},
                                hence::correction::none{}, gate};
#else
  const hence::policy_loss loss{hence::ratio::token{}, ppo, hence::kl::none{},
                                hence::aggregate::token_mean{}, gate};
#endif
  hence::loss_and_gradient(hence::cpu{}, loss, batch, inputs(), hence::over_this_call, out);
}
