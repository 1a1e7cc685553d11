// The batch of the Thrust program, for both its halves.
#pragma once

#include <hence/moe/gate.hpp>
#include <hence/policy/advantage.hpp>
#include <hence/policy/recipe.hpp>

#include <cmath>
#include <random>
#include <vector>

namespace thrust_case {

inline std::vector<float> numbers(std::size_t n, float low, float high, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<float> out(n);
  for (float& x : out) x = low + (high - low) * static_cast<float>(random() >> 8) * 0x1p-24f;
  return out;
}

constexpr std::int64_t experts = 24, k = 4, tokens = 37, align = 8;

struct batch {
  std::vector<std::int64_t> cu_groups{0, 4, 4, 5, 12};
  std::vector<std::int32_t> cu_seqlens{0};
  std::vector<std::uint8_t> response;
  std::vector<float> rewards = numbers(12, -1, 1, 1), logp, old, ref;
  std::vector<float> logits = numbers(tokens * experts, -4, 4, 5), bias = numbers(experts, 0, 1, 6);

  batch() {
    for (const int n : {31, 0, 1, 64, 7, 100, 33, 2, 5, 12, 40, 9})
      cu_seqlens.push_back(cu_seqlens.back() + n);
    const auto n = static_cast<std::size_t>(cu_seqlens.back());
    logp = numbers(n, -3, 0, 2), old = numbers(n, -3, 0, 3), ref = numbers(n, -3, 0, 4);
    for (std::size_t t = 0; t < n; ++t) {
      response.push_back(t % 7 != 3);
      if (!response[t]) logp[t] = NAN;  // never read
    }
  }
};

inline auto rule() { return hence::advantage::grpo(1, 1e-4, hence::advantage::singleton_zero{}); }
inline auto loss() { return hence::recipe::grpo(0.2f); }
inline auto gate() {
  using namespace hence::moe;
  return hence::moe::gate{score::sigmoid{}, k, grouped{4, 2, top2_sum{}},
                          normalized{1e-20, single_raw{}}, 2.5};
}

/// Everything that a step writes.
struct outcome {
  hence::status found = hence::status::ok;
  double loss = 0, ratio_mean = 0;
  hence::counts counts;
  std::int64_t rows = 0, filled = 0;
  std::vector<float> advantages, gradient, weights;
  std::vector<std::int32_t> ids;
  std::vector<std::int64_t> load, offsets, order, position, aligned_offsets, aligned_position;
};

/// The same from the CPU executor; in its own translation unit, which nvcc doesn't see.
outcome on_cpu(const batch& b);

}  // namespace thrust_case
