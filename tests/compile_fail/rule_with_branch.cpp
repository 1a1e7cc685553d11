// expect: ^hence: a rule runs on many tokens at once, so a comparison is no bool
// One branch for sixteen tokens.
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
  const auto rule = [](const auto& r, const auto& a) { return -select(a > 0, min(r, 3), r) * a; };
#else
  const auto rule = [](const auto& r, const auto& a) { return -(a > 0 ? min(r, 3) : r) * a; };
#endif
  const hence::policy_loss loss{hence::ratio::token{}, rule, hence::kl::none{},
                                hence::aggregate::token_mean{}};
  hence::loss_and_gradient(hence::cpu{}, loss, batch, inputs(), hence::over_this_call, out);
}
