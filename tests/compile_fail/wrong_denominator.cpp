// expect: ^hence: the denominator was made for another aggregation
// A window counted for the token mean cannot divide sequence means.
#include <hence/policy/loss.hpp>

#include "call.hpp"

int main() {
  const hence::policy_loss loss{hence::ratio::token{}, ppo, hence::kl::none{},
                                hence::aggregate::sequence_mean_token_mean{}};
#ifdef FIXED
  const auto by = hence::over_window(loss.aggregation, hence::count(batch));
#else
  const auto by = hence::over_window(hence::aggregate::token_mean{}, hence::count(batch));
#endif
  hence::loss_and_gradient(hence::cpu{}, loss, batch, inputs(), by, out);
}
