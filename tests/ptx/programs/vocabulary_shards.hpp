// The batches of the program of vocabulary shards, for both its halves: those of the log-prob
// program, cut, and its ends, whole and halved.
#pragma once

#include "token_logprob.hpp"

#include <hence/logits/vocabulary_shards.hpp>

namespace shard_case {

using logprob_case::batch;

/// Where the shards of a batch begin, and where the last ends.
template <class T> std::vector<std::int64_t> cuts_of(const batch<T>& b) {
  if (b.columns == 1) return {0, 1};
  if (b.columns == 7) return {0, 3, 7};
  if (b.columns == 264) return {0, b.in_place ? 1 : 255, 264};
  if (b.columns < 2000) return {0, 512, 1024, b.columns};
  return {0, b.columns / 3, 4096, b.columns};
}

struct outcome {
  std::vector<std::vector<double>> shards;       // 5 a row each
  std::vector<float> values[5];                  // logp, entropy, anchor, log_sum, expected_logit
  std::vector<double> states;                    // 5 a row
  std::vector<float> gradient;                   // as stored, widened; [rows, columns]
  std::vector<hence::status> forward, backward;  // of each shard
  hence::status merged;
};
inline std::vector<double> numbers_of(const hence::softmax_state* s, std::int64_t rows) {
  std::vector<double> out;
  for (std::int64_t i = 0; i < rows; ++i)
    out.insert(out.end(), {s[i].others, s[i].moment, s[i].reference, s[i].shift, s[i].label});
  return out;
}
/// Columns [begin, end) of a matrix.
template <class T>
hence::view<T, 2> columns_of(hence::view<T, 2> v, std::int64_t begin, std::int64_t end) {
  if (v.present()) v.data += begin, v.extent[1] = end - begin;
  return v;
}

/// The same from the CPU; in its own translation unit, which nvcc doesn't see.
template <class T> outcome on_cpu(const batch<T>& b, const std::vector<std::int64_t>& cuts);

}  // namespace shard_case
