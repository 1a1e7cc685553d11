// expect: ^hence: the KL term is kl::none
// An estimator says its coefficient and its gradient.
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

struct estimator {
#ifdef FIXED
  float coef = 0.1f;
#endif
  hence::kl::own gradient;
  auto operator()(const auto& u) const { return u * u; }
};

int main() {
  const hence::policy_loss loss{hence::ratio::token{}, ppo, estimator{},
                                hence::aggregate::token_mean{}};
  hence::loss_and_gradient(hence::cpu{}, loss, batch, inputs(), hence::over_this_call, out);
}
