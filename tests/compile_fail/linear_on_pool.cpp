// expect: ^hence: linear_logprob runs in the caller's thread
// A pool would have to share the one tile.
#include <hence/logits/linear_logprob.hpp>

#include <vector>

int main() {
  const std::vector<float> hidden(6), weight(12);
  const std::vector<std::int64_t> labels(2);
  const hence::softmax_rule rule{.temperature = 1.0, .negative = hence::negative_labels::ignored};
#ifdef FIXED
  const hence::cpu executor;
#else
  struct threads : hence::serial {
  } others;
  const hence::cpu<threads> executor{others};
#endif
  std::vector<std::byte> memory(1 << 22);
  hence::linear_logprob(
      executor, hence::gemm::ordered{}, rule, hence::view<const float, 2>(hidden.data(), 2, 3),
      hence::linear_head<const float>{.weight = hence::view<const float, 2>(weight.data(), 4, 3)},
      labels, {}, memory);
}
