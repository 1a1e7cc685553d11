// expect: ^hence: this surrogate limits log-ratios before their mean over the row
// GMPO is of the row's geometric mean, not of tokens.
#include <hence/policy/surrogate_ratio.hpp>

#include "call.hpp"

int main() {
#ifdef FIXED
  const hence::ratio::sequence ratio{};
#else
  const hence::ratio::token ratio{};
#endif
  const hence::policy_loss loss{ratio, hence::clip::gmpo{-0.4f, 0.4f}, hence::kl::none{},
                                hence::aggregate::token_mean{}};
  hence::loss_and_gradient(hence::cpu{}, loss, batch, inputs(), hence::over_this_call, out);
}
