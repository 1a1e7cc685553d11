// expect: ^hence: the last part of a policy_loss is an aggregation
// The aggregation comes last.
#include <hence/policy/loss.hpp>

namespace {
float x[4] = {}, gradient[4] = {}, advantages[1] = {1};
const std::int64_t boundaries[2] = {0, 4};
const hence::ragged batch{hence::view<const std::int64_t>(boundaries, 2), {}};
const hence::view<float> out(gradient, 4);
const hence::clip::two_sided<float> ppo{0.8f, 1.2f};
hence::policy_inputs<float> inputs() {
  hence::policy_inputs<float> in;
  in.logp = in.old = in.ref = {hence::view<const float>(x, 4), {1.0}};
  in.advantages = hence::view<const float>(advantages, 1);
  return in;
}
}  // namespace

int main() {
#ifdef FIXED
  const hence::policy_loss loss{hence::ratio::token{}, ppo, hence::kl::none{},
                                hence::aggregate::token_mean{}};
#else
  const hence::policy_loss loss{hence::ratio::token{}, ppo, hence::aggregate::token_mean{},
                                hence::kl::none{}};
#endif
  hence::loss_and_gradient(hence::cpu{}, loss, batch, inputs(), hence::over_this_call, out);
}
