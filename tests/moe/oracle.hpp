// Routing written plainly from the contract, in double, row by row, with a sort. Independent
// of hence's own text; slow and obvious.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

namespace oracle {

enum class score { softmax, sigmoid, sqrt_softplus, softmax_after };
enum class group_score { max, top2_sum, top_k_over_m_sum };

struct gate {
  oracle::score score = score::sigmoid;
  int k = 2, groups = 1, kept = 1;
  oracle::group_score rule = group_score::max;
  bool normalize = true, single_raw = false;
  double eps = 0, scale = 1;
};

struct row {
  std::vector<int> ids;
  std::vector<double> weights;
};

inline double infinity() { return std::numeric_limits<double>::infinity(); }
inline bool scored(double z) { return !std::isnan(z) && z > -infinity(); }

inline std::vector<double> scores(const gate& g, const std::vector<double>& z) {
  std::vector<double> s(z.size(), 0.0);
  double total = 0, top = -infinity();
  for (double x : z)
    if (scored(x)) top = std::max(top, x);
  for (double x : z)
    if (scored(x)) total += std::exp(x - top);
  for (std::size_t e = 0; e < z.size(); ++e) {
    if (!scored(z[e])) continue;
    if (g.score == score::softmax) s[e] = std::exp(z[e] - top) / total;
    if (g.score == score::sigmoid) s[e] = 1 / (1 + std::exp(-z[e]));
    if (g.score == score::sqrt_softplus)
      s[e] = std::sqrt(std::max(z[e], 0.0) + std::log1p(std::exp(-std::abs(z[e]))));
    if (g.score == score::softmax_after) s[e] = z[e];
  }
  return s;
}

/// Indices in the one order, value descending and index ascending.
inline std::vector<int> ordered(const std::vector<double>& c, std::vector<int> from) {
  std::sort(from.begin(), from.end(), [&](int a, int b) {
    const double x = c[static_cast<std::size_t>(a)], y = c[static_cast<std::size_t>(b)];
    return x > y || (x == y && a < b);
  });
  return from;
}

inline std::vector<int> select(const gate& g, const std::vector<double>& z,
                               const std::vector<double>& s, const std::vector<double>& bias) {
  const int experts = static_cast<int>(z.size()), size = experts / g.groups;
  std::vector<double> c(z.size());
  std::vector<std::vector<int>> members(static_cast<std::size_t>(g.groups));
  for (int e = 0; e < experts; ++e) {
    const auto i = static_cast<std::size_t>(e);
    c[i] = s[i] + (bias.empty() ? 0.0 : bias[i]);
    if (scored(z[i]) && (bias.empty() || bias[i] > -infinity()))
      members[static_cast<std::size_t>(e / size)].push_back(e);
  }
  std::vector<int> candidates;
  if (g.kept == g.groups) {
    for (const auto& m : members) candidates.insert(candidates.end(), m.begin(), m.end());
  } else {
    const int terms = g.rule == group_score::max        ? 1
                      : g.rule == group_score::top2_sum ? 2
                                                        : g.k / g.kept;
    std::vector<double> score(members.size(), 0.0);
    std::vector<int> eligible;
    for (std::size_t i = 0; i < members.size(); ++i) {
      const auto best = ordered(c, members[i]);
      for (std::size_t j = 0; j < best.size() && j < static_cast<std::size_t>(terms); ++j)
        score[i] += c[static_cast<std::size_t>(best[j])];
      if (!best.empty()) eligible.push_back(static_cast<int>(i));
    }
    auto kept = ordered(score, eligible);
    if (kept.size() > static_cast<std::size_t>(g.kept))
      kept.resize(static_cast<std::size_t>(g.kept));
    std::sort(kept.begin(), kept.end());
    for (int i : kept)
      candidates.insert(candidates.end(), members[static_cast<std::size_t>(i)].begin(),
                        members[static_cast<std::size_t>(i)].end());
  }
  auto ids = ordered(c, candidates);
  ids.resize(static_cast<std::size_t>(g.k), -1);
  for (std::size_t j = candidates.size(); j < ids.size(); ++j) ids[j] = -1;
  return ids;
}

inline std::vector<double> weights(const gate& g, const std::vector<double>& z,
                                   const std::vector<double>& s, const std::vector<int>& ids) {
  std::vector<double> w(ids.size(), 0.0);
  double total = 0, top = -infinity();
  const auto live = [&](int e) { return e >= 0 && scored(z[static_cast<std::size_t>(e)]); };
  for (int e : ids)
    if (live(e)) top = std::max(top, z[static_cast<std::size_t>(e)]);
  for (int e : ids)
    if (live(e))
      total += g.score == score::softmax_after ? std::exp(z[static_cast<std::size_t>(e)] - top)
                                               : s[static_cast<std::size_t>(e)];
  for (std::size_t j = 0; j < ids.size(); ++j) {
    if (!live(ids[j])) continue;
    const auto e = static_cast<std::size_t>(ids[j]);
    if (g.score == score::softmax_after)
      w[j] = std::exp(z[e] - top) / total;
    else if (g.normalize && !(g.k == 1 && g.single_raw))
      w[j] = total + g.eps > 0 ? s[e] / (total + g.eps) : 0.0;
    else
      w[j] = s[e];
    w[j] *= g.scale;
  }
  return w;
}

inline row route(const gate& g, const std::vector<double>& z,
                 const std::vector<double>& bias = {}) {
  const auto s = scores(g, z);
  const auto ids = select(g, z, s, bias);
  return {ids, weights(g, z, s, ids)};
}

/// Multiples of 2^-6: fp32 holds them, and many are equal.
inline std::vector<float> logits(std::size_t n, unsigned seed, double spread = 3, int steps = 64) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0, spread);
  std::vector<float> z(n);
  for (float& x : z) x = static_cast<float>(std::round(normal(random) * steps) / steps);
  return z;
}

}  // namespace oracle
