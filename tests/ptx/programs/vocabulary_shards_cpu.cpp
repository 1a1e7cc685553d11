// The half of the program of vocabulary shards that the CPU executor runs.
#include "vocabulary_shards.hpp"

namespace shard_case {

template <class T> outcome on_cpu(const batch<T>& b, const std::vector<std::int64_t>& cuts) {
  using hence::cpu, hence::view;
  const std::size_t rows = b.labels.size(), shards = cuts.size() - 1;
  outcome o;
  for (auto& v : o.values) v.assign(rows, -7.0f);
  std::vector<hence::softmax_state> parts(shards * rows), whole(rows);
  std::vector<T> gradient(rows * static_cast<std::size_t>(b.columns));
  const view<const T, 2> logits(b.logits.data() + b.offset, b.rows(), b.columns, b.stride);
  const view<T, 2> to(gradient.data(), b.rows(), b.columns);
  view<const std::uint8_t, 2> keep;
  if (b.has_keep) keep = {b.keep.data(), b.rows(), b.columns};
  for (std::size_t k = 0; k < shards; ++k) {
    o.forward.push_back(
        hence::shard_states(cpu<>{}, b.rule, columns_of(logits, cuts[k], cuts[k + 1]), b.labels,
                            cuts[k], view<hence::softmax_state>(parts.data() + k * rows, b.rows()),
                            columns_of(keep, cuts[k], cuts[k + 1])));
    o.shards.push_back(numbers_of(parts.data() + k * rows, b.rows()));
  }
  o.merged =
      hence::merge_shards(cpu<>{}, b.rule,
                          view<const hence::softmax_state, 2>(
                              parts.data(), static_cast<std::int64_t>(shards), b.rows()),
                          b.labels, b.columns,
                          {o.values[0], o.values[1], o.values[2], o.values[3], o.values[4], whole});
  o.states = numbers_of(whole.data(), b.rows());
  for (std::size_t k = 0; k < shards; ++k)
    o.backward.push_back(hence::shard_gradient(
        cpu<>{}, b.rule, columns_of(logits, cuts[k], cuts[k + 1]), b.labels, cuts[k],
        view<const hence::softmax_state>(whole), {.logp = b.g, .entropy = b.h},
        columns_of(to, cuts[k], cuts[k + 1]), columns_of(keep, cuts[k], cuts[k + 1])));
  for (const T x : gradient) o.gradient.push_back(static_cast<float>(x));
  return o;
}
template outcome on_cpu(const batch<float>&, const std::vector<std::int64_t>&);
template outcome on_cpu(const batch<hence::bf16>&, const std::vector<std::int64_t>&);

}  // namespace shard_case
