// expect: ^hence: a normalised gate needs to know what k = 1 gets
// With k = 1 a normalised weight is constant and the router cannot learn: say so or say otherwise.
#include <hence/moe/gate_rule.hpp>

namespace moe = hence::moe;

int main() {
#ifdef FIXED
  const auto weights = moe::normalized{1e-20, moe::single_raw{}};
#else
  const auto weights = moe::normalized{1e-20};
#endif
  return weights.eps > 1 ? 1 : 0;
}
