// expect: ^hence: results of over_this_call do not add up
// Each call was divided by its own counts.
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
  auto total = hence::loss_and_gradient(hence::cpu{}, loss, batch, inputs(), by, out);
  total += hence::loss_and_gradient(hence::cpu{}, loss, batch, inputs(), by, out);
}
