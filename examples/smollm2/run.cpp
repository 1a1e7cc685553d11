#include "run.hpp"

#include "language_model.hpp"

#include <chrono>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <memory>

namespace smollm2 {
namespace {

struct models {
  language_model before;
  std::unique_ptr<language_model> after;  // trained
};

/// Prints what each model answers; the last answer of the last model.
std::string show(hence::thread_pool& pool, const models& all, const std::vector<lm::token>& prompt,
                 const options& o) {
  std::string last;
  for (const auto* m : {&all.before, static_cast<const language_model*>(all.after.get())}) {
    if (m == nullptr) continue;
    const auto begin = std::chrono::steady_clock::now();
    const lm::generation_rule rule{.sample = {.temperature = o.temperature},
                                   .end = m->end(),
                                   .longest = o.longest,
                                   .seed = o.seed};
    const auto responses = m->respond(pool, {prompt}, o.samples, rule);
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
    std::size_t tokens = 0;
    for (const auto& r : responses) {
      if (all.after) std::printf("%s ", m == &all.before ? "[before]" : "[after] ");
      last = m->text(r);
      std::printf("%s\n", last.c_str());
      tokens += r.tokens.size();
    }
    std::fprintf(stderr, "(%zu tokens, %.1f tokens/s)\n", tokens,
                 static_cast<double>(tokens) / time.count());
  }
  std::fflush(stdout);
  return last;
}

int chat(hence::thread_pool& pool, const models& all, const options& o) {
  const turn system{"system",
                    "You are a helpful AI assistant named SmolLM, trained by Hugging Face"};
  std::vector<turn> turns{system};
  for (std::string line; std::fputs("> ", stderr), std::getline(std::cin, line);) {
    turns.push_back({"user", line});
    const std::size_t said = turns.size();
    const auto prompt = all.before.fitting(turns, o.longest);
    if (prompt.empty()) {
      std::fprintf(stderr, "(skipped: too long, with an answer there is room for %lld tokens)\n",
                   static_cast<long long>(all.before.network().config().longest));
      turns.pop_back();
      continue;
    }
    if (turns.size() < said) std::fprintf(stderr, "(what was said before is forgotten)\n");
    turns.push_back({"assistant", show(pool, all, prompt, o)});
  }
  return 0;
}

void print(const std::vector<lm::token>& tokens) {
  for (const lm::token t : tokens) std::printf("%d ", t);
  std::printf("\n");
}

/// For comparisons with other programs: tokens of standard input.
int print_tokens(const options& o) {
  const lm::tokenizer tokenizer(lm::model_file(o.model).words());
  const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  print(tokenizer.encode(text, {lm::control_text::recognised, lm::lost_byte::dropped}));
  return 0;
}

/// The same: each line of standard input is a prompt, token ids apart by spaces.
int answer_peer(hence::thread_pool& pool, const language_model& m, const options& o) {
  std::vector<std::vector<lm::token>> prompts;
  for (std::string line; std::getline(std::cin, line);) prompts.push_back(token_ids(line));
  if (o.peer == "logits") {
    for (const auto& p : prompts) {
      const auto rows = m.logits(p);
      std::fwrite(rows.data(), sizeof(float), rows.size(), stdout);
    }
    return 0;
  }
  const lm::generation_rule greedy{
      .sample = {.temperature = 0}, .end = m.end(), .longest = o.longest};
  for (const auto& r : m.respond(pool, prompts, 1, greedy)) print(r.tokens);
  return 0;
}

}  // namespace

int run(const options& o) {
  if (o.peer == "tokens") return print_tokens(o);
  hence::thread_pool pool(o.threads);
  models all{language_model(o.model, o.context), nullptr};
  if (!o.peer.empty()) return answer_peer(pool, all.before, o);
  if (!o.trained.empty()) {
    all.after = std::make_unique<language_model>(o.model, o.context);
    all.after->load_checkpoint(o.trained);
  }
  if (o.is_chat) return chat(pool, all, o);
  show(pool, all,
       all.before.tokens().encode(o.prompt, {lm::control_text::recognised, lm::lost_byte::dropped}),
       o);
  return 0;
}

}  // namespace smollm2
