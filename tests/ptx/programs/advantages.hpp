// The batches and rules of the advantages program, for both its halves.
#pragma once

#include <hence/policy/advantage.hpp>

#include <bit>
#include <cmath>
#include <random>
#include <string>
#include <vector>

namespace advantage_case {

struct batch {
  std::vector<std::int64_t> cu{0};
  std::vector<float> rewards{};
};

/// Groups of any size: empty, of one, constant, with NaN anywhere, of rewards so large that
/// advantages overflow.
inline std::vector<batch> batches() {
  std::vector<batch> out;
  std::mt19937 random(7);
  const auto uniform = [&] { return static_cast<float>(random()) / 4294967296.0f; };
  const int sizes[] = {8,  1,    0, 16, 2,  33, 100, 7,   64,  3,  128,
                       32, 1000, 5, 31, 32, 1,  129, 257, 128, 96, 385};
  for (int kind = 0; kind < 9; ++kind) {
    batch b;
    int group = 0;
    for (const int n : sizes) {
      const float base = kind == 2 ? 1e4f : 0.0f, scale = kind == 3 ? 3e38f : 1.0f;
      const float constant = uniform();
      for (int k = 0; k < n; ++k) {
        float r = kind == 0 ? static_cast<float>(random() % 2) : base + scale * (uniform() - 0.5f);
        if (group % 4 == 3) r = constant;
        // a NaN whose lowest bit alone is set, too
        const float odd[] = {std::bit_cast<float>(0x7f800001u), -INFINITY, NAN, INFINITY};
        if ((kind == 4 || kind == 6) && k == n - 1 && group % 2 == kind / 2 % 2)
          r = odd[group / 2 % 4];
        if (kind > 6 && k == (kind == 7 ? n / 2 : n * 3 / 4)) r = odd[(group + kind) % 4];
        // finite rewards whose advantages are not: r - mu = 6e38; at either end of the group
        if (kind == 5 && group % 2 == 0) r = (k == 0) == (group % 4 == 0) ? 3.4e38f : -3.4e38f;
        b.rewards.push_back(r);
      }
      b.cu.push_back(static_cast<std::int64_t>(b.rewards.size()));
      ++group;
    }
    out.push_back(b);
  }
  return out;
}

/// Calls f(name, rule) for every rule.
template <class F> void for_each_rule(F&& f) {
  using namespace hence::advantage;
  f("grpo", grpo(1, 1e-4, singleton_zero{}));
  f("grpo, ddof 0, eps 0", grpo(0, 0.0, singleton_raw{}));
  f("dr_grpo", dr_grpo(singleton_error{}));
  f("rloo", rloo(singleton_raw{}));
  f("maxrl", maxrl(1e-6, singleton_zero{}));
  f("none", group_baseline{baseline_none{}, scale_none{}, singleton_as_group{}});
}

struct outcome {
  hence::status found;
  std::vector<float> values;
};

/// The same from the CPU executor; in its own translation unit, which nvcc doesn't see.
std::vector<outcome> on_cpu(const batch& b);

}  // namespace advantage_case
