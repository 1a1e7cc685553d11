// expect: ^hence: the numbers of the correction, gate or entropy bonus are double
// A correction's bounds are of the executor's type.
#include <hence/policy/loss.hpp>

#include "call.hpp"

int main() {
#ifdef FIXED
  const hence::correction::mask mode{0.5f, 2.0f};
#else
  const hence::correction::mask mode{0.5, 2.0};
#endif
  const hence::policy_loss loss{hence::ratio::token{}, ppo, hence::kl::none{},
                                hence::aggregate::token_mean{},
                                hence::correction::rollout{hence::correction::token_level{}, mode,
                                                           hence::correction::policy_only{}}};
  auto in = inputs();
  in.rollout = in.old;
  hence::loss_and_gradient(hence::cpu{}, loss, batch, in, hence::over_this_call, out);
}
