// Estimates of weights and of their sums against float64: within the error that they state.
#include <doctest/doctest.h>
#include <hence/logits/sample_estimates.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace {

using namespace hence;
using V = pack<float>;
constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float exponent = 1.8033688f;  // log2(e) / 0.8
constexpr int width = V::lanes;

detail::row_estimates<V> estimates(float origin) { return {origin, -116.0f / exponent, exponent}; }

/// Numbers that fill registers, the last ones -infinity.
std::vector<float> row(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 2);
  std::vector<float> x(n);
  for (float& v : x) v = normal(random);
  x.resize((n + std::size_t{width} - 1) / std::size_t{width} * std::size_t{width}, -inf);
  return x;
}
double weight(float v, float origin) {
  return std::exp2((double(v) - double(origin)) * double(exponent));
}

TEST_CASE("estimates err less than they say") {
  // the worst of the power over its range, against float64
  double worst = 0;
  for (int i = 0; i < 200000; ++i) {
    const float d = -33.0f * float(i) / 200000;
    const auto e = static_cast<double>(detail::rough_exp2(num<float>(d), num<float>(exponent)).v);
    worst = std::max(worst, std::abs(e / std::exp2(double(d) * double(exponent)) - 1));
  }
  CHECK(worst < 4e-7);
}

TEST_CASE("masses below bounds are sums of weights, and padding weighs nothing") {
  for (const std::size_t n : {1u, 100u, 5000u}) {
    const auto x = row(n, unsigned(n));
    const float origin = 3;
    const float bounds[4] = {-inf, x[0], n > 1 ? x[1] : 0.5f, inf};  // what is at one is not below
    double mass[4], exact[4] = {};
    for (std::size_t i = 0; i < n; ++i)
      for (int k = 0; k < 4; ++k) exact[k] += x[i] < bounds[k] ? weight(x[i], origin) : 0;
    detail::masses_below<4>(estimates(origin), x.data(), std::int64_t(n), bounds, mass);
    for (int k = 0; k < 4; ++k) {
      CAPTURE(k);
      CHECK(std::abs(mass[k] - exact[k]) <=
            exact[k] * detail::row_estimates<V>::error +
                double(x.size()) * detail::row_estimates<V>::error_of_small);
    }
  }
}

TEST_CASE("fp32 adds eight registers, then eight such sums; float64 the rest") {
  detail::estimated_sum<V> sum;
  sum.add(V(0x1p+24f));
  for (int i = 0; i < 7; ++i) sum.add(V(1.0f));  // lost, one by one
  CHECK(sum.value() == 0x1p+24 * width);
  sum.add(V(1.0f));
  CHECK(sum.value() == (0x1p+24 + 1) * width);
  // weights of 1, then of nothing, then six of 2^-24: each alone is lost beside the 1
  const detail::row_estimates<V> estimate{0, -116.0f, 1.0f};
  std::vector<float> x(std::size_t{16} * std::size_t{width}, -inf);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t r = i / std::size_t{width};
    if (r == 0) x[i] = 0;
    if (r >= 8 && r < 14) x[i] = -24;
  }
  double mass[1];
  const float bounds[1] = {inf};
  detail::masses_below<1>(estimate, x.data(), std::int64_t(x.size()), bounds, mass);
  CHECK(mass[0] == (1 + 0x3p-23) * width);
}

TEST_CASE("a sample gives the origin, and a bound with the share above it") {
  auto x = row(4096, 9);
  x[0] = 12;  // in the first register, which is sampled
  auto found = estimates(0);
  const float unit = 0.8f;
  const float low = detail::estimates_of_sample(x.data(), 4096, unit, 0.9, &found);
  CHECK(found.origin == 12);
  CHECK(low == 12 - unit);  // one token holds nearly all
  // of up to 96 registers all are read, of more every second, third, ...
  for (const int registers : {96, 191, 200, 300}) {
    CAPTURE(registers);
    x = row(std::size_t(registers + 1) * std::size_t{width}, 10);  // the last is not the row's
    const int step = registers / 96;
    for (int i = 0; i < (registers + 1) * width; ++i)
      if (i / width % step != 0 || i / width == registers) x[std::size_t(i)] = 30;
    const float lower =
        detail::estimates_of_sample(x.data(), registers * std::int64_t{width}, unit, 0.9, &found);
    float origin = -inf;
    double all = 0;
    for (const float v : x)
      if (v != 30) origin = std::max(origin, v), all += weight(v, 0);
    CHECK(found.origin == origin);
    float want = 0;
    for (int k = 1; k <= 16; ++k) {
      want = origin - float(k) * unit;
      double above = 0;
      for (const float v : x) above += v != 30 && v >= want ? weight(v, 0) : 0;
      if (above >= (0.6 * 0.9 + 0.4) * all) break;
    }
    CHECK(lower == want);
  }
  // what lies at a level belongs to it, and so does a share that is just enough
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = i == 0 ? 20.0f : 20 - 3 * unit;
  found = estimates(0);
  found.exponent = 0.01f;
  CHECK(detail::estimates_of_sample(x.data(), std::int64_t(x.size()), unit, 0.9, &found) ==
        20 - 3 * unit);
  for (float& v : x) v = 20;
  CHECK(detail::estimates_of_sample(x.data(), std::int64_t(x.size()), unit, 1.0, &found) ==
        20 - unit);
  // so flat that no level holds enough: the last one
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = i == 0 ? 20.0f : -5.0f;
  found = estimates(0);
  found.exponent = 0.01f;
  CHECK(detail::estimates_of_sample(x.data(), std::int64_t(x.size()), unit, 0.9, &found) ==
        20 - 16 * unit);
  const std::vector<float> none(4096, -inf);
  detail::estimates_of_sample(none.data(), 4096, unit, 0.9, &found);
  CHECK(found.origin == -inf);
}

}  // namespace
