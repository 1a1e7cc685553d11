// Low-rank adapters: the gradient of A and B against finite differences in double, the merged model
// against products that keep the adapter apart, bits, refusals.
#include "lm/lora.hpp"

#include "refusal.hpp"

#include <doctest/doctest.h>
#include <hence/threads/pool.hpp>

#include <cmath>

namespace {

template <class S> std::vector<S> noise(std::int64_t n, std::uint64_t seed, double scale) {
  std::vector<S> v(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < v.size(); ++i)
    v[i] = static_cast<S>(scale * (2.0 * static_cast<double>(hence::uniform(
                                             hence::philox(seed, {.sequence = i}).word[0])) -
                                   1.0));
  return v;
}

const lm::model_config sizes{.vocabulary = 11,
                             .width = 20,
                             .layers = 2,
                             .heads = 4,
                             .kv_heads = 2,
                             .head = 6,
                             .ff = 26,
                             .longest = 32,
                             .tied = true};
const lm::lora_config all{.rank = 3, .alpha = 5};

/// Two groups. \param only both, or the one that is named.
lm::packed_batch example(std::int64_t tile, int only = -1) {
  lm::packed_batch b(tile);
  if (only != 1) {
    b.begin_group(std::vector<lm::token>{1, 2, 3});
    b.add_response(std::vector<lm::token>{4, 5, 6, 10});
    b.add_response(std::vector<lm::token>{7, 0});
  }
  if (only != 0) {
    b.begin_group(std::vector<lm::token>{2, 2, 4, 6, 8});
    b.add_response(std::vector<lm::token>{3, 5, 7, 9, 10, 0, 1, 2, 3, 4});
  }
  b.close();
  return b;
}
constexpr std::int64_t responses = 16;

template <class S> struct model_of {
  lm::transformer<S> model{sizes};
  lm::lora<S> adapters;
  std::vector<S> base = noise<S>(model.size(), 7, 0.5), merged = base;
  explicit model_of(const lm::lora_config& c = all) : adapters(model, c) {}

  /// log-probs of the merged model
  template <class Pool>
  std::vector<S> logprobs(Pool& pool, const std::vector<S>& x, const lm::packed_batch& b,
                          lm::activations<S>& a) {
    adapters.merge(pool, base.data(), x.data(), merged.data());
    std::vector<S> logp(static_cast<std::size_t>(b.responses()));
    model.forward(pool, merged.data(), b, a, true);
    model.logprobs(pool, merged.data(), b, a, 0.9, logp);
    return logp;
  }
  template <class Pool>
  void add_gradient(Pool& pool, const std::vector<S>& x, const lm::packed_batch& b,
                    hence::view<const S> cotangent, std::vector<S>& g) {
    lm::activations<S> a;
    logprobs(pool, x, b, a);
    model.backward_activations(pool, merged.data(), b, a, 0.9, cotangent);
    adapters.backward(pool, x.data(), b, a, g.data());
  }
};

}  // namespace

TEST_CASE("the adapters' gradient is that of the loss, and only they have one") {
  for (const auto& config : {all, lm::lora_config{2, 16, {"q_proj", "down_proj"}}}) {
    model_of<double> m(config);
    hence::serial pool;
    auto x = noise<double>(m.adapters.size(), 5, 0.4);
    const auto cotangent = noise<double>(responses, 3, 1);
    const auto b = example(1000);
    std::vector<double> g(x.size());
    m.add_gradient(pool, x, b, cotangent, g);
    const auto loss = [&] {
      lm::activations<double> a;
      const auto logp = m.logprobs(pool, x, b, a);
      double sum = 0;
      for (std::size_t i = 0; i < logp.size(); ++i) sum += cotangent[i] * logp[i];
      return sum;
    };
    int far = 0;
    for (const auto& p : m.adapters.layout().parameters()) {
      CAPTURE(p.name);
      for (std::int64_t k = 0; k < p.size; k += 1 + p.size / 9) {
        const auto i = static_cast<std::size_t>(p.first + k);
        const double kept = x[i], h = 1e-5;
        x[i] = kept + h;
        const double above = loss();
        x[i] = kept - h;
        const double below = loss();
        x[i] = kept;
        CHECK(g[i] == doctest::Approx((above - below) / (2 * h)).epsilon(1e-6).scale(1));
        far += std::abs(g[i]) > 1e-3;
      }
    }
    CHECK(far > static_cast<int>(10 * config.targets.size()));
    // a matrix has rank * (in + out) numbers
    std::int64_t expected = 0;
    for (const auto& site : m.adapters.sites()) expected += config.rank * (site.in + site.out);
    CHECK(m.adapters.size() == expected);
    CHECK(m.adapters.sites().size() == 2 * config.targets.size());
  }
}

