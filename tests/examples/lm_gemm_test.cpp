// The float model by the matrix product that it was configured with, against the same model in
// double. Compiled for each product: tests/CMakeLists.txt.
#include "lm/transformer.hpp"

#include <doctest/doctest.h>
#include <hence/core/random.hpp>
#include <hence/threads/pool.hpp>

#include <cmath>
#include <string>

namespace {

/// Relative error of log-probs and gradients: of fp32, or of operands rounded to bf16.
const double wanted = std::string(lm::gemm_name) == "gemm::onednn_bf16" ? 3e-2 : 1e-5;

template <class S> struct results {
  std::vector<S> logp, gradient;
};

/// Of two groups of 21 tokens, whose numbers fill some registers.
template <class S> results<S> compute(const lm::model_config& c) {
  lm::packed_batch b(1000);
  for (int group = 0; group < 2; ++group) {
    b.begin_group(std::vector<lm::token>{1, 2, 3, 4 + group});
    for (int row = 0; row < 2; ++row) {
      std::vector<lm::token> response;
      for (int i = 0; i < 7 + row; ++i)
        response.push_back(static_cast<lm::token>((3 * i + 5 * row + group) % 29));
      b.add_response(response);
    }
  }
  b.close();
  const lm::transformer<S> model(c);
  std::vector<S> weights(static_cast<std::size_t>(model.size()));
  for (std::size_t i = 0; i < weights.size(); ++i)
    weights[i] = static_cast<S>(hence::uniform(hence::philox(3, {.sequence = i}).word[0]) - 0.5f);
  for (const auto& p : model.parameters().layout.parameters())
    if (p.shape.size() == 1)
      for (std::int64_t i = 0; i < p.size; ++i)
        weights[static_cast<std::size_t>(p.first + i)] += S(1);
  hence::serial pool;
  lm::activations<S> a;
  results<S> r;
  r.logp.resize(30);
  r.gradient.resize(static_cast<std::size_t>(model.gradient_size()));
  std::vector<S> cotangent;
  for (std::size_t i = 0; i < r.logp.size(); ++i)
    cotangent.push_back(static_cast<S>(i % 3) - S(0.75));
  model.forward(pool, weights.data(), b, a, true);
  model.logprobs(pool, weights.data(), b, a, 1, r.logp);
  model.backward(pool, weights.data(), b, a, 1, cotangent, r.gradient.data());
  model.fold(r.gradient.data());
  r.gradient.resize(weights.size());
  return r;
}

template <class S> double distance(const std::vector<S>& x, const std::vector<double>& y) {
  REQUIRE(x.size() == y.size());
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    difference += (double(x[i]) - y[i]) * (double(x[i]) - y[i]);
    size += y[i] * y[i];
  }
  REQUIRE(size > 0);
  return std::sqrt(difference / size);
}

}  // namespace

TEST_CASE("log-probs and gradients by this product are those of double") {
  try {
    lm::check_gemm();
  } catch (const std::runtime_error& e) {  // said to the user in these words
    const std::string text = e.what();
    CHECK(text.find(lm::gemm_name) == 0);
    CHECK(text.find("-DHENCE_LM_GEMM=ordered") != text.npos);
    REQUIRE(text.find("AVX-512") != text.npos);
    MESSAGE(text);
    return;
  }
  lm::model_config c{.vocabulary = 29,
                     .width = 48,
                     .layers = 2,
                     .heads = 4,
                     .kv_heads = 2,
                     .head = 12,
                     .ff = 80,
                     .longest = 32};
  lm::model_config mixed = c;
  mixed.moe = {.experts = 4, .k = 2, .ff = 24, .shared_ff = 16};
  for (const auto& sizes : {c, mixed}) {
    CAPTURE(sizes.is_moe());
    // a router that bf16 takes for another chooses other experts: that is no rounding
    if (sizes.is_moe() && wanted > 1e-3) continue;
    const auto found = compute<float>(sizes);
    const auto truth = compute<double>(sizes);
    CHECK(distance(found.logp, truth.logp) < wanted);
    CHECK(distance(found.gradient, truth.gradient) < wanted);
  }
}
