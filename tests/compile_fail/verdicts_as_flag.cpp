// expect: ^hence: verdicts are a callable
// One flag is no verdict of each case.
#include <hence/reward/code_tests.hpp>

#include <cstdint>

namespace reward = hence::reward;

int main() {
#ifdef FIXED
  (void)reward::test_reward(reward::verdicts::share, 3, [](std::int64_t) { return true; });
#else
  (void)reward::test_reward(reward::verdicts::share, 3, true);
#endif
}