TEST_CASE("a merged matrix gives what the frozen one and the adapter give apart") {
  model_of<float> m;
  hence::serial pool;
  const auto x = noise<float>(m.adapters.size(), 5, 0.4);
  m.adapters.merge(pool, m.base.data(), x.data(), m.merged.data());
  std::vector<bool> is_adapted(m.base.size());
  double largest = 0;
  for (const auto& site : m.adapters.sites()) {
    constexpr std::int64_t rows = 5;
    const auto in = noise<float>(rows * site.in, 9, 1);
    std::vector<float> y(static_cast<std::size_t>(rows * site.out));
    lm::linear(in.data(), m.merged.data() + site.weight, rows, site.in, site.out, y.data());
    for (std::int64_t t = 0; t < rows; ++t)
      for (std::int64_t o = 0; o < site.out; ++o) {
        // W x + (alpha / r) B (A x), in double
        double sum = 0, size = 0;
        const auto add = [&](double term) { sum += term, size += std::abs(term); };
        for (std::int64_t i = 0; i < site.in; ++i)
          add(static_cast<double>(m.base[static_cast<std::size_t>(site.weight + o * site.in + i)]) *
              static_cast<double>(in[static_cast<std::size_t>(t * site.in + i)]));
        for (std::int64_t k = 0; k < 3; ++k) {
          double u = 0;
          for (std::int64_t i = 0; i < site.in; ++i)
            u += static_cast<double>(x[static_cast<std::size_t>(site.a + k * site.in + i)]) *
                 static_cast<double>(in[static_cast<std::size_t>(t * site.in + i)]);
          add(5.0 / 3.0 * static_cast<double>(x[static_cast<std::size_t>(site.b + o * 3 + k)]) * u);
        }
        const double far =
            std::abs(static_cast<double>(y[static_cast<std::size_t>(t * site.out + o)]) - sum) /
            size;
        largest = std::max(largest, far);
      }
    for (std::int64_t i = 0; i < site.in * site.out; ++i)
      is_adapted[static_cast<std::size_t>(site.weight + i)] = true;
  }
  MESSAGE("largest difference " << largest * std::exp2(24) << " * 2^-24 of the terms' sizes");
  CHECK(largest < 8 * std::exp2(-24));
  for (std::size_t i = 0; i < m.base.size(); ++i)
    CHECK((m.merged[i] != m.base[i]) == is_adapted[i]);
}

TEST_CASE("at the start B is 0 and the merged model has the base's bits") {
  model_of<float> m;
  hence::thread_pool pool(2);
  std::vector<float> x(static_cast<std::size_t>(m.adapters.size()), 3.0f);
  m.adapters.initialise(4, x.data());
  for (const auto& p : m.adapters.layout().parameters())
    for (std::int64_t k = p.first; k < p.first + p.size; ++k) {
      const float v = x[static_cast<std::size_t>(k)];
      if (p.name.ends_with("lora_B.weight"))
        CHECK(v == 0);
      else
        CHECK((v != 0 && std::abs(v) <= 1 / std::sqrt(static_cast<float>(p.shape[1]))));
    }
  m.adapters.merge(pool, m.base.data(), x.data(), m.merged.data());
  CHECK(m.merged == m.base);
}

TEST_CASE("the adapters' bits do not depend on threads, tiles and micro-batches") {
  model_of<float> m;
  const auto x = noise<float>(m.adapters.size(), 5, 0.4);
  const auto cotangent = noise<float>(responses, 3, 1);
  const hence::view<const float> whole(cotangent.data(), responses);
  hence::serial one;
  hence::thread_pool two(2), three(3);
  const std::vector<float> zero(x.size());
  auto g = zero;
  m.add_gradient(one, x, example(1000), whole, g);
  const auto merged = m.merged;
  auto again = zero;
  m.add_gradient(two, x, example(1), whole, again);
  CHECK(again == g);
  CHECK(m.merged == merged);
  auto sum = zero;
  m.add_gradient(three, x, example(1000, 0), {cotangent.data(), 6}, sum);
  m.add_gradient(two, x, example(1000, 1), {cotangent.data() + 6, 10}, sum);
  CHECK(sum == g);
  // close to double's
  model_of<double> exact;
  exact.base.assign(m.base.begin(), m.base.end());
  std::vector<double> e(g.size());
  const std::vector<double> wide(cotangent.begin(), cotangent.end());
  exact.add_gradient(one, {x.begin(), x.end()}, example(1000), wide, e);
  for (std::size_t i = 0; i < g.size(); ++i)
    CHECK(static_cast<double>(g[i]) == doctest::Approx(e[i]).epsilon(1e-4).scale(1));
}

TEST_CASE("adapters that cannot be are refused by name") {
  const lm::transformer<float> model(sizes);
  const auto text = [&](const lm::lora_config& c) {
    return refusal([&] { lm::lora<float>(model, c); });
  };
  CHECK(text({0, 8}) == "lora: rank is 0, expected 1 to the model's width, 20");
  CHECK(text({21, 8}) == "lora: rank is 21, expected 1 to the model's width, 20");
  CHECK(text({4, 0}).starts_with("lora: alpha is 0.0"));
  CHECK(text({4, std::nan("")}).starts_with("lora: alpha is"));
  CHECK(text({4, 8, {}}) == "lora: there are no targets");
  CHECK(text({4, 8, {"lm_head"}}).starts_with("lora: there is no target lm_head, expected q_proj"));
  CHECK(text({4, 8, {"q_proj", "q_proj"}}) == "lora: the target q_proj is there twice");
  auto moe = sizes;
  moe.moe = {.experts = 4, .k = 2, .ff = 8};
  CHECK(refusal([&] { lm::lora<float>(lm::transformer<float>(moe), {4, 8}); }) ==
        "lora: a mixture of experts has no adapters here");
}
