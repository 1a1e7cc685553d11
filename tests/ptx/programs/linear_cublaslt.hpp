// The batches of the linear log-prob by cuBLASLt, for both halves of the program.
#pragma once

#include <hence/core/gemm/product.hpp>
#include <hence/core/storage.hpp>
#include <hence/logits/linear_arrays.hpp>

#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace library_case {

using hence::update, hence::view;

/// Rows of every matrix lie `gap` apart; what lies between is NaN and stays. Numbers are bf16 ones,
/// whatever they are stored as.
struct batch {
  std::string name;
  std::int64_t tokens, width, columns, gap, tile_tokens, tile_columns;
  hence::softmax_rule rule;
  bool has_bias, is_odd;  // odd: rows with NaN, infinities, huge logits, labels out of range
  update of_hidden, of_head;
  std::vector<float> hidden{}, weight{}, bias{}, g{}, h{}, to_hidden{}, to_weight{}, to_bias{};
  std::vector<std::int64_t> labels{};
};

template <class T>
view<T, 2> matrix_of(T* p, std::int64_t rows, std::int64_t columns, std::int64_t gap) {
  return {p, rows, columns, columns + gap};
}

/// One tile and several, of both kinds; labels in each tile, ignored and out of range.
inline std::vector<batch> batches() {
  using hence::negative_labels;
  const hence::softmax_rule plain{.temperature = 1, .negative = negative_labels::ignored},
      strict{.temperature = 0.7, .negative = negative_labels::out_of_range},
      capped{.temperature = 1.5, .negative = negative_labels::ignored, .soft_cap = 5};
  constexpr auto over = update::overwrite, adds = update::accumulate;
  std::vector<batch> out{
      {"70 x 20 x 131", 70, 20, 131, 4, 64, 131, plain, true, false, over, over},
      {"70 x 20 x 131, odd", 70, 20, 131, 0, 70, 4096, plain, true, true, adds, adds},
      {"66 x 3 x 4500", 66, 3, 4500, 5, 64, 4096, plain, false, false, over, adds},
      {"12 x 5 x 4097, odd", 12, 5, 4097, 3, 12, 4096, plain, true, true, over, over},
      {"9 x 2 x 9001, odd", 9, 2, 9001, 0, 64, 4096, strict, false, true, adds, over},
      {"3 x 4 x 9001, capped", 3, 4, 9001, 1, 3, 8192, capped, true, false, over, adds},
      {"1 x 1 x 1", 1, 1, 1, 0, 1024, 8192, strict, false, false, over, over},
      {"all ignored", 3, 5, 4100, 2, 64, 4096, plain, true, false, over, over}};
  std::mt19937 random(11);
  const auto noise = [&] {
    float x = 0;
    for (int i = 0; i < 4; ++i) x += static_cast<float>(random()) / 2147483648.0f - 1;
    return static_cast<float>(hence::bf16(x));
  };
  for (batch& b : out) {
    const bool ignores = b.rule.negative == negative_labels::ignored;
    for (std::int64_t t = 0; t < b.tokens; ++t) {
      const bool is_ignored = ignores && (b.name == "all ignored" || t % 6 == 2);
      std::int64_t label = is_ignored ? -100 : static_cast<std::int64_t>(random()) % b.columns;
      if (t == 0 && !is_ignored) label = b.columns - 1;  // in the last tile
      if (b.is_odd && t == 1) label = b.columns + 5;
      b.labels.push_back(label);
      for (std::int64_t d = 0; d < b.width + b.gap; ++d) {
        float x = is_ignored || d >= b.width ? NAN : 0.5f * noise();
        if (b.is_odd && t == 3 && d == 1) x = INFINITY;
        if (b.is_odd && t == 4 && d == 0) x = NAN;
        if (b.is_odd && t >= 5 && t <= 7 && t != 6) x *= 0x1p+24f;  // beyond the fast range
        b.hidden.push_back(x);
      }
      b.g.push_back(noise()), b.h.push_back(0.1f * noise());
    }
    for (std::int64_t v = 0; v < b.columns; ++v) {
      for (std::int64_t d = 0; d < b.width + b.gap; ++d)
        b.weight.push_back(d < b.width ? noise() : NAN);
      b.bias.push_back(noise());
    }
    for (std::size_t i = 0; i < b.hidden.size(); ++i) b.to_hidden.push_back(noise());
    for (std::size_t i = 0; i < b.weight.size(); ++i) b.to_weight.push_back(noise());
    for (std::size_t i = 0; i < b.bias.size(); ++i) b.to_bias.push_back(noise());
  }
  return out;
}

struct outcome {
  std::vector<float> values[5];  // logp, entropy, anchor, log_sum, expected_logit
  std::vector<double> states;    // 5 a token
  std::vector<float> hidden, weight, bias;
  hence::status forward, backward;
};

/// `hence::cpu` with a product that rounds as the stand-in for cuBLASLt does: chains in the order
/// of k, a bias added last; the gradient of the logits rounded to bf16 first where all is bf16.
outcome on_cpu(const batch& b, bool is_bf16);

/// By the formulas in float64; nothing of the library.
struct exact {
  std::vector<double> logp, entropy, hidden, weight, bias;
};
exact in_float64(const batch& b);

}  // namespace library_case
