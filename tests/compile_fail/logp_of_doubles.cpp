// expect: ^hence: log-probs are an array that outlives the call, of float for cpu
// Arrays are never converted.
#include <hence/policy/loss.hpp>

#include <vector>

int main() {
  const std::vector<double> logp(4);
#ifdef FIXED
  hence::policy_inputs<double> in;
#else
  hence::policy_inputs<float> in;
#endif
  in.logp = {logp, {.temperature = 1.0}};
}
