// The batches of the permutation program, for both its halves.
#pragma once

#include <hence/moe/permute.hpp>

#include <cstdint>
#include <random>
#include <vector>

namespace permute_case {

struct batch {
  std::int64_t tokens, k, experts, align;
  std::vector<std::int32_t> ids{};
  std::vector<std::int32_t> given{};  // the same, or ids out of range where those are -1
};

/// Every shape around a tile's and a warp's end, and a thread's share of experts; experts without a
/// slot, empty slots, one expert for all, ids out of range anywhere in a tile.
inline std::vector<batch> batches() {
  std::vector<batch> out{{1, 1, 1, 1},    {3, 2, 4, 1},     {64, 8, 256, 128}, {65, 8, 32, 16},
                         {300, 4, 60, 8}, {31, 3, 2000, 1}, {171, 6, 7, 128},  {900, 2, 3, 1},
                         {40, 4, 100, 4}, {40, 4, 128, 1},  {70, 9, 4096, 8},  {700, 2, 3100, 1},
                         {500, 3, 50, 1}, {90, 2, 2100, 16}};
  std::mt19937 random(11);
  for (std::size_t n = 0; n < out.size(); ++n) {
    batch& b = out[n];
    for (std::int64_t i = 0; i < b.tokens * b.k; ++i) {
      const auto e = static_cast<std::int32_t>(random() % static_cast<std::uint32_t>(b.experts));
      const bool is_bad = n == 12;
      b.ids.push_back(n % 3 == 1 && random() % 5 == 0 ? -1
                      : is_bad && random() % 2 == 0   ? -1
                      : n == 7                        ? 2
                                                      : e);
      const std::int32_t bad[] = {static_cast<std::int32_t>(b.experts), -2, 0x7fffffff,
                                  -0x7fffffff};
      b.given.push_back(is_bad && b.ids.back() < 0 ? bad[i % 4] : b.ids.back());
    }
  }
  return out;
}

struct outcome {
  std::vector<std::int64_t> offsets, order, position, aligned_offsets, aligned_position;
};

/// The same from the CPU; in its own translation unit, which nvcc doesn't see.
outcome on_cpu(const batch& b);

}  // namespace permute_case
