// The half of the linear log-prob program that the CPU executor runs.
#include "linear_logprob.hpp"

#include <hence/core/storage.hpp>
#include <hence/logits/linear_logprob.hpp>

namespace linear_case {

outcome on_cpu(const batch& b) {
  using gemm = hence::gemm::ordered;
  const auto tokens = b.labels.size();
  outcome o;
  for (auto& v : o.values) v.assign(tokens, -7.0f);
  o.raw_states.resize(tokens);
  o.hidden = b.to_hidden, o.weight = b.to_weight, o.bias = b.to_bias;
  std::vector<std::byte> memory(
      static_cast<std::size_t>(hence::linear_logprob_bytes<gemm>(b.tokens, b.width, b.columns)));
  const auto hidden = matrix_of(b.hidden.data(), b.tokens, b.width, b.gap);
  hence::linear_head<const hence::bf16> head{matrix_of(b.weight.data(), b.columns, b.width, b.gap)};
  if (b.has_bias) head.bias = b.bias;
  o.forward = hence::linear_logprob(
      hence::cpu<>{}, gemm{}, b.rule, hidden, head, b.labels,
      {o.values[0], o.values[1], o.values[2], o.values[3], o.values[4], o.raw_states}, memory);
  o.backward = hence::linear_logprob_gradient(
      hence::cpu<>{}, gemm{}, b.rule, hidden, head, b.labels,
      view<const hence::softmax_state>(o.raw_states), {.logp = b.g, .entropy = b.h},
      {matrix_of(o.hidden.data(), b.tokens, b.width, b.gap),
       matrix_of(o.weight.data(), b.columns, b.width, b.gap), o.bias, b.of_hidden, b.of_head},
      memory);
  for (const auto& s : o.raw_states)
    o.states.insert(o.states.end(), {s.others, s.moment, s.reference, s.shift, s.label});
  return o;
}

std::vector<float> on_cpu(const product& p) {
  std::vector<float> c = p.c;
  alignas(64) static float scratch[static_cast<std::size_t>(hence::gemm::ordered::scratch_floats)];
  hence::gemm::ordered{}(p.left(p.a.data()), p.right(p.b.data()),
                         view<float, 2>(c.data(), p.m, p.n), p.u, scratch);
  return c;
}

}  // namespace linear_case
