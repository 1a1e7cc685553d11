// expect: ^hence: the groups of a gate need to know how a group is scored
// Frameworks score a group by its largest value, its two largest or its k/kept largest.
#include <hence/moe/gate_rule.hpp>

namespace moe = hence::moe;

int main() {
#ifdef FIXED
  const auto groups = moe::grouped{8, 4, moe::top2_sum{}};
#else
  const auto groups = moe::grouped{8, 4};
#endif
  return groups.kept > 4 ? 1 : 0;
}
