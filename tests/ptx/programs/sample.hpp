// The batches of the sampling program, for both its halves.
#pragma once

#include <hence/logits/sample_rule.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
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

/// Rows whose probabilities are powers of 2 and sum to 1, so that shares, halves and uniforms end
/// on a token to the bit; beside tokens at and below the smallest weight. The last batch has
/// indices beyond 2^16.
template <class T> std::vector<batch<T>> exact_batches() {
  std::vector<batch<T>> out;
  const double unit = std::numbers::log2e;  // a step of 1 is a factor of 2
  const auto add = [&](std::int64_t columns, std::int64_t k, double p, double min_p,
                       double typical) {
    out.push_back({"exact", columns, columns + 3, {unit, k, p, min_p, typical}});
  };
  add(40, 0, 1, 0, 1), add(40, 0, 0.5, 0, 1), add(40, 9, 0.75, 0, 1), add(40, 0, 1, 0x1p-4, 1);
  add(40, 0, 1, 0, 0.5), add(40, 0, 0.875, 0, 0.75), add(300, 30, 0.75, 0x1p-7, 0.625);
  std::mt19937 random(4);
  for (auto& b : out) {
    for (int i = 0; i < 10; ++i) {
      std::vector<int> depth{0};
      while (std::ssize(depth) < b.columns - 6) {
        auto d =
            depth.end() - 1 -
            static_cast<std::ptrdiff_t>(random() % std::min(depth.size(), std::size_t(1 + 3 * i)));
        if (*d == 20) d = std::min_element(depth.begin(), depth.end());
        const int half = ++*d;
        depth.push_back(half);
      }
      const int top = *std::min_element(depth.begin(), depth.end());
      for (const int beyond : {59, 60, 61, 999, 1001, 3000}) depth.push_back(top + beyond);
      std::shuffle(depth.begin(), depth.end(), random);
      const auto end = depth.begin() + static_cast<std::ptrdiff_t>(random() % depth.size());
      double before = 0;  // of some token
      for (auto d = depth.begin(); d != end; ++d) before += std::ldexp(*d < 59 + top ? 1 : 0, -*d);
      b.uniforms.push_back(
          static_cast<float>(i % 3 == 2 && before > 0 ? before - 0x1p-24 : before));
      if (b.uniforms.back() == 1) b.uniforms.back() = 0.5f;
      for (const int d : depth) b.logits.push_back(T(static_cast<float>(-d)));
      b.logits.resize(b.logits.size() + 3, T(NAN));
    }
  }
  out.push_back({"long", 66000, 66000, {unit, 65900, 0.998, 0, 1}});
  out.back().uniforms = {0.9999f};
  for (int i = 0; i < 66000; ++i) out.back().logits.push_back(T(static_cast<float>(i % 7 == 0)));
  return out;
}

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
