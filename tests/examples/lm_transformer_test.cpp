// The language model's gradient against finite differences of its loss in double; bits that do not
// depend on threads, tiles and micro-batches.
#include "lm/transformer.hpp"

#include <doctest/doctest.h>
#include <hence/core/random.hpp>
#include <hence/threads/pool.hpp>

#include <cmath>

namespace {

using lm::model_config;

/// Numbers in [-scale, scale), the same on every machine.
template <class S> std::vector<S> noise(std::int64_t n, std::uint64_t seed, double scale) {
  std::vector<S> v(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < v.size(); ++i)
    v[i] = static_cast<S>(scale * (2.0 * static_cast<double>(hence::uniform(
                                             hence::philox(seed, {.sequence = i}).word[0])) -
                                   1.0));
  return v;
}

model_config small(bool tied, lm::positions place) {
  return {.vocabulary = 11,
          .width = 20,
          .layers = 2,
          .heads = 4,
          .kv_heads = 2,
          .head = 6,
          .ff = 24,
          .longest = 32,
          .place = place,
          .tied = tied};
}

/// Six experts in three groups, two of them kept, and shared ones.
model_config mixture() {
  auto c = small(false, lm::positions::rotary);
  c.moe = {
      .experts = 6, .k = 3, .groups = 3, .kept_groups = 2, .ff = 10, .shared_ff = 12, .scale = 1.5};
  return c;
}

/// Three groups: one with two responses of unlike length, one with an empty one, one with one.
/// \param only all, or the one that is named.
lm::packed_batch example(std::int64_t tile, int only = -1) {
  lm::packed_batch b(tile);
  if (only < 0 || only == 0) {
    b.begin_group(std::vector<lm::token>{1, 2, 3});
    b.add_response(std::vector<lm::token>{4, 5, 6, 10});
    b.add_response(std::vector<lm::token>{7, 0});
  }
  if (only < 0 || only == 1) {
    b.begin_group(std::vector<lm::token>{9});
    b.add_response(std::vector<lm::token>{});
    b.add_response(std::vector<lm::token>{1, 1, 8});
  }
  if (only < 0 || only == 2) {
    b.begin_group(std::vector<lm::token>{2, 2, 4, 6, 8});
    b.add_response(std::vector<lm::token>{3, 5, 7, 9, 10, 0, 1, 2, 3, 4, 5, 6, 7});
  }
  b.close();
  return b;
}

template <class S> std::vector<S> weights_of(const lm::transformer<S>& model) {
  auto w = noise<S>(model.size(), 7, 0.5);
  for (const auto& p : model.parameters().layout.parameters())
    if (p.shape.size() == 1 && !p.name.ends_with("bias"))
      for (std::int64_t i = 0; i < p.size; ++i) w[static_cast<std::size_t>(p.first + i)] += S(1);
  return w;
}

double loss_of(const lm::transformer<double>& model, const std::vector<double>& w,
               const std::vector<double>& cotangent) {
  hence::serial pool;
  lm::activations<double> a;
  const auto b = example(1000);
  std::vector<double> logp(cotangent.size());
  model.forward(pool, w.data(), b, a, false);
  model.logprobs(pool, w.data(), b, a, 0.9, logp);
  double sum = 0;
  for (std::size_t i = 0; i < logp.size(); ++i) sum += cotangent[i] * logp[i];
  return sum;
}

template <class S, class Pool>
std::vector<S> gradient_of(const lm::transformer<S>& model, const std::vector<S>& w,
                           const std::vector<S>& cotangent, Pool& pool, std::int64_t tile) {
  lm::activations<S> a;
  const auto b = example(tile);
  std::vector<S> logp(cotangent.size());
  std::vector<S> g(static_cast<std::size_t>(model.gradient_size()));
  model.forward(pool, w.data(), b, a, true);
  model.logprobs(pool, w.data(), b, a, 0.9, logp);
  model.backward(pool, w.data(), b, a, 0.9, cotangent, g.data());
  model.fold(g.data());
  g.resize(w.size());
  return g;
}

}  // namespace

TEST_CASE("the gradient is that of the loss") {
  for (const auto& sizes :
       {small(false, lm::positions::rotary), small(true, lm::positions::learned), mixture()}) {
    CAPTURE(sizes.moe.experts);
    const lm::transformer<double> model(sizes);
    auto w = weights_of(model);
    const auto cotangent = noise<double>(22, 3, 1);
    hence::serial pool;
    const auto g = gradient_of(model, w, cotangent, pool, 1000);
    int far = 0;
    for (const auto& p : model.parameters().layout.parameters()) {
      CAPTURE(p.name);
      if (p.name.ends_with("bias")) {  // the selection has no gradient
        for (std::int64_t k = 0; k < p.size; ++k)
          CHECK(g[static_cast<std::size_t>(p.first + k)] == 0);
        continue;
      }
      for (std::int64_t k = 0; k < p.size; k += 1 + p.size / 11) {
        const auto i = static_cast<std::size_t>(p.first + k);
        const double kept = w[i], h = 1e-5;
        w[i] = kept + h;
        const double above = loss_of(model, w, cotangent);
        w[i] = kept - h;
        const double below = loss_of(model, w, cotangent);
        w[i] = kept;
        CHECK(g[i] == doctest::Approx((above - below) / (2 * h)).epsilon(1e-6).scale(1));
        far += std::abs(g[i]) > 1e-3;
      }
    }
    CHECK(far > 60);
  }
}

TEST_CASE("bits do not depend on threads, tiles and micro-batches") {
  for (const auto& sizes : {small(true, lm::positions::rotary), mixture()}) {
    const lm::transformer<float> model(sizes);
    const auto w = weights_of(model);
    const auto cotangent = noise<float>(22, 3, 1);
    hence::serial serial;
    const auto g = gradient_of(model, w, cotangent, serial, 1000);
    hence::thread_pool two(2), three(3);
    CHECK(gradient_of(model, w, cotangent, two, 1000) == g);
    CHECK(gradient_of(model, w, cotangent, two, 1) == g);
    CHECK(gradient_of(model, w, cotangent, three, 12) == g);

    // one group after the other into the same gradient
    std::vector<float> sum(static_cast<std::size_t>(model.gradient_size()));
    const auto whole = example(1000);
    std::int64_t done = 0;
    for (int i = 0; i < 3; ++i) {
      const auto b = example(1000, i);
      lm::activations<float> a;
      std::vector<float> logp(static_cast<std::size_t>(b.responses()));
      model.forward(two, w.data(), b, a, true);
      model.logprobs(two, w.data(), b, a, 0.9, logp);
      model.backward(two, w.data(), b, a, 0.9,
                     hence::view<const float>(cotangent.data() + done, b.responses()), sum.data());
      done += b.responses();
    }
    CHECK(done == whole.responses());
    model.fold(sum.data());
    sum.resize(g.size());
    CHECK(sum == g);
  }
}

TEST_CASE("float32 is close to float64") {
  const lm::transformer<float> model(small(false, lm::positions::rotary));
  const lm::transformer<double> exact(small(false, lm::positions::rotary));
  const auto w = weights_of(model);
  const std::vector<double> wide(w.begin(), w.end());
  const auto cotangent = noise<float>(22, 3, 1);
  hence::serial pool;
  const auto g = gradient_of(model, w, cotangent, pool, 1000);
  const auto e =
      gradient_of(exact, wide, std::vector<double>(cotangent.begin(), cotangent.end()), pool, 1000);
  for (std::size_t i = 0; i < g.size(); ++i)
    CHECK(static_cast<double>(g[i]) == doctest::Approx(e[i]).epsilon(1e-4).scale(1));
}
