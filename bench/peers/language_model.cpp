// The examples' language model as C functions, so that one Python process times it and a framework
// on the same weights and tokens. One thread, fp32, matrix products by gemm::ordered.
#include "lm/adamw.hpp"
#include "lm/generate.hpp"
#include "lm/initial.hpp"
#include "rl/chain.hpp"

#include "../peak.hpp"

#include <hence/threads/pool.hpp>

namespace {

/// A model with what a step of training keeps.
struct trained_model {
  explicit trained_model(const lm::model_config& c) : model(c), optimizer(model.size()) {
    weights.resize(static_cast<std::size_t>(model.size()));
    gradient.resize(static_cast<std::size_t>(model.gradient_size()));
  }
  hence::thread_pool pool{1};
  lm::transformer<float> model;
  lm::adamw_state optimizer;
  lm::activations<float> activations;
  std::vector<float> weights, gradient;
};

}  // namespace

extern "C" {

/// \param sizes vocabulary, width, layers, heads, kv_heads, head, ff, longest, tied.
trained_model* peers_lm_new(const std::int64_t* sizes, double rope_base, std::uint64_t seed) {
  auto* const m = new trained_model({.vocabulary = sizes[0],
                                     .width = sizes[1],
                                     .layers = sizes[2],
                                     .heads = sizes[3],
                                     .kv_heads = sizes[4],
                                     .head = sizes[5],
                                     .ff = sizes[6],
                                     .longest = sizes[7],
                                     .rope_base = rope_base,
                                     .tied = sizes[8] != 0});
  lm::initialise(m->model.config(), m->model.parameters(), seed, m->weights.data());
  return m;
}
void peers_lm_delete(trained_model* m) { delete m; }
float* peers_lm_weights(trained_model* m) { return m->weights.data(); }
float* peers_lm_gradient(trained_model* m) { return m->gradient.data(); }
std::int64_t peers_lm_size(const trained_model* m) { return m->model.size(); }

/// Name and first element of the i-th parameter, in their order; null behind the last.
const char* peers_lm_parameter(const trained_model* m, std::int64_t i, std::int64_t* first) {
  const auto& all = m->model.parameters().layout.parameters();
  if (i >= static_cast<std::int64_t>(all.size())) return nullptr;
  *first = all[static_cast<std::size_t>(i)].first;
  return all[static_cast<std::size_t>(i)].name.c_str();
}

/// The gradient of the mean of -log p over the responses' tokens, as the examples' trainer makes
/// it: batches from documents, forward, log-probs, backward. Returns the loss.
/// \param prompts length of each group's prompt. \param responses rows of each group.
/// \param lengths of the responses. \param tokens each group's prompt, then its responses.
/// \param logp of the responses' tokens, in their order.
double peers_lm_gradient_of(trained_model* m, std::int64_t groups, const std::int64_t* prompts,
                            const std::int64_t* responses, const std::int64_t* lengths,
                            const lm::token* tokens, std::int64_t micro_tokens, float* logp) {
  std::vector<lm::packed_batch> batches(1);
  std::int64_t all = 0;
  const auto next = [&](std::int64_t n) {
    tokens += n;
    return std::span(tokens - n, static_cast<std::size_t>(n));
  };
  for (std::int64_t g = 0; g < groups; ++g) {
    if (batches.back().size() >= micro_tokens) batches.emplace_back();
    batches.back().begin_group(next(prompts[g]));
    for (std::int64_t i = 0; i < responses[g]; ++i, all += *lengths++)
      batches.back().add_response(next(*lengths));
  }
  double loss = 0;
  for (lm::packed_batch& b : batches) {
    b.close();
    const std::int64_t n = b.responses();
    const std::vector<float> cotangent(static_cast<std::size_t>(n),
                                       -1.0f / static_cast<float>(all));
    const float* const weights = m->weights.data();
    m->model.forward(m->pool, weights, b, m->activations, true);
    m->model.logprobs(m->pool, weights, b, m->activations, 1.0, hence::view<float>(logp, n));
    m->model.backward(m->pool, weights, b, m->activations, 1.0, cotangent, m->gradient.data());
    for (std::int64_t i = 0; i < n; ++i) loss -= static_cast<double>(logp[i]);
    logp += n;
  }
  m->model.fold(m->gradient.data());
  return loss / static_cast<double>(all);
}

/// A step of AdamW without decay along the gradient, clipped at norm 1, which is cleared.
void peers_lm_update(trained_model* m, double rate) {
  lm::adamw_step(m->pool, {}, rate, m->model.parameters().layout, m->gradient, m->optimizer,
                 m->weights);
  std::fill(m->gradient.begin(), m->gradient.end(), 0.0f);
}

/// per_prompt responses of n tokens to each prompt, at temperature 1; no token ends one.
/// \param prompts `[groups, length]`. \param tokens, logp `[groups per_prompt, n]`.
void peers_lm_generate(trained_model* m, const lm::token* prompts, std::int64_t groups,
                       std::int64_t length, std::int64_t per_prompt, std::int64_t n,
                       lm::token* tokens, float* logp) {
  std::vector<std::vector<lm::token>> asked;
  for (std::int64_t g = 0; g < groups; ++g)
    asked.emplace_back(prompts + g * length, prompts + (g + 1) * length);
  for (const auto& row : lm::generate(m->pool, m->model, m->weights.data(), asked, per_prompt,
                                      {.end = -1, .longest = n, .seed = 1})) {
    tokens = std::copy(row.tokens.begin(), row.tokens.end(), tokens);
    logp = std::copy(row.logp.begin(), row.logp.end(), logp);
  }
}

/// The size of the vocabulary of chain arithmetic, the miniature's task.
std::int64_t peers_lm_words() { return demo::chain().words().size(); }
/// Documents that the miniature learns from. Returns how many tokens they have, 24 each at most.
std::int64_t peers_lm_documents(std::int64_t n, std::int64_t* prompts, std::int64_t* replies,
                                lm::token* tokens) {
  const demo::chain task;
  const lm::token* const begin = tokens;
  for (std::int64_t i = 0; i < n; ++i) {
    const demo::document d = task.make_document(1, static_cast<std::uint64_t>(i));
    prompts[i] = static_cast<std::int64_t>(d.prompt.size());
    replies[i] = static_cast<std::int64_t>(d.reply.size());
    tokens = std::copy(d.prompt.begin(), d.prompt.end(), tokens);
    tokens = std::copy(d.reply.begin(), d.reply.end(), tokens);
  }
  return tokens - begin;
}

/// Multiplies and adds; returns how many.
double peers_lm_multiply_adds() { return probe::multiply_adds(); }

}  // extern "C"
