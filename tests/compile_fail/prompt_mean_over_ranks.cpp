// expect: ^hence: counts know no prompts
// A window counted in rows and tokens cannot divide prompt means.
#include <hence/policy/aggregate_prompt.hpp>
#include <hence/policy/loss.hpp>

#include "call.hpp"

int main() {
  const hence::policy_loss loss{
      hence::ratio::token{}, ppo, hence::kl::none{},
      hence::aggregate::prompt_mean_token_mean{hence::aggregate::all_prompts{}}};
#ifdef FIXED
  const auto by = hence::over_all_ranks(loss.aggregation, hence::prompt_counts(1, 1));
#else
  const auto by = hence::over_all_ranks(loss.aggregation, hence::count(batch));
#endif
  hence::loss_and_gradient(hence::cpu{}, loss, batch, inputs(), by, out);
}
