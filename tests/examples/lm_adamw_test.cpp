// AdamW against the formulas of the paper in double; the schedule; and that a model learns.
#include "lm/adamw.hpp"

#include "lm/initial.hpp"
#include "lm/transformer.hpp"

#include <doctest/doctest.h>
#include <hence/threads/pool.hpp>

#include <cmath>

TEST_CASE("AdamW is algorithm 2 of the paper") {
  lm::arena_layout layout;
  layout.add("matrix", {5, 7}), layout.add("gain", {21});
  const lm::adamw_rule rule{.beta1 = 0.9, .beta2 = 0.95, .eps = 1e-6, .decay = 0.1, .clip = 2};
  std::vector<float> w(56), g(56);
  std::vector<double> exact(56), m(56), v(56);
  for (std::size_t i = 0; i < 56; ++i) {
    w[i] = static_cast<float>(std::sin(1.0 + static_cast<double>(i)));
    exact[i] = static_cast<double>(w[i]);
  }
  lm::adamw_state state(56);
  hence::thread_pool pool(2);
  for (int t = 1; t <= 9; ++t) {
    double norm = 0;
    for (std::size_t i = 0; i < 56; ++i) {
      g[i] = static_cast<float>(std::cos(t * 0.7 + 3.0 * static_cast<double>(i)) *
                                (t < 5 ? 0.1 : 2.0));
      norm += static_cast<double>(g[i]) * static_cast<double>(g[i]);
    }
    norm = std::sqrt(norm);
    CHECK((norm > 2) == (t >= 5));  // both with and without clipping
    const double rate = 0.01 * t;
    CHECK(lm::adamw_step(pool, rule, rate, layout, g, state, w) == doctest::Approx(norm));
    for (std::size_t i = 0; i < 56; ++i) {
      const double x = static_cast<double>(g[i]) * (norm > 2 ? 2 / norm : 1);
      m[i] = 0.9 * m[i] + 0.1 * x, v[i] = 0.95 * v[i] + 0.05 * x * x;
      const double mean = m[i] / (1 - std::pow(0.9, t)), square = v[i] / (1 - std::pow(0.95, t));
      exact[i] -= rate * (mean / (std::sqrt(square) + 1e-6) + (i < 35 ? 0.1 * exact[i] : 0));
      CHECK(static_cast<double>(w[i]) == doctest::Approx(exact[i]).epsilon(3e-6).scale(1));
    }
  }
  CHECK(state.step == 9);
}

TEST_CASE("the schedule rises, stays or falls") {
  const lm::schedule s{.rate = 1, .warmup = 4, .steps = 12};
  CHECK(s.at(0) == 0.25);
  CHECK(s.at(3) == 1);
  CHECK(s.at(4) == 1);
  CHECK(s.at(8) == 0.5);
  CHECK(s.at(12) == 0);
  CHECK(lm::schedule{.rate = 0.5}.at(99) == 0.5);
}

TEST_CASE("a model learns to copy") {
  const lm::model_config c{.vocabulary = 12,
                           .width = 32,
                           .layers = 2,
                           .heads = 2,
                           .kv_heads = 1,
                           .head = 16,
                           .ff = 48,
                           .longest = 16};
  const lm::transformer<float> model(c);
  std::vector<float> w(static_cast<std::size_t>(model.size()));
  lm::initialise(c, model.parameters(), 1, w.data());
  lm::adamw_state state(model.size());
  lm::activations<float> a;
  hence::thread_pool pool(2);
  double first = 0, last = 0;
  for (std::uint32_t step = 0; step < 200; ++step) {
    lm::packed_batch b;
    for (std::uint64_t i = 0; i < 32; ++i) {
      std::vector<lm::token> word;
      for (std::uint32_t t = 0; t < 5; ++t)
        word.push_back(static_cast<lm::token>(
            hence::philox(9, {.token = t, .step = step, .sequence = i}).word[0] % 11));
      auto prompt = word;
      prompt.push_back(11);
      b.begin_group(prompt);
      b.add_response(word);
    }
    b.close();
    std::vector<float> logp(160), cotangent(160, -1.0f / 160);
    std::vector<float> g(static_cast<std::size_t>(model.gradient_size()));
    model.forward(pool, w.data(), b, a, true);
    model.logprobs(pool, w.data(), b, a, 1, logp);
    model.backward(pool, w.data(), b, a, 1, cotangent, g.data());
    lm::adamw_step(pool, {}, 5e-3, model.parameters().layout, g, state, w);
    last = 0;
    for (const float x : logp) last -= static_cast<double>(x) / 160;
    if (step == 0) first = last;
  }
  CHECK(first > 2.2);
  CHECK(last < 0.1);
}
