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
};

/// Every shape around a tile's and a warp's end; experts without a slot, empty slots, one expert
/// for all.
inline std::vector<batch> batches() {
  std::vector<batch> out{{1, 1, 1, 1},    {3, 2, 4, 1},     {64, 8, 256, 128}, {65, 8, 32, 16},
                         {300, 4, 60, 8}, {31, 3, 2000, 1}, {171, 6, 7, 128},  {900, 2, 3, 1}};
  std::mt19937 random(11);
  for (std::size_t n = 0; n < out.size(); ++n) {
    batch& b = out[n];
    for (std::int64_t i = 0; i < b.tokens * b.k; ++i) {
      const auto e = static_cast<std::int32_t>(random() % static_cast<std::uint32_t>(b.experts));
      b.ids.push_back(n % 3 == 1 && random() % 5 == 0 ? -1 : n == 7 ? 2 : e);
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
