// expect: ^hence: the surrogate has no gradient
// One alternative of a variant is unsound.
#include <hence/policy/loss.hpp>

#include <variant>

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

struct constant_rule {
  auto operator()(const auto& ratio, const auto& advantage) const {
#ifdef FIXED
    return ratio * advantage;
#else
    return detach(ratio) * advantage;
#endif
  }
};

int main() {
  using any_rule = std::variant<hence::clip::two_sided<float>, constant_rule>;
  const hence::policy_loss loss{hence::ratio::token{}, any_rule(ppo), hence::kl::none{},
                                hence::aggregate::token_mean{}};
  hence::loss_and_gradient(hence::cpu{}, loss, batch, inputs(), hence::over_this_call, out);
}
