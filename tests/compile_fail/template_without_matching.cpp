// expect: ^hence: say how strictly the template is matched
// How strictly a template is matched is not stated by the paper: there is no default.
#include <hence/reward/format.hpp>

namespace reward = hence::reward;

int main() {
#ifdef FIXED
  (void)reward::format_reward(reward::format::r1_zero{reward::matching::strict}, "x");
#else
  (void)reward::format_reward(reward::format::r1_zero{}, "x");
#endif
}
