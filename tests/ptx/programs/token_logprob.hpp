// The batches of the log-prob program, for both its halves.
#pragma once

#include <hence/logits/token_logprob.hpp>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace logprob_case {

/// Rows of logits in a buffer: row i begins at `offset + i stride`; what lies between is never
/// read.
template <class T> struct batch {
  std::string name;
  std::int64_t columns, stride, offset;
  hence::softmax_rule rule;
  bool has_keep, in_place;
  std::vector<T> logits{};
  std::vector<std::int64_t> labels{};
  std::vector<std::uint8_t> keep{};
  std::vector<float> g{}, h{};

  std::int64_t rows() const { return static_cast<std::int64_t>(labels.size()); }
};

/// A row of one of these kinds. The label is what they are made around.
constexpr int kinds = 16;
inline std::vector<float> row_of(int kind, std::int64_t columns, std::int64_t label,
                                 std::mt19937& random) {
  std::vector<float> x(static_cast<std::size_t>(columns));
  const float inf = INFINITY;
  for (std::int64_t i = 0; i < columns; ++i) {
    float noise = 0;  // nearly normal
    for (int k = 0; k < 4; ++k) noise += static_cast<float>(random()) / 2147483648.0f - 1;
    const auto at = static_cast<float>(i) / static_cast<float>(columns);
    float v = 3 * noise;
    switch (kind) {
      case 1:
        v = i == label ? 40.0f : noise;
        break;  // nearly certain
      case 2:
        v = i == label ? 30.0f : 20 * noise;
        break;  // or not
      case 3:
        v = 300 * at + noise;
        break;  // every leaf moves
      case 4:
        v = -300 * at + noise;
        break;  // most terms are dropped
      case 5:
        v += 1e4f;
        break;
      case 6:
        v = random() % 4 != 0 ? -inf : v;
        break;
      case 7:
        v = i == label ? 0.0f : -inf;
        break;  // the label alone
      case 8:
        v = i == label ? -inf : v;
        break;
      case 9:
        v = i == columns / 2 ? NAN : v;
        break;
      case 10:
        v = i == columns - 1 ? inf : v;
        break;
      case 11:
        v = -inf;
        break;
      case 12:
        v = 2.0f;
        break;
      case 13:
        v *= 5e3f;
        break;  // beyond the fast range
      case 14:
        v = -6e4f + noise;
        break;
      case 15:
        v = 100 * noise;
        break;
      default:
        break;
    }
    x[static_cast<std::size_t>(i)] = v;
  }
  return x;
}

/// Shapes around the ends of a thread's group, a warp, a superblock; rows that begin on a 16-byte
/// boundary and not; labels everywhere, outside and ignored.
template <class T> std::vector<batch<T>> batches() {
  using hence::negative_labels;
  const hence::softmax_rule plain{.temperature = 1, .negative = negative_labels::ignored},
      tempered{.temperature = 0.7, .negative = negative_labels::out_of_range},
      cold{.temperature = 1e-3, .negative = negative_labels::ignored},  // leaves the fast range
      capped{.temperature = 1.5, .negative = negative_labels::ignored, .soft_cap = 30};
  std::vector<batch<T>> out{{"V=1", 1, 1, 0, plain, false, false},
                            {"V=7", 7, 9, 3, tempered, true, false},
                            {"V=264", 264, 264, 0, plain, false, true},
                            {"V=264, cold", 264, 264, 0, cold, false, false},
                            {"V=1025", 1025, 1032, 0, capped, true, true},
                            {"V=5003", 5003, 5003, 1, plain, false, false},
                            {"V=4104", 4104, 4112, 0, tempered, true, false}};
  if constexpr (sizeof(T) == 4)  // a second leaf for all lanes, a third for some
    out.push_back({"V=9221", 9221, 9224, 0, capped, true, false});
  std::mt19937 random(5);
  for (std::size_t n = 0; n < out.size(); ++n) {
    batch<T>& b = out[n];
    const std::int64_t rows = b.columns > 9000   ? 3
                              : b.columns > 4096 ? (sizeof(T) == 4 ? 8 : 3)
                                                 : kinds + 2;
    b.logits.assign(static_cast<std::size_t>(b.offset + rows * b.stride), T(0.0f));
    for (std::int64_t i = 0; i < rows; ++i) {
      const int kind = b.columns > 4096 ? static_cast<int>(2 * i + 1) % kinds : static_cast<int>(i);
      std::int64_t label = static_cast<std::int64_t>(random()) % b.columns;
      if (i % 3 == 2) label = b.columns - 1;
      const auto x = row_of(kind % kinds, b.columns, label, random);
      for (std::size_t c = 0; c < x.size(); ++c)
        b.logits[static_cast<std::size_t>(b.offset + i * b.stride) + c] = T(x[c]);
      b.labels.push_back(i == kinds ? -100 : i == kinds + 1 ? b.columns : label);
      b.g.push_back(static_cast<float>(i) - 2.5f), b.h.push_back(i % 2 == 0 ? 0.25f : 0.0f);
    }
    if (!b.has_keep) continue;
    for (std::int64_t i = 0; i < rows * b.columns; ++i) b.keep.push_back(random() % 5 != 0);
    for (std::int64_t i = 0; i < rows; ++i)  // what is not kept may hold anything
      for (std::int64_t c = 0; c < b.columns; ++c)
        if (b.keep[static_cast<std::size_t>(i * b.columns + c)] == 0 && random() % 7 == 0)
          b.logits[static_cast<std::size_t>(b.offset + i * b.stride + c)] = T(NAN);
  }
  return out;
}

struct outcome {
  std::vector<float> values[5];  // logp, entropy, anchor, log_sum, expected_logit
  std::vector<double> states;    // 5 a row
  std::vector<float> gradient;   // as stored, widened; [rows, columns]
  hence::status forward, backward;
};

/// The same from the CPU; in its own translation unit, which nvcc doesn't see.
template <class T> outcome on_cpu(const batch<T>& b);

}  // namespace logprob_case
