// expect: ^hence: the surrogate has no gradient
// Every path to the log-probs goes through detach.
#include <hence/policy/loss.hpp>

#include "call.hpp"

int main() {
#ifdef FIXED
  const auto rule = [](const auto& t) { return -detach(t.ratio) * t.advantage * t.logp; };
#else
  const auto rule = [](const auto& t) { return -detach(t.ratio) * t.advantage; };
#endif
  const hence::policy_loss loss{hence::ratio::token{}, rule, hence::kl::none{},
                                hence::aggregate::token_mean{}};
  hence::loss_and_gradient(hence::cpu{}, loss, batch, inputs(), hence::over_this_call, out);
}
