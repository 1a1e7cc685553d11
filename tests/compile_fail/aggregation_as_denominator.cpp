// expect: ^hence: a denominator is over_this_call, over_window
// The aggregation is part of the loss; the denominator is counted.
#include <hence/policy/loss.hpp>

#include "call.hpp"

int main() {
  const hence::policy_loss loss{hence::ratio::token{}, ppo, hence::kl::none{},
                                hence::aggregate::token_mean{}};
#ifdef FIXED
  const auto by = hence::over_all_ranks(loss.aggregation, hence::count(batch));
#else
  const auto by = loss.aggregation;
#endif
  hence::loss_and_gradient(hence::reference<float>{}, loss, batch, inputs(), by, out);
}
