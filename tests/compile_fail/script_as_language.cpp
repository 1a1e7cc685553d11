// expect: ^hence: words are judged by language::scripts
// A script is not yet a rule.
#include <hence/reward/language.hpp>

namespace reward = hence::reward;

int main() {
#ifdef FIXED
  (void)reward::count_words("x", reward::language::scripts{reward::script::latin});
#else
  (void)reward::count_words("x", reward::script::latin);
#endif
}
