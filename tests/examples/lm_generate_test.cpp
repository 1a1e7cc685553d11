// Generation: a sampled token's log-prob has the bits of training's, whatever the threads and the
// packing; a shared prompt changes nothing.
#include "lm/generate.hpp"

#include "lm/initial.hpp"

#include <doctest/doctest.h>
#include <hence/threads/pool.hpp>

namespace {

lm::model_config sizes() {
  return {.vocabulary = 23,
          .width = 40,
          .layers = 2,
          .heads = 4,
          .kv_heads = 2,
          .head = 10,
          .ff = 56,
          .longest = 40};
}
lm::model_config mixture() {
  auto c = sizes();
  c.moe = {.experts = 8, .k = 2, .groups = 4, .kept_groups = 2, .ff = 24, .shared_ff = 20};
  return c;
}

}  // namespace

TEST_CASE("what is sampled has the log-probs of training, to the bit") {
  for (const auto& c : {sizes(), mixture()}) {
    const lm::transformer<float> model(c);
    std::vector<float> w(static_cast<std::size_t>(model.size()));
    lm::initialise(c, model.parameters(), 5, w.data());
    const std::vector<std::vector<lm::token>> prompts{
        {1, 2, 3}, {4}, {5, 6, 7, 8, 9}, {1, 1}, {22}};
    const lm::generation_rule rule{
        .sample = {.temperature = 0.7}, .end = 0, .longest = 20, .seed = 3};
    hence::thread_pool two(2);
    hence::serial one;
    const auto rows = lm::generate(two, model, w.data(), prompts, 20, rule);
    const auto again = lm::generate(one, model, w.data(), prompts, 20, rule);
    REQUIRE(rows.size() == 100);
    lm::packed_batch shared(100), apart(1);
    std::vector<float> sampled;
    std::size_t finished = 0, cut = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      CHECK(rows[i].tokens == again[i].tokens);
      CHECK(rows[i].logp == again[i].logp);
      CHECK(rows[i].is_finished == (rows[i].tokens.back() == 0));
      (rows[i].is_finished ? finished : cut) += 1;
      if (i % 20 == 0) shared.begin_group(prompts[i / 20]);
      shared.add_response(rows[i].tokens);
      apart.begin_group(prompts[i / 20]);
      apart.add_response(rows[i].tokens);
      sampled.insert(sampled.end(), rows[i].logp.begin(), rows[i].logp.end());
    }
    CHECK(finished > 10);
    CHECK(cut > 10);
    shared.close(), apart.close();
    CHECK(shared.size() < apart.size());
    for (const auto* b : {&shared, &apart}) {
      lm::activations<float> a;
      std::vector<float> logp(sampled.size());
      model.forward(two, w.data(), *b, a, false);
      model.logprobs(two, w.data(), *b, a, 0.7, logp);
      CHECK(logp == sampled);
    }
  }
}

TEST_CASE("a sequence beyond the model's length is refused") {
  const lm::transformer<float> model(sizes());
  std::vector<float> w(static_cast<std::size_t>(model.size()));
  hence::serial pool;
  const std::vector<std::vector<lm::token>> prompts{{1, 2, 3}};
  CHECK_THROWS_WITH_AS(lm::generate(pool, model, w.data(), prompts, 1, {.end = 0, .longest = 38}),
                       "generate: prompt and response have up to 41 tokens, the model takes 40",
                       std::invalid_argument);
}
