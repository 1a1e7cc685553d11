// The half of the log-prob program that the CPU executor runs.
#include "token_logprob.hpp"

namespace logprob_case {

template <class T> outcome on_cpu(const batch<T>& b) {
  using hence::view;
  const auto rows = b.labels.size(), columns = static_cast<std::size_t>(b.columns);
  outcome o;
  for (auto& v : o.values) v.assign(rows, -7.0f);
  std::vector<hence::softmax_state> states(rows);
  std::vector<T> gradient(rows * columns);
  view<const T, 2> logits(b.logits.data() + b.offset, b.rows(), b.columns);
  logits.stride[0] = b.stride;
  view<const std::uint8_t, 2> keep;
  if (b.has_keep) keep = {b.keep.data(), b.rows(), b.columns};
  o.forward = hence::token_logprob(
      hence::cpu<>{}, b.rule, logits, b.labels,
      {o.values[0], o.values[1], o.values[2], o.values[3], o.values[4], states}, keep);
  o.backward = hence::token_logprob_gradient(
      hence::cpu<>{}, b.rule, logits, b.labels, view<const hence::softmax_state>(states),
      {.logp = b.g, .entropy = b.h}, view<T, 2>(gradient.data(), b.rows(), b.columns), keep);
  for (const auto& s : states)
    o.states.insert(o.states.end(), {s.others, s.moment, s.reference, s.shift, s.label});
  for (const T x : gradient) o.gradient.push_back(static_cast<float>(x));
  return o;
}
template outcome on_cpu(const batch<float>&);
template outcome on_cpu(const batch<hence::bf16>&);
template outcome on_cpu(const batch<hence::f16>&);

}  // namespace logprob_case
