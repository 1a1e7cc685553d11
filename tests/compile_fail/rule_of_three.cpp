// expect: ^hence: a surrogate is called with .ratio, advantage. or with one token
// What else a rule wants is in the token.
#include <hence/policy/loss.hpp>

#include "call.hpp"

int main() {
#ifdef FIXED
  const auto rule = [](const auto& t) { return -(t.ratio * t.advantage) * t.score; };
#else
  const auto rule = [](const auto& ratio, const auto& advantage, const auto& score) {
    return -(ratio * advantage) * score;
  };
#endif
  const hence::policy_loss loss{hence::ratio::token{}, rule, hence::kl::none{},
                                hence::aggregate::token_mean{}};
  hence::loss_and_gradient(hence::cpu{}, loss, batch, inputs(), hence::over_this_call, out);
}
