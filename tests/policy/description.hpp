/// \file
/// A batch as a test describes it, before any layout: rows of positions with their masks. Knows
/// nothing of hence. Values are multiples of 2^-20 unless a test says otherwise, so that float and
/// double executors see the same numbers.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace fixture {

struct position {
  double logp = 0, old = 0, ref = 0, advantage = 0;
  bool live = true, policy = true, kl = true, metric = true;
  double rollout = 0, entropy = 0;
};
struct row {
  std::vector<position> at;
  double advantage = 0, score = 0;
};
struct description {
  std::vector<row> rows;
  bool per_token = false;  ///< advantages of every token instead of every row
  bool roles = false;      ///< policy, KL and metric masks are given

  double advantage_at(std::size_t i, std::size_t t) const {
    return per_token ? rows[i].at[t].advantage : rows[i].advantage;
  }
};

/// Uniform numbers, the same on every standard library.
class dice {
 public:
  explicit dice(std::uint32_t seed) : engine_(seed) {}
  double between(double low, double high) {
    const double u = static_cast<double>(engine_()) / 4294967296.0;
    return std::floor((low + u * (high - low)) * 0x1p20) * 0x1p-20;
  }
  /// A whole number in [0, n).
  std::size_t below(std::size_t n) { return engine_() % n; }
  bool chance(double p) { return static_cast<double>(engine_()) < p * 4294967296.0; }

 private:
  std::mt19937 engine_;
};

struct shape {
  double live = 1;  ///< share of live positions
  bool per_token = false, roles = false;
  double spread = 0.7;  ///< of the log-ratios
};

/// Rows of the given lengths, with a zero advantage here and there.
inline description random_batch(dice& random, const std::vector<std::size_t>& lengths,
                                const shape& s = {}) {
  dice other(77);  // so that what is drawn with `random` does not depend on it
  description d;
  d.per_token = s.per_token;
  d.roles = s.roles;
  for (const std::size_t length : lengths) {
    row r;
    r.advantage = random.chance(0.1) ? 0 : random.between(-2, 2);
    r.score = random.between(-1, 1);
    for (std::size_t t = 0; t < length; ++t) {
      position p;
      p.logp = random.between(-4, -0.01);
      p.old = p.logp - random.between(-s.spread, s.spread);
      p.ref = p.logp + random.between(-1.2, 1.2);
      p.advantage = random.chance(0.1) ? 0 : random.between(-2, 2);
      p.live = random.chance(s.live);
      p.rollout = p.old + other.between(-0.1, 0.1);
      p.entropy = other.between(0, 2);
      if (s.roles) {
        p.policy = random.chance(0.8);
        p.kl = random.chance(0.7);
        p.metric = random.chance(0.6);
      }
      r.at.push_back(p);
    }
    d.rows.push_back(r);
  }
  return d;
}

}  // namespace fixture
