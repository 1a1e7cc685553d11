// A batch of the policy-loss program, of random rows.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace policy_case {

/// What the advantages are like: as usual; over all magnitudes that a float has; infinite or NaN
/// here and there, logp and ref too, so that every sum has its turn.
enum class reach { usual, all, high, low, both, nan };

/// Rows with masks, whose bytes are any but 0; NaN wherever nothing may be read.
struct batch {
  bool padded = false, by_token = false;
  bool narrow = false;              // ragged rows' offsets are 32-bit
  bool given[4] = {};               // masks: response, policy, KL, metric
  std::vector<std::int64_t> cu{0};  // of ragged rows
  std::int64_t rows = 0, width = 0;
  std::vector<std::uint8_t> masks[4]{};
  std::vector<float> logp{}, old{}, ref{}, rollout{}, token_advantages{}, advantages{};
  std::size_t tokens() const { return logp.size(); }
};

inline batch make(const std::vector<std::int64_t>& lengths, bool padded, int kind, unsigned seed,
                  reach values = reach::usual) {
  const float garbage = std::bit_cast<float>(0x7fa00001u);
  batch b;
  b.padded = padded, b.by_token = kind == 3, b.narrow = seed % 2 == 0;
  for (int k = 0; k < 4; ++k) b.given[k] = kind > 3 ? k == kind - 3 : kind > (k > 0 ? 1 : 0);
  std::mt19937 random(seed);
  const auto uniform = [&] { return static_cast<float>(random()) / 4294967296.0f; };
  const auto mark = [&](bool is) { return static_cast<std::uint8_t>(is ? 1 + random() % 255 : 0); };
  const auto advantage = [&] {
    const float x = 2.0f * uniform() - 1.0f;
    return values == reach::all ? std::ldexp(x, static_cast<int>(random() % 240) - 130) : x;
  };
  b.rows = static_cast<std::int64_t>(lengths.size());
  b.width = 0;
  for (const std::int64_t n : lengths)
    b.width = std::max(b.width, n), b.cu.push_back(b.cu.back() + n);
  for (std::int64_t i = 0; i < b.rows; ++i) {
    bool any = false;
    const std::int64_t length = lengths[static_cast<std::size_t>(i)];
    for (std::int64_t t = 0; t < (padded ? b.width : length); ++t) {
      const bool live = t < length && (!b.given[0] || random() % 4 != 0);
      b.masks[0].push_back(mark(live));
      for (int role = 1; role < 4; ++role)
        b.masks[role].push_back(mark(!b.given[role] || random() % 3 != 0));
      const bool policy = live && b.masks[1].back() != 0, kl = live && b.masks[2].back() != 0;
      const float spread = values == reach::all
                               ? std::ldexp(150.0f, -static_cast<int>(random() % 24))
                           : random() % 8 == 0 ? 30.0f
                           : random() % 8 == 0 ? 1e-6f
                                               : 0.5f;
      const float logp = -3.0f * uniform(), old = logp + spread * (uniform() - 0.5f);
      b.logp.push_back(policy || kl ? logp : garbage);
      b.old.push_back(policy || kl ? old : garbage);
      b.rollout.push_back(policy || kl ? old + 0.1f * (uniform() - 0.5f) : garbage);
      b.ref.push_back(kl ? logp + spread * (uniform() - 0.5f) : garbage);
      b.token_advantages.push_back(policy ? advantage() : garbage);
      any = any || policy;
      if (values > reach::all && random() % 16 == 0) {
        const bool minus = values == reach::both ? random() % 2 == 0 : values == reach::low;
        const float odd = values == reach::nan ? NAN : minus ? INFINITY : -INFINITY;
        if (policy) b.token_advantages.back() = odd;
        if (policy && random() % 2 == 0) b.old.back() = odd;
        if (kl) b.ref.back() = odd;
      }
    }
    b.advantages.push_back(any ? advantage() : garbage);
  }
  return b;
}

}  // namespace policy_case
