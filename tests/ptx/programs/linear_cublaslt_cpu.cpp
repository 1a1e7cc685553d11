// The half of the program that the CPU runs.
#include "linear_cublaslt.hpp"

#include <hence/logits/linear_logprob.hpp>

namespace library_case {

namespace {

/// A product as the stand-in makes it. A turned head with sums to add to is hence's way to say
/// bias.
struct library_like {
  static constexpr std::int64_t scratch_floats = 0;
  bool rounds;

  void operator()(view<const float, 2> a, view<const float, 2> b, view<float, 2> c, update u,
                  float*) const {
    const bool has_bias = u == update::accumulate && b.stride[0] == 1;
    for (std::int64_t i = 0; i < c.extent[0]; ++i)
      for (std::int64_t j = 0; j < c.extent[1]; ++j) {
        float sum = u == update::accumulate && !has_bias ? c(i, j) : 0.0f;
        for (std::int64_t k = 0; k < a.extent[1]; ++k) {
          const float x = rounds ? static_cast<float>(hence::bf16(a(i, k))) : a(i, k);
          sum = std::fma(x, b(k, j), sum);
        }
        c(i, j) = has_bias ? sum + c(i, j) : sum;
      }
  }
};

}  // namespace

outcome on_cpu(const batch& b, bool is_bf16) {
  const auto tokens = b.labels.size();
  outcome o;
  std::vector<hence::softmax_state> states(tokens);
  for (auto& v : o.values) v.assign(tokens, -7.0f);
  o.hidden = b.to_hidden, o.weight = b.to_weight, o.bias = b.to_bias;
  std::vector<std::byte> memory(static_cast<std::size_t>(
      hence::linear_logprob_bytes<library_like>(b.tokens, b.width, b.columns)));
  const library_like product{is_bf16};
  const auto hidden = matrix_of(b.hidden.data(), b.tokens, b.width, b.gap);
  hence::linear_head<const float> head{matrix_of(b.weight.data(), b.columns, b.width, b.gap)};
  if (b.has_bias) head.bias = b.bias;
  o.forward = hence::linear_logprob(
      hence::cpu<>{}, product, b.rule, hidden, head, b.labels,
      {o.values[0], o.values[1], o.values[2], o.values[3], o.values[4], states}, memory);
  o.backward = hence::linear_logprob_gradient(
      hence::cpu<>{}, product, b.rule, hidden, head, b.labels,
      view<const hence::softmax_state>(states), {.logp = b.g, .entropy = b.h},
      {matrix_of(o.hidden.data(), b.tokens, b.width, b.gap),
       matrix_of(o.weight.data(), b.columns, b.width, b.gap), o.bias, b.of_hidden, b.of_head},
      memory);
  for (const auto& s : states)
    o.states.insert(o.states.end(), {s.others, s.moment, s.reference, s.shift, s.label});
  return o;
}

exact in_float64(const batch& b) {
  const auto size = [](std::int64_t n) { return static_cast<std::size_t>(n); };
  const std::int64_t pitch = b.width + b.gap;
  exact e{{},
          {},
          {b.to_hidden.begin(), b.to_hidden.end()},
          {b.to_weight.begin(), b.to_weight.end()},
          {b.to_bias.begin(), b.to_bias.end()}};
  e.logp.resize(size(b.tokens)), e.entropy.resize(size(b.tokens));
  const auto clear = [&](std::vector<double>& m, std::int64_t rows, update u) {
    for (std::int64_t i = 0; i < rows && u == update::overwrite; ++i)
      for (std::int64_t d = 0; d < b.width; ++d) m[size(i * pitch + d)] = 0;
  };
  clear(e.hidden, b.tokens, b.of_hidden), clear(e.weight, b.columns, b.of_head);
  if (b.of_head == update::overwrite) e.bias.assign(e.bias.size(), 0.0);
  std::vector<double> x(size(b.columns)), slope(size(b.columns));
  for (std::int64_t t = 0; t < b.tokens; ++t) {
    const std::int64_t label = b.labels[size(t)];
    if (label < 0) continue;
    double top = -INFINITY, z = 0, entropy = 0;
    for (std::int64_t v = 0; v < b.columns; ++v) {
      double sum = b.has_bias ? double(b.bias[size(v)]) : 0.0;
      for (std::int64_t d = 0; d < b.width; ++d)
        sum += double(b.hidden[size(t * pitch + d)]) * double(b.weight[size(v * pitch + d)]);
      const double cap = b.rule.soft_cap, curve = cap > 0 ? std::tanh(sum / cap) : 0;
      slope[size(v)] = (cap > 0 ? 1 - curve * curve : 1) / b.rule.temperature;
      x[size(v)] = (cap > 0 ? cap * curve : sum) / b.rule.temperature;
      top = std::fmax(top, x[size(v)]);
    }
    for (const double y : x) z += std::exp(y - top);
    const double log_z = top + std::log(z);
    for (const double y : x) entropy -= std::exp(y - log_z) * (y - log_z);
    e.logp[size(t)] = x[size(label)] - log_z, e.entropy[size(t)] = entropy;
    for (std::int64_t v = 0; v < b.columns; ++v) {
      const double log_p = x[size(v)] - log_z, p = std::exp(log_p);
      const double slope_of_x = double(b.g[size(t)]) * ((v == label ? 1.0 : 0.0) - p) -
                                double(b.h[size(t)]) * p * (log_p + entropy);
      const double g = slope_of_x * slope[size(v)];
      e.bias[size(v)] += g;
      for (std::int64_t d = 0; d < b.width; ++d) {
        e.hidden[size(t * pitch + d)] += g * double(b.weight[size(v * pitch + d)]);
        e.weight[size(v * pitch + d)] += g * double(b.hidden[size(t * pitch + d)]);
      }
    }
  }
  return e;
}

}  // namespace library_case
