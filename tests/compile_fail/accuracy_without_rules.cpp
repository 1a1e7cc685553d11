// expect: ^hence: answers are compared by rules: answer::strict
// Checkers disagree: there is no default.
#include <hence/reward/answer.hpp>

namespace reward = hence::reward;

int main() {
#ifdef FIXED
  (void)reward::accuracy_reward(reward::extract::whole{}, "1/2", "0.5", reward::answer::math);
#else
  (void)reward::accuracy_reward(reward::extract::whole{}, "1/2", "0.5");
#endif
}
