/// \file
/// AdamW with clipping of the gradient's norm. Loshchilov and Hutter, arXiv:1711.05101 algorithm 2.
/// Bits depend neither on threads nor on the machine.
#pragma once

#include "arena.hpp"
#include "lanes.hpp"

#include <span>

namespace lm {

struct adamw_rule {
  double beta1 = 0.9, beta2 = 0.98;
  double eps = 1e-8;
  double decay = 0;   ///< of matrices and tables, not of gains
  double clip = 1.0;  ///< largest norm of the gradient; 0: no clipping
};

/// The learning rate: up over `warmup` steps, then level, or down in a line to 0 at `steps`.
struct schedule {
  double rate = 1e-3;
  std::int64_t warmup = 0;
  std::int64_t steps = 0;  ///< 0: level
  double at(std::int64_t step) const {
    const auto s = static_cast<double>(step);
    if (step < warmup) return rate * (s + 1) / static_cast<double>(warmup);
    if (steps <= 0) return rate;
    const double left = static_cast<double>(steps) - s;
    return left <= 0 ? 0 : rate * left / static_cast<double>(steps - warmup);
  }
};

/// The optimizer's state, which a checkpoint keeps.
struct adamw_state {
  std::vector<float> first, second;  ///< moments, `[size]`
  std::int64_t step = 0;
  explicit adamw_state(std::int64_t size = 0)
      : first(static_cast<std::size_t>(size)), second(static_cast<std::size_t>(size)) {}
};

namespace detail {

/// base^n by repeated squaring.
inline double power(double base, std::int64_t n) {
  hence::num<double> result = 1.0, factor = base;
  for (; n > 0; n /= 2) {
    if (n % 2 != 0) result = result * factor;
    factor = factor * factor;
  }
  return result.v;
}

}  // namespace detail

/// The norm of the gradient, in float64: blocks of 4096 elements, then their sums, in order.
template <class Pool> double gradient_norm(Pool& pool, std::span<const float> g) {
  constexpr std::size_t block = 4096;
  std::vector<double> sums((g.size() + block - 1) / block);
  pool.parallel_for(static_cast<std::int64_t>(sums.size()), [&](std::int64_t b) {
    const std::size_t begin = static_cast<std::size_t>(b) * block;
    double sum = 0;
    for (std::size_t i = begin; i < std::min(begin + block, g.size()); ++i) {
      const auto x = static_cast<double>(g[i]);
      sum += x * x;  // the square of a float is exact in double, so contraction changes nothing
    }
    sums[static_cast<std::size_t>(b)] = sum;
  });
  double all = 0;
  for (const double s : sums) all += s;
  return sqrt(hence::num<double>(all)).v;
}

/// weights -= rate (m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps) + decay weights).
/// \return the norm of the gradient before clipping.
template <class Pool>
double adamw_step(Pool& pool, const adamw_rule& rule, double rate, const arena_layout& layout,
                  std::span<const float> gradient, adamw_state& state, std::span<float> weights) {
  const double norm = gradient_norm(pool, gradient.first(weights.size()));
  using wide = hence::num<double>;
  const double scale = rule.clip > 0 && norm > rule.clip ? (wide(rule.clip) / wide(norm)).v : 1;
  ++state.step;
  const wide one = 1.0;
  const auto splat = [](wide x) { return lanes<float>(static_cast<float>(x.v)); };
  const auto b1 = splat(rule.beta1), b2 = splat(rule.beta2);
  const auto rest1 = splat(wide(scale) * (one - wide(rule.beta1)));
  const auto rest2 = splat(wide(scale) * wide(scale) * (one - wide(rule.beta2)));
  const auto size = splat(wide(rate) / (one - wide(detail::power(rule.beta1, state.step))));
  const auto root = splat(one / (one - wide(detail::power(rule.beta2, state.step))));
  const auto eps = splat(rule.eps);
  const auto& all = layout.parameters();
  pool.parallel_for(static_cast<std::int64_t>(all.size()), [&](std::int64_t k) {
    const parameter& p = all[static_cast<std::size_t>(k)];
    const auto keep = splat(p.shape.size() > 1 ? one - wide(rate) * wide(rule.decay) : one);
    float *w = weights.data() + p.first, *m = state.first.data() + p.first,
          *v = state.second.data() + p.first;
    const float* g = gradient.data() + p.first;
    for_lanes(p.size, [&](std::int64_t i, std::int64_t n) {
      const auto x = lanes<float>::load(g + i, n);
      const auto mean = fma(rest1, x, b1 * lanes<float>::load(m + i, n));
      const auto square = fma(rest2 * x, x, b2 * lanes<float>::load(v + i, n));
      mean.store(m + i, n), square.store(v + i, n);
      const auto move = size * mean / (sqrt(square * root) + eps);
      (lanes<float>::load(w + i, n) * keep - move).store(w + i, n);
    });
  });
  return norm;
}

}  // namespace lm
