// expect: ^hence: a format is one of reward::format
// How strictly is a member of the format, not the format.
#include <hence/reward/format.hpp>

namespace reward = hence::reward;

int main() {
#ifdef FIXED
  (void)reward::format_reward(reward::format::r1{reward::matching::strict}, "x");
#else
  (void)reward::format_reward(reward::matching::strict, "x");
#endif
}
