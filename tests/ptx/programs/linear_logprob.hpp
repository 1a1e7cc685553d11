// The batches of the linear log-prob program, for both its halves.
#pragma once

#include <hence/core/gemm/product.hpp>
#include <hence/core/storage.hpp>
#include <hence/logits/linear_arrays.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace linear_case {

using hence::update, hence::view;

/// Rows of every matrix lie `gap` apart; what lies between is NaN and stays. `tile` tokens at a
/// time on the device.
struct batch {
  std::string name;
  std::int64_t tokens, width, columns, gap, tile;
  hence::softmax_rule rule;
  bool has_bias;
  update of_hidden, of_head;
  std::vector<hence::bf16> weight{};
  std::vector<float> hidden{}, bias{}, g{}, h{}, to_hidden{}, to_weight{}, to_bias{};
  std::vector<std::int64_t> labels{};
};

template <class T>
view<const T, 2> matrix_of(const T* p, std::int64_t rows, std::int64_t columns, std::int64_t gap) {
  return {p, rows, columns, columns + gap};
}
inline view<float, 2> matrix_of(float* p, std::int64_t rows, std::int64_t columns,
                                std::int64_t gap) {
  return {p, rows, columns, columns + gap};
}

/// Shapes around the ends of tiles; one token, all ignored, none; NaN in tokens that are ignored;
/// infinities in one that is not, which make NaN of the head's whole gradient, so not in tiles.
inline std::vector<batch> batches() {
  using hence::negative_labels;
  const hence::softmax_rule plain{.temperature = 1, .negative = negative_labels::ignored},
      strict{.temperature = 0.7, .negative = negative_labels::out_of_range},
      capped{.temperature = 1.5, .negative = negative_labels::ignored, .soft_cap = 5};
  constexpr auto over = update::overwrite, adds = update::accumulate;
  std::vector<batch> out{{"70 x 20 x 131", 70, 20, 131, 3, 70, plain, true, over, over},
                         {"70 x 20 x 131 in tiles", 70, 20, 131, 3, 33, plain, true, adds, over},
                         {"1 x 1 x 1", 1, 1, 1, 0, 1, strict, false, over, over},
                         {"all ignored", 3, 5, 9, 0, 2, plain, true, adds, adds},
                         {"all ignored, overwritten", 2, 3, 4, 1, 2, plain, true, over, over},
                         {"65 x 64 x 129", 65, 64, 129, 0, 30, strict, false, over, adds},
                         {"12 x 17 x 64, capped", 12, 17, 64, 1, 12, capped, true, adds, adds}};
  std::mt19937 random(7);
  const auto noise = [&] {
    float x = 0;
    for (int i = 0; i < 4; ++i) x += static_cast<float>(random()) / 2147483648.0f - 1;
    return x;
  };
  for (batch& b : out) {
    for (std::int64_t t = 0; t < b.tokens; ++t) {
      const bool is_ignored = b.name.starts_with("all ignored") || t % 5 == 2;
      const auto label = static_cast<std::int64_t>(random()) % b.columns;
      b.labels.push_back(is_ignored ? -100 : t % 7 == 3 ? 0 : label);
      for (std::int64_t d = 0; d < b.width + b.gap; ++d)
        b.hidden.push_back(is_ignored || d >= b.width               ? NAN
                           : t == 8 && d == 3 && b.tile == b.tokens ? INFINITY
                                                                    : 0.5f * noise());
      b.g.push_back(noise()), b.h.push_back(0.1f * noise());
    }
    if (b.rule.negative == negative_labels::out_of_range)
      for (float& x : b.hidden) x = 0.25f * noise();
    if (b.tokens == 65) {  // chains that stay 0, forward and backward
      std::fill_n(b.hidden.begin() + 8 * (b.width + b.gap), 4 * (b.width + b.gap), 0.0f);
      std::fill_n(b.g.begin() + 16, 4, 0.0f), std::fill_n(b.h.begin() + 16, 4, 0.0f);
    }
    for (std::int64_t v = 0; v < b.columns; ++v) {
      for (std::int64_t d = 0; d < b.width + b.gap; ++d)
        b.weight.push_back(hence::bf16(d < b.width ? noise() : NAN));
      b.bias.push_back(noise());
    }
    for (std::size_t i = 0; i < b.hidden.size(); ++i) b.to_hidden.push_back(noise());
    for (std::size_t i = 0; i < b.weight.size(); ++i) b.to_weight.push_back(noise());
    for (std::size_t i = 0; i < b.bias.size(); ++i) b.to_bias.push_back(noise());
    b.to_weight[0] = b.to_bias[0] = b.to_hidden[0] = -0.0f;  // adding 0 would lose the sign
  }
  return out;
}

struct outcome {
  std::vector<float> values[5];  // logp, entropy, anchor, log_sum, expected_logit
  std::vector<double> states;    // 5 a token
  std::vector<hence::softmax_state> raw_states;
  std::vector<float> hidden, weight, bias;
  hence::status forward, backward;
};

/// The same from the CPU; in its own translation unit, which nvcc doesn't see.
outcome on_cpu(const batch& b);

/// C of [m, k] times [k, n], each matrix given and read transposed or not.
struct product {
  std::int64_t m, k, n;
  bool turns_a, turns_b;
  update u;
  std::vector<float> a{}, b{}, c{};

  view<const float, 2> left(const float* p) const {
    return turns_a ? transposed(view<const float, 2>(p, k, m)) : view<const float, 2>(p, m, k);
  }
  view<const float, 2> right(const float* p) const {
    return turns_b ? transposed(view<const float, 2>(p, n, k)) : view<const float, 2>(p, k, n);
  }
};
inline std::vector<product> products() {
  std::vector<product> out{{65, 33, 70, false, false, update::overwrite},
                           {3, 16, 5, true, true, update::accumulate},
                           {4, 0, 4, false, false, update::overwrite}};
  std::mt19937 random(3);
  const auto number = [&] { return static_cast<float>(random()) / 2147483648.0f - 1; };
  for (product& p : out) {
    for (std::int64_t i = 0; i < p.m * p.k; ++i) p.a.push_back(number());
    for (std::int64_t i = 0; i < p.k * p.n; ++i) p.b.push_back(number());
    for (std::int64_t i = 0; i < p.m * p.n; ++i) p.c.push_back(number());
  }
  return out;
}
std::vector<float> on_cpu(const product& p);

}  // namespace linear_case
