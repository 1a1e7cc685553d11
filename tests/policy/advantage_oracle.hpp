/// \file
/// What the tests of advantages share: the contract in __float128, rewards that break a careless
/// formula, comparison by bits.
#pragma once

#include <hence/policy/advantage.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace advantage_oracle {

using namespace hence;
__extension__ typedef __float128 quad;

inline quad square_root(quad x) {
  if (x <= 0) return 0;
  // scaled by a power of four, so that the first guess is a normal double
  quad scale = 1;
  while (x * scale * scale > quad(1e200)) scale /= quad(0x1p200);
  while (x * scale * scale < quad(1e-200)) scale *= quad(0x1p200);
  const quad y = x * scale * scale;
  quad root = std::sqrt(static_cast<double>(y));
  for (int i = 0; i < 3; ++i) root = (root + y / root) / 2;
  return root / scale;
}
inline quad magnitude(quad x) { return x < 0 ? -x : x; }
/// One ulp of T at x.
template <class T> quad ulp(quad x) {
  const T a = std::max(static_cast<T>(magnitude(x)), std::numeric_limits<T>::min());
  return quad(std::nextafter(a, std::numeric_limits<T>::infinity())) - quad(a);
}

/// The contract: (r - mu)/(sigma + eps), 0 where all are equal or the divisor is 0.
struct oracle {
  std::vector<quad> rewards;
  quad mean = 0, squares = 0;
  bool constant = true;
  template <class T> oracle(const T* r, std::size_t n) : rewards(r, r + n) {
    for (const quad x : rewards) mean += x, constant = constant && x == rewards[0];
    mean /= quad(double(n));
    for (const quad x : rewards) squares += (x - mean) * (x - mean);
  }
  quad sigma(int ddof) const {
    const double divisor = std::max(double(rewards.size()) - ddof, 1.0);
    return constant ? 0 : square_root(squares / divisor);
  }
  quad scaled(std::size_t i, int ddof, double eps) const {
    const quad divisor = sigma(ddof) + quad(eps);
    return constant || divisor == 0 ? 0 : (rewards[i] - mean) / divisor;
  }
  quad centred(std::size_t i) const { return constant ? 0 : rewards[i] - mean; }
  quad range() const {
    const auto [low, high] = std::minmax_element(rewards.begin(), rewards.end());
    return *high - *low;
  }
};

template <class T> bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

/// Loops in reverse, as if on `threads` threads; or on none.
struct reversed_pool {
  int threads;
  template <class F> void parallel_for(std::int64_t n, F&& f) {
    for (int t = threads - 1; t >= 0; --t)
      for (std::int64_t i = n - 1; i >= 0; --i)
        if (i % threads == t) f(i);
  }
};

inline std::vector<std::int64_t> offsets_of(const std::vector<std::int64_t>& sizes) {
  std::vector<std::int64_t> cu{0};
  for (const auto n : sizes) cu.push_back(cu.back() + n);
  return cu;
}

template <class S, class Executor, class Rule>
std::vector<S> run(const Executor& executor, const Rule& rule, const std::vector<std::int64_t>& cu,
                   const std::vector<S>& rewards, status* s = nullptr) {
  std::vector<S> out(rewards.size(), S(-7));
  const status found = advantages(executor, rule, groups{.cu_groups = cu}, rewards, out);
  if (s != nullptr) *s = found;
  return out;
}
/// The kinds of rewards that break a careless formula.
template <class S> std::vector<S> draw(int kind, std::size_t n, std::mt19937& random) {
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform(-1.0, 1.0);
  std::vector<S> r(n);
  const double two[2] = {normal(random), normal(random)};
  for (auto& x : r) {
    const double z = normal(random);
    switch (kind) {
      case 0:
        x = S(z);
        break;
      case 1:
        x = S(random() % 2);
        break;  // right or wrong
      case 2:
        x = S(int(random() % 21) - 10) / S(10);
        break;  // tenths
      case 3:
        x = S(1e4 + 1e-3 * z);
        break;  // a large base
      case 4:
        x = S(two[random() % 2]);
        break;  // two values
      case 5:
        x = S(random() % 2 ? 0.7f : std::nextafter(0.7f, 1.0f));
        break;  // one ulp apart
      case 6:
        x = S(1e38 * uniform(random));
        break;
      case 7:
        x = S(1e-40 * z);
        break;  // subnormal
      case 8:
        x = S(std::ldexp(uniform(random), int(random() % 120) - 60));
        break;
      case 9:
        x = S(random() % 2 ? 1e-30 * z : 1.0);
        break;
      case 10:
        x = S(random() % 2 ? -0.0 : 0.0);
        break;
      default:
        x = S(3.0e38 * (random() % 2 ? 1 : -1));
        break;
    }
  }
  return r;
}
constexpr int kinds = 12;

}  // namespace advantage_oracle
