// expect: ^hence: slots are dropped by_weight or by_position
// Which slots an expert over its capacity loses is a choice with two names.
#include <hence/moe/capacity.hpp>

namespace moe = hence::moe;

int main() {
  const moe::capacity_arrays<float> slots{};
#ifdef FIXED
  moe::apply_capacity(2, moe::drop_by_weight{}, slots);
#else
  moe::apply_capacity(2, true, slots);
#endif
}
