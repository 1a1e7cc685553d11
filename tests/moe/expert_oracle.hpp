// An expert MLP written plainly from the paper, in double; slow and obvious.
#pragma once

#include <hence/core/view.hpp>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

namespace expert_oracle {

using numbers = std::vector<double>;

inline std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// Normal numbers that fp32 holds.
inline numbers normal(std::int64_t n, unsigned seed, double size = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<double> draw(0, size);
  numbers x(at(n));
  for (double& v : x) v = static_cast<double>(static_cast<float>(draw(random)));
  return x;
}

/// Shapes and matrices of all experts.
struct layer {
  std::int64_t experts, inner, width;
  numbers gate, up, down;
  layer(std::int64_t e, std::int64_t f, std::int64_t d)
      : experts(e),
        inner(f),
        width(d),
        gate(normal(e * f * d, 1, 0.4)),
        up(normal(e * f * d, 2, 0.4)),
        down(normal(e * d * f, 3, 0.4)) {}

  double project(const numbers& m, std::int64_t e, std::int64_t f, const double* x) const {
    double sum = 0;
    for (std::int64_t d = 0; d < width; ++d) sum += m[at((e * inner + f) * width + d)] * x[d];
    return sum;
  }
  static double silu(double z) { return z / (1 + std::exp(-z)); }
  double hidden(bool gated, std::int64_t e, std::int64_t f, const double* x) const {
    const double u = project(up, e, f, x);
    return gated ? silu(project(gate, e, f, x)) * u : silu(u);
  }
  /// down_e h(x): DeepSeek-V3, arXiv:2412.19437, eq. 12 and Shazeer, arXiv:2002.05202, eq. 6.
  numbers expert(bool gated, std::int64_t e, const double* x) const {
    numbers y(at(width));
    for (std::int64_t f = 0; f < inner; ++f) {
      const double h = hidden(gated, e, f, x);
      for (std::int64_t d = 0; d < width; ++d)
        y[at(d)] += down[at((e * width + d) * inner + f)] * h;
    }
    return y;
  }
};

/// The slope of f by one number, which is left as it was.
template <class F> double slope(double& x, F f, double h = 1e-5) {
  const double kept = x;
  x = kept + h;
  const double above = f();
  x = kept - h;
  const double below = f();
  x = kept;
  return (above - below) / (2 * h);
}

template <class T> std::vector<T> as(const numbers& x) {
  std::vector<T> y;
  for (const double v : x) y.push_back(T(static_cast<float>(v)));
  return y;
}
template <> inline std::vector<double> as<double>(const numbers& x) { return x; }

/// What a forward and a backward pass wrote; 77 where they did not.
template <class S> struct outcome {
  std::vector<S> out, x, weights, gate, up, down;
  outcome(const layer& m, std::int64_t rows, std::int64_t slots)
      : out(at(rows * m.width), S(77)),
        x(out),
        weights(at(slots), S(77)),
        gate(m.gate.size(), S(77)),
        up(gate),
        down(gate) {}
};
/// The matrices of a call, or where their gradients go. \param of an `outcome` or a problem.
template <class S, class To, class Of> void set_matrices(To& to, Of& of, const layer& m) {
  to.gate = hence::view<S, 3>(of.gate.data(), m.experts, m.inner, m.width);
  to.up = hence::view<S, 3>(of.up.data(), m.experts, m.inner, m.width);
  to.down = hence::view<S, 3>(of.down.data(), m.experts, m.width, m.inner);
}

template <class S> bool same(const std::vector<S>& a, const std::vector<S>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(S)) == 0);
}
template <class S> bool same_gradients(const outcome<S>& a, const outcome<S>& b) {
  return same(a.x, b.x) && same(a.weights, b.weights) && same(a.gate, b.gate) && same(a.up, b.up) &&
         same(a.down, b.down);
}
template <class S> bool same(const outcome<S>& a, const outcome<S>& b) {
  return same(a.out, b.out) && same_gradients(a, b);
}

}  // namespace expert_oracle
