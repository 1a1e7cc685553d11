// expect: ^hence: the inputs are of another scalar than the executor
// float64 arrays need reference<double>.
#include <hence/policy/loss.hpp>

#include "call.hpp"

int main() {
  const hence::policy_loss loss{hence::ratio::token{}, ppo, hence::kl::none{},
                                hence::aggregate::token_mean{}};
#ifdef FIXED
  const hence::policy_inputs<float> in;
#else
  const hence::policy_inputs<double> in;
#endif
  hence::loss_and_gradient(hence::cpu{}, loss, batch, in, hence::over_this_call, out);
}
