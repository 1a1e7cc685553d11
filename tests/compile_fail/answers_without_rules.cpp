// expect: ^hence: answers are compared by rules: answer::strict
// Checkers disagree: there is no default.
#include <hence/reward/answer.hpp>

int main() {
#ifdef FIXED
  (void)hence::reward::compare_answers("1/2", "0.5", hence::reward::answer::strict);
#else
  (void)hence::reward::compare_answers("1/2", "0.5");
#endif
}
