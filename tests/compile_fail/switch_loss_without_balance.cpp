// expect: ^hence: switch_loss says what it is at perfect balance
// Megatron's is coef, transformers' k coef.
#include <hence/moe/balance_loss.hpp>

namespace moe = hence::moe;

int main() {
#ifdef FIXED
  const moe::switch_loss loss{0.01, moe::balance_is_one{}};
#else
  const moe::switch_loss loss{0.01};
#endif
  return sizeof loss > 100 ? 1 : 0;
}
