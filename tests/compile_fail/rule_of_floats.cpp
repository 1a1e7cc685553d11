// expect: ^hence: a surrogate is called with .ratio, advantage. or with one token
// A rule sees hence numbers, never built-in floats.
#include <hence/policy/loss.hpp>

#include "call.hpp"

int main() {
#ifdef FIXED
  const auto rule = [](auto ratio, auto advantage) { return -(ratio * advantage); };
#else
  const auto rule = [](float ratio, float advantage) { return -(ratio * advantage); };
#endif
  const hence::policy_loss loss{hence::ratio::sequence{}, rule, hence::kl::none{},
                                hence::aggregate::token_mean{}};
  hence::loss_and_gradient(hence::cpu{}, loss, batch, inputs(), hence::over_this_call, out);
}
