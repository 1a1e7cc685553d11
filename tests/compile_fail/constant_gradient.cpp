// expect: ^hence: a gradient of logits is stored as float, hence::bf16 or hence::f16
// The gradient is written.
#include <hence/logits/token_logprob.hpp>

#include <vector>

int main() {
#ifdef FIXED
  std::vector<float> gradient(6);
  using element = float;
#else
  const std::vector<float> gradient(6);
  using element = const float;
#endif
  const std::vector<float> logits(6);
  const std::vector<std::int64_t> labels(2);
  const std::vector<hence::softmax_state> states(2);
  const hence::softmax_rule rule{.temperature = 1.0, .negative = hence::negative_labels::ignored};
  hence::token_logprob_gradient(hence::cpu{}, rule,
                                hence::view<const float, 2>(logits.data(), 2, 3), labels, states,
                                {}, hence::view<element, 2>(gradient.data(), 2, 3));
}
