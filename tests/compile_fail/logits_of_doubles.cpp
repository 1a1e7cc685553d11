// expect: ^hence: logits are stored as float, hence::bf16 or hence::f16
// Logits of doubles would be narrowed.
#include <hence/logits/token_logprob.hpp>

#include <vector>

int main() {
  const std::vector<double> logits(6);
  const std::vector<std::int64_t> labels(2);
  const hence::softmax_rule rule{.temperature = 1.0, .negative = hence::negative_labels::ignored};
#ifdef FIXED
  const hence::reference<double> executor;
#else
  const hence::cpu executor;
#endif
  hence::token_logprob(executor, rule, hence::view<const double, 2>(logits.data(), 2, 3), labels,
                       {});
}
