// Rows of the sampling program at which a weight, a share, a mean or a digit that is off by one
// shows.
#pragma once

#include "sample.hpp"

#include <array>

namespace sample_case {

/// A step of 1 is a factor of 2, to the bit.
constexpr double one_power = std::numbers::log2e;

/// One row: depths below its top in powers of 2, shuffled.
template <class T>
batch<T> row_of_depths(const std::string& name, const hence::sample_rule& rule,
                       std::vector<float> depths, float u, std::uint32_t seed) {
  const auto columns = static_cast<std::int64_t>(depths.size());
  std::mt19937 random(seed);
  std::shuffle(depths.begin(), depths.end(), random);
  batch<T> b{name, columns, columns, rule};
  for (const float d : depths) b.logits.push_back(T(-d));
  b.uniforms = {u};
  return b;
}

/// 2^56 2^-depth to the nearest integer, by long double.
inline std::uint64_t weight_of(float depth) {
  return static_cast<std::uint64_t>(std::exp2l(56 - static_cast<long double>(depth)) + 0.5L);
}

/// Mean depths of 1, 2, 4 and 3/2 to the bit, between depths that are equally far from them, so
/// that the index decides; as many times over as make weights beyond 2^64; and with tokens that
/// would move the mean, did min-p not take them out.
template <class T> void add_exact_means(std::vector<batch<T>>& out) {
  struct level {
    float depth;
    int count;
  };
  const std::array<std::array<level, 3>, 4> rows{{{{{0, 1}, {2, 4}, {2, 0}}},
                                                  {{{0, 1}, {1, 1}, {3, 20}}},
                                                  {{{0, 1}, {3, 1}, {5, 132}}},
                                                  {{{0, 1}, {1, 3}, {3, 12}}}}};
  const auto add = [&](const auto& row, int times, float other, double p) {
    std::vector<float> depths(other > 0 ? 9 : 0, other);
    for (const level& l : row)
      depths.insert(depths.end(), static_cast<std::size_t>(l.count * times), l.depth);
    const double least = other > 0 ? static_cast<double>(weight_of(other) + 1) * 0x1p-56 : 0;
    const hence::sample_rule rule{.temperature = one_power, .min_p = least, .typical_p = p};
    for (const std::uint32_t seed : {1u, 2u})
      out.push_back(row_of_depths<T>("mean", rule, depths, 0.25f, seed));
  };
  for (const auto& row : rows)
    for (const double p : {0.25, 0.5, 0.75}) add(row, 1, 0, p);
  for (const float other : {5.5f, 6.5f, 6.4375f, 7.3125f, 5.8125f})
    add(rows[0], 1, other, 0.5), add(rows[1], 1, other, 0.25);
  for (const double p : {0.25, 0.5}) add(rows[0], 300, 0, p), add(rows[3], 200, 0, p);
}

/// Depths of few units of 2^-48: each bit of their mean decides who is nearest.
template <class T> void add_near_depths(std::vector<batch<T>>& out) {
  for (const int tokens : {60, 900})
    for (const int most : {7, 20, 100, 200})
      for (const double p : {0.1, 0.5}) {
        std::mt19937 random(static_cast<std::uint32_t>(most));
        std::vector<float> depths{0};
        for (int i = 0; i < tokens; ++i)
          depths.push_back(static_cast<float>(random() % static_cast<unsigned>(most + 1)) *
                           0x1p-48f);
        const hence::sample_rule rule{.temperature = one_power, .typical_p = p};
        out.push_back(row_of_depths<T>("near", rule, depths, 0.5f, 9));
      }
}

/// min-p is a token's weight, and one unit more; the token is the last to be drawn.
template <class T> void add_least_weights(std::vector<batch<T>>& out) {
  for (const float depth : {3.25f, 4.4375f, 5.0f, 6.5f, 7.5625f, 8.75f, 12.875f})
    for (const std::uint64_t more : {0u, 1u})
      for (const double typical : {1.0, 0.999}) {
        const double least = static_cast<double>(weight_of(depth) + more) * 0x1p-56;
        batch<T> b{"least", 4, 4, {.temperature = one_power, .min_p = least, .typical_p = typical}};
        for (const float d : {depth + 1, 0.0f, 1.5f, depth}) b.logits.push_back(T(-d));
        b.uniforms = {1 - 0x1p-24f};
        out.push_back(std::move(b));
      }
}

/// top-p and typical_p are a prefix's share of the weights rounded down to 2^-48, which that prefix
/// reaches, and one unit more, which it does not.
template <class T> void add_shares(std::vector<batch<T>>& out) {
  const std::vector<float> depths{0,     0.25f,  0.4375f, 0.8125f, 1.0625f, 1.5f,
                                  1.75f, 2.375f, 2.625f,  3.3125f, 3.875f,  4.5f};
  long double total = 0, before = 0;
  for (const float d : depths) total += static_cast<long double>(weight_of(d));
  for (std::size_t k = 0; k + 1 < depths.size(); ++k) {
    before += static_cast<long double>(weight_of(depths[k]));
    const double share = std::floor(static_cast<double>(before / total * 0x1p+48L)) * 0x1p-48;
    for (const double p : {share, share + 0x1p-48})
      out.push_back(
          row_of_depths<T>("share", {.temperature = one_power, .top_p = p}, depths, 0.9999f, 3));
  }
  // by typicality: the mean, then the order of the distances from it
  long double mean = 0;
  for (const float d : depths) mean += static_cast<long double>(weight_of(d)) * d / total;
  std::vector<float> order = depths;
  std::sort(order.begin(), order.end(),
            [&](float a, float b) { return std::abs(a - mean) < std::abs(b - mean); });
  before = 0;
  for (std::size_t k = 0; k + 1 < order.size(); ++k) {
    before += static_cast<long double>(weight_of(order[k]));
    const double share = std::floor(static_cast<double>(before / total * 0x1p+48L)) * 0x1p-48;
    for (const double p : {share, share + 0x1p-48})
      out.push_back(row_of_depths<T>("typical share", {.temperature = one_power, .typical_p = p},
                                     depths, 0.9999f, 4));
  }
}

/// A mean that lies between two depths to a few parts in 10^9, on either side: the last token's
/// depth is found by bisection in long double.
inline void add_middle_means(std::vector<batch<float>>& out) {
  std::vector<float> depths{0, 0.5625f, 1.4375f, 3.3125f, 3.3125f, 3.3125f, 3.3125f, 0};
  const auto is_above = [&](float last) {  // whether the mean is above 1
    depths.back() = last;
    long double sum = 0;
    for (const float d : depths)
      sum += std::exp2l(-static_cast<long double>(d)) * (static_cast<long double>(d) - 1);
    return sum > 0;
  };
  float low = 2.6f, high = 6;  // it falls
  while (std::nextafter(low, high) < high) {
    const float middle = (low + high) / 2;
    (is_above(middle) ? low : high) = middle;
  }
  for (const float last : {low, high})
    for (const std::uint32_t seed : {1u, 2u}) {
      depths.back() = last;
      out.push_back(row_of_depths<float>("middle", {.temperature = one_power, .typical_p = 0.01},
                                         depths, 0.5f, seed));
    }
}

/// Equal logits whose rank has the highest and the lowest digits; the first alone is kept or more.
template <class T> void add_far_digits(std::vector<batch<T>>& out) {
  for (const float x : {-0x1p+120f, 0x1p+120f, -0x1p-120f})
    for (const hence::sample_rule& rule :
         {hence::sample_rule{.temperature = 1, .top_p = 0.5},
          hence::sample_rule{.temperature = 1, .top_k = 1},
          hence::sample_rule{.temperature = 1, .top_k = 7, .top_p = 0.5},
          hence::sample_rule{.temperature = 1, .top_k = 7, .top_p = 0.02},
          hence::sample_rule{.temperature = 1, .top_p = 0.02},
          hence::sample_rule{.temperature = 1, .typical_p = 0.02},
          hence::sample_rule{.temperature = 1, .typical_p = 0.5}}) {
      batch<T> b{"digits", 40, 40, rule};
      b.logits.assign(40, T(x));
      b.uniforms = {0.75f};
      out.push_back(std::move(b));
    }
}

/// Zeros of both signs on either side of where top-k ends, with one another equal.
template <class T> void add_zeros(std::vector<batch<T>>& out) {
  for (std::int64_t k = 1; k <= 4; ++k) {
    batch<T> b{"zeros", 5, 5, {.temperature = 1, .top_k = k}};
    for (const float x : {-0.0f, 0.0f, -1.0f, -0.0f, 0.0f}) b.logits.push_back(T(x));
    b.uniforms = {0.9999f};
    out.push_back(std::move(b));
  }
}

template <class T> std::vector<batch<T>> ends() {
  std::vector<batch<T>> out;
  add_exact_means(out);
  add_near_depths(out);
  add_least_weights(out);
  add_shares(out);
  add_far_digits(out);
  add_zeros(out);
  if constexpr (sizeof(T) == 4) add_middle_means(out);
  return out;
}

}  // namespace sample_case
