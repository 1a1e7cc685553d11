// expect: ^hence: a rule runs on many tokens at once, so a comparison is no bool
// One branch for sixteen tokens.
#include <hence/policy/loss.hpp>

#include "call.hpp"

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
