// expect: ^hence: the answer points into the text
// An answer is a part of the text: a string that dies with the statement would leave it dangling.
#include <hence/reward/extract.hpp>

#include <string>

namespace reward = hence::reward;

std::string sampled();

int main() {
#ifdef FIXED
  const std::string text = sampled();
  const auto found = reward::find_answer(reward::extract::last_boxed{}, text);
#else
  const auto found = reward::find_answer(reward::extract::last_boxed{}, sampled());
#endif
  return found.ok() ? 0 : 1;
}
