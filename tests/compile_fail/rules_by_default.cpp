// expect: ^hence: name the rules: answer::strict
// What checkers disagree about is not zero by default.
#include <hence/reward/answer.hpp>

int main() {
#ifdef FIXED
  (void)hence::reward::compare_answers("1/2", "0.5", hence::reward::answer::strict);
#else
  (void)hence::reward::compare_answers("1/2", "0.5", hence::reward::answer_rules{});
#endif
}
