// expect: ^hence: this gemm does not multiply the executor's scalar by weights of this type
// A product of floats is not handed a head of bf16.
#include <hence/logits/linear_logprob.hpp>

#include <vector>

struct of_floats {
  static constexpr std::int64_t scratch_floats = 0;
  void operator()(hence::view<const float, 2>, hence::view<const float, 2>, hence::view<float, 2>,
                  hence::update, float*) const {}
};

int main() {
#ifdef FIXED
  using weight_t = float;
#else
  using weight_t = hence::bf16;
#endif
  const std::vector<float> hidden(6);
  const std::vector<weight_t> weight(12);
  const std::vector<std::int64_t> labels(2);
  const hence::softmax_rule rule{.temperature = 1.0, .negative = hence::negative_labels::ignored};
  std::vector<std::byte> memory(1 << 22);
  hence::linear_logprob(
      hence::cpu{}, of_floats{}, rule, hence::view<const float, 2>(hidden.data(), 2, 3),
      hence::linear_head<const weight_t>{.weight =
                                             hence::view<const weight_t, 2>(weight.data(), 4, 3)},
      labels, {}, memory);
}
