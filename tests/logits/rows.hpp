/// \file
/// Rows of logits of every awkward kind, and their softmax in quadruple precision.
#pragma once

#include "core/math_oracle.hpp"

#include <hence/core/storage.hpp>

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace rows {

using oracle::quad;

inline constexpr const char* kinds[] = {
    "normal",          "wide",          "peaked at the label", "peaked elsewhere",
    "rising 300 nats", "falling",       "offset 1e4",          "offset -1e4",
    "75% masked",      "masked start",  "500-nat steps",       "tiny and zeros",
    "constant",        "certain by 60", "beyond 2^22",         "far below"};
constexpr int kind_count = 16;

/// One row of kind k; finite or -infinity.
inline std::vector<float> make(int k, std::int64_t columns, std::int64_t label, unsigned seed) {
  std::mt19937 random(seed + 77u * static_cast<unsigned>(k));
  const float inf = std::numeric_limits<float>::infinity();
  std::normal_distribution<float> normal(0, 1);
  std::vector<float> x(static_cast<std::size_t>(columns));
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float z = normal(random), at = static_cast<float>(i) / static_cast<float>(columns);
    const bool is_label = static_cast<std::int64_t>(i) == label;
    switch (k) {
      case 0:
        x[i] = 3 * z;
        break;
      case 1:
        x[i] = 40 * z;
        break;
      case 2:
        x[i] = z + (is_label ? 25.0f : 0.0f);
        break;
      case 3:
        x[i] = z + (i == x.size() / 2 ? 30.0f : 0.0f);
        break;
      case 4:
        x[i] = z + 300 * at;
        break;
      case 5:
        x[i] = z - 300 * at;
        break;
      case 6:
        x[i] = 2 * z + 1e4f;
        break;
      case 7:
        x[i] = 2 * z - 1e4f;
        break;
      case 8:
        x[i] = !is_label && random() % 4 != 0 ? -inf : 2 * z;
        break;
      case 9:
        x[i] = !is_label && i + 1000 < x.size() ? -inf : z;
        break;
      case 10:
        x[i] = 500 * static_cast<float>(static_cast<int>(random() % 9) - 4) + z;
        break;
      case 11:
        x[i] = i % 3 == 0 ? -0.0f : 1e-41f * z;
        break;
      case 12:
        x[i] = 1.75f;
        break;
      case 13:
        x[i] = z + (is_label ? 60.0f : 0.0f);
        break;
      case 14:
        x[i] = std::round(4 * z) + 0x1.4p+23f;
        break;
      default:
        x[i] = std::round(4 * z) - 0x1.4p+23f;
        break;
    }
  }
  return x;
}

/// The same values as another storage type would hold them.
template <class T> std::vector<T> stored(const std::vector<float>& x) {
  return std::vector<T>(x.begin(), x.end());
}
template <> inline std::vector<hence::bf16> stored(const std::vector<float>& x) {
  std::vector<hence::bf16> r;
  for (const float v : x) r.push_back(hence::bf16(v));
  return r;
}
template <> inline std::vector<hence::f16> stored(const std::vector<float>& x) {
  std::vector<hence::f16> r;
  for (const float v : x) r.push_back(hence::f16(v));
  return r;
}

/// e^x to 1e-19; oracle::exp takes a hundred times as long.
inline quad exp(quad x) { return std::exp(static_cast<long double>(x)); }

/// log p, entropy and their gradients from the definition.
struct softmax {
  std::vector<quad> z, p, log_p;
  quad entropy = 0, log_z = 0;

  /// \param x logits, -infinity outside the support. \param slope of the soft-cap, or empty.
  softmax(const std::vector<float>& x, double temperature, double cap = 0) {
    quad top = -quad(HUGE_VAL);
    for (const float v : x) {
      quad y = quad(static_cast<double>(v));
      if (cap > 0 && std::isfinite(v)) {
        const quad e = rows::exp(-2 * (y < 0 ? -y : y) / quad(cap));
        y = (y < 0 ? -1 : 1) * quad(cap) * (1 - e) / (1 + e);
      }
      z.push_back(y / quad(temperature));
      top = z.back() > top ? z.back() : top;
    }
    quad sum = 0;
    for (const quad v : z)
      sum += std::isfinite(static_cast<double>(v)) ? rows::exp(v - top) : quad(0);
    // log(sum) of a sum near 1 needs the rest without its largest term
    quad rest = 0;
    bool skipped = false;
    for (const quad v : z) {
      if (!skipped && v == top) {
        skipped = true;
        continue;
      }
      rest += std::isfinite(static_cast<double>(v)) ? rows::exp(v - top) : quad(0);
    }
    const quad log_sum =
        rest < quad(1e-6) ? rest - rest * rest / 2 + rest * rest * rest / 3 : oracle::log(sum);
    log_z = top + log_sum;
    for (const quad v : z) {
      log_p.push_back((v - top) - log_sum);
      p.push_back(std::isfinite(static_cast<double>(v)) ? rows::exp(log_p.back()) : quad(0));
      if (p.back() > 0) entropy -= p.back() * log_p.back();
    }
  }
};

inline quad magnitude(quad x) { return x < 0 ? -x : x; }
inline double ulp(double x) {
  const float a = static_cast<float>(std::abs(x));
  return static_cast<double>(std::nextafter(a, std::numeric_limits<float>::infinity())) -
         static_cast<double>(a);
}

}  // namespace rows
