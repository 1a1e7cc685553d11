// A problem of log-probs from hidden states, and its answer in float64 by the definitions.
#pragma once

#include <hence/logits/linear_logprob.hpp>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace {

struct linear_problem {
  std::int64_t tokens = 23, width = 37, vocabulary = 1111;
  double temperature = 0.8;
  std::vector<float> hidden, weight, bias, cot_logp, cot_entropy;
  std::vector<std::int64_t> labels;
  linear_problem() {
    std::mt19937 random(5);
    std::normal_distribution<float> normal(0, 1);
    const auto fill = [&](std::vector<float>& v, std::int64_t n, float scale) {
      v.resize(static_cast<std::size_t>(n));
      for (float& x : v) x = scale * normal(random);
    };
    fill(hidden, tokens * width, 1);
    fill(weight, vocabulary * width, 0.4f);
    fill(bias, vocabulary, 0.5f);
    fill(cot_logp, tokens, 1);
    fill(cot_entropy, tokens, 0.3f);
    for (std::int64_t t = 0; t < tokens; ++t)
      labels.push_back(t % 5 == 3 ? -100 : (t * 7919) % vocabulary);
  }
  hence::softmax_rule rule() const {
    return {.temperature = temperature, .negative = hence::negative_labels::ignored};
  }
};

struct linear_definition {
  std::vector<double> logp, entropy, hidden, weight, bias;
  explicit linear_definition(const linear_problem& p)
      : logp(p.labels.size()),
        entropy(p.labels.size()),
        hidden(p.hidden.size()),
        weight(p.weight.size()),
        bias(p.bias.size()) {
    const auto width = static_cast<std::size_t>(p.width);
    for (std::size_t t = 0; t < p.labels.size(); ++t) {
      if (p.labels[t] < 0) continue;
      std::vector<double> z(p.bias.size());
      double sum = 0;
      for (std::size_t v = 0; v < z.size(); ++v) {
        z[v] = double(p.bias[v]);
        for (std::size_t d = 0; d < width; ++d)
          z[v] += double(p.hidden[t * width + d]) * double(p.weight[v * width + d]);
        z[v] /= p.temperature;
        sum += std::exp(z[v]);
      }
      const double log_z = std::log(sum);
      for (const double x : z) entropy[t] -= std::exp(x - log_z) * (x - log_z);
      const auto label = static_cast<std::size_t>(p.labels[t]);
      logp[t] = z[label] - log_z;
      for (std::size_t v = 0; v < z.size(); ++v) {
        const double q = std::exp(z[v] - log_z);
        const double g = (double(p.cot_logp[t]) * ((v == label) - q) -
                          double(p.cot_entropy[t]) * q * (z[v] - log_z + entropy[t])) /
                         p.temperature;
        bias[v] += g;
        for (std::size_t d = 0; d < width; ++d) {
          hidden[t * width + d] += g * double(p.weight[v * width + d]);
          weight[v * width + d] += g * double(p.hidden[t * width + d]);
        }
      }
    }
  }
};

/// The largest difference.
inline double apart(const std::vector<float>& x, const std::vector<double>& y) {
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    worst = std::isnan(x[i]) ? HUGE_VAL : std::max(worst, std::abs(double(x[i]) - y[i]));
  return worst;
}
/// The same in units of the largest number.
inline double relatively_apart(const std::vector<float>& x, const std::vector<double>& y) {
  double largest = 0;
  for (const double v : y) largest = std::max(largest, std::abs(v));
  return apart(x, y) / largest;
}

}  // namespace
