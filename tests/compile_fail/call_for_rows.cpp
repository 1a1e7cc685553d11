// expect: ^hence: a range of rows cannot count its whole call
// Threads that each run a range share one denominator.
#include <hence/policy/loss.hpp>

#include "call.hpp"

int main() {
  const hence::policy_loss loss{hence::ratio::token{}, ppo, hence::kl::none{},
                                hence::aggregate::token_mean{}};
#ifdef FIXED
  const auto by = hence::over_window(loss.aggregation, hence::count(batch));
#else
  const auto by = hence::over_this_call;
#endif
  hence::loss_and_gradient_rows(hence::cpu{}, loss, batch, inputs(), by, out, 0, 1);
}
