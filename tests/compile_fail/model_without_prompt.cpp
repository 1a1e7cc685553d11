// expect: ^hence: a reward model is a callable
// A reward model is shown the prompt too.
#include <hence/reward/reward_model.hpp>

namespace reward = hence::reward;

int main() {
  const reward::format::r1 how{reward::matching::lenient};
#ifdef FIXED
  const auto model = [](reward::text, reward::text) { return 1.0; };
#else
  const auto model = [](reward::text) { return 1.0; };
#endif
  (void)reward::model_reward(reward::shown::summary, how, "q", "x", 0, model);
}
