// expect: ^hence: the KL term is kl::none
// An estimator says its coefficient and its gradient.
#include <hence/policy/loss.hpp>

#include "call.hpp"

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
