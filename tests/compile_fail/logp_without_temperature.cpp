// expect: ^hence: log-probs say at which temperature they were computed
// A ratio of log-probs at two temperatures means nothing, so each array says its own.
#include <hence/policy/loss.hpp>

#include <vector>

int main() {
  const std::vector<float> logp(4);
  hence::policy_inputs<float> in;
#ifdef FIXED
  in.logp = {logp, {.temperature = 1.0}};
#else
  in.logp = logp;
#endif
}
