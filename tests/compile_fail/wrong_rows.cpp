// expect: ^hence: a sequence mean counts aggregate::all_rows or aggregate::non_empty_rows
// A number of rows has a type of its own.
#include <hence/policy/loss.hpp>

#include "call.hpp"

int main() {
#ifdef FIXED
  const hence::aggregate::sequence_mean_token_mean_over mean{64};
#else
  const hence::aggregate::sequence_mean_token_mean mean{64};
#endif
  const hence::policy_loss loss{hence::ratio::token{}, ppo, hence::kl::none{}, mean};
  hence::loss_and_gradient(hence::cpu{}, loss, batch, inputs(), hence::over_this_call, out);
}
