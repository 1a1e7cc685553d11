// expect: ^hence: the parts of a response point into it
// The parts of a response point into it: a string that dies with the statement would leave them
// dangling.
#include <hence/reward/format.hpp>

#include <string>

namespace reward = hence::reward;

std::string sampled();

int main() {
  const reward::format::r1_zero f{reward::matching::strict};
#ifdef FIXED
  const std::string response = sampled();
  const auto parts = reward::parse(f, response);
#else
  const auto parts = reward::parse(f, sampled());
#endif
  return parts.ok() ? 0 : 1;
}
