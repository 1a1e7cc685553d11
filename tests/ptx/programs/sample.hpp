// The batches of the sampling program, for both its halves.
#pragma once

#include <hence/logits/sample_rule.hpp>

#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace sample_case {

/// Rows of logits in a buffer: row i begins at `i stride`.
template <class T> struct batch {
  std::string name;
  std::int64_t columns, stride;
  hence::sample_rule rule;
  std::vector<T> logits{};
  std::vector<float> uniforms{};

  std::int64_t rows() const { return static_cast<std::int64_t>(uniforms.size()); }
};

/// Every filter alone and together, over rows that are smooth, have ties at every boundary, hold
/// zeros of both signs, are masked, constant, peaked, so steep that weights vanish; that hold a NaN
/// or an infinity, or nothing; with uniforms at both ends and outside.
template <class T> std::vector<batch<T>> batches() {
  std::vector<batch<T>> out{
      {"plain", 700, 700, {.temperature = 1}},
      {"greedy", 130, 131, {.temperature = 0}},
      {"top-k", 600, 600, {.temperature = 0.8, .top_k = 17}},
      {"top-k of more than there are", 60, 60, {.temperature = 0.8, .top_k = 50}},
      {"top-p", 1030, 1033, {.temperature = 1, .top_p = 0.8}},
      {"min-p", 300, 300, {.temperature = 1, .min_p = 0.02}},
      {"typical", 300, 300, {.temperature = 1.3, .typical_p = 0.7}},
      {"all",
       500,
       512,
       {.temperature = 0.9, .top_k = 200, .top_p = 0.95, .min_p = 0.003, .typical_p = 0.9}},
      {"flat",
       2600,
       2600,
       {.temperature = 1, .top_k = 2300, .top_p = 0.95, .min_p = 0.9, .typical_p = 0.9}},
      {"V=1", 1, 1, {.temperature = 2, .top_k = 1, .top_p = 0.5}},
      {"cold", 300, 300, {.temperature = 0.01, .top_k = 290, .top_p = 0.999999}}};
  std::mt19937 random(3);
  for (auto& b : out) {
    const std::int64_t rows = b.columns > 2000 ? 2 : 12;
    b.logits.assign(static_cast<std::size_t>(rows * b.stride), T(0.0f));
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t c = 0; c < b.columns; ++c) {
        const float noise = static_cast<float>(random()) / 1073741824.0f - 2;
        float v = b.columns > 2000 ? 0.01f * noise : 4 * noise;  // sums beyond 2^64
        if (i == 1) v = std::floor(noise);                       // four values
        if (i == 2) v = random() % 2 != 0 ? 0.0f : -0.0f;        // one, in two spellings
        if (i == 3) v = random() % 5 != 0 ? -INFINITY : noise;
        if (i == 4) v = c == b.columns / 2 ? 60.0f : noise;
        if (i == 5 && c == b.columns / 3) v = NAN;
        if (i == 6 && c == b.columns - 1) v = INFINITY;
        if (i == 7) v = -INFINITY;
        if (i == 8) v = 30 * noise;
        b.logits[static_cast<std::size_t>(i * b.stride + c)] = T(v);
      }
      float u = static_cast<float>(random() >> 8) * 0x1p-24f;
      if (i == 9) u = 0;
      if (i == 10) u = 1 - 0x1p-24f;
      if (i == 11) u = b.columns % 2 == 0 ? 1.0f : NAN;
      b.uniforms.push_back(u);
    }
  }
  return out;
}

struct outcome {
  std::vector<std::int64_t> token;
  std::vector<float> logp, logp_full;
  std::vector<std::uint8_t> kept;  // [rows, columns]
  hence::status found;
};

/// The same from the CPU; in its own translation unit, which nvcc doesn't see.
template <class T> outcome on_cpu(const batch<T>& b);

}  // namespace sample_case
