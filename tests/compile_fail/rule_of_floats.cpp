// expect: ^hence: a surrogate is called with .ratio, advantage. or with one token
// A rule sees hence numbers, never built-in floats.
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
  const auto rule = [](auto ratio, auto advantage) { return -(ratio * advantage); };
#else
  const auto rule = [](float ratio, float advantage) { return -(ratio * advantage); };
#endif
  const hence::policy_loss loss{hence::ratio::sequence{}, rule, hence::kl::none{},
                                hence::aggregate::token_mean{}};
  hence::loss_and_gradient(hence::cpu{}, loss, batch, inputs(), hence::over_this_call, out);
}
