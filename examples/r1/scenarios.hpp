/// \file
/// All scenarios in one vocabulary: chain arithmetic, whose answers a rule checks, and everyday
/// questions, whose replies models judge.
#pragma once

#include "everyday.hpp"

#include "rl/chain.hpp"

namespace demo {

class scenarios final : public word_task {
 public:
  scenarios() : reasoning_(more_words()), everyday_(chain().words().size()) {
    label_ = words().size() - 2;
  }
  const char* name() const override { return "scenarios"; }
  const vocabulary& words() const override { return reasoning_.words(); }
  std::int64_t longest_prompt() const override { return reasoning_.longest_prompt(); }
  std::int64_t longest_reply() const override { return reasoning_.longest_reply(); }

  const chain& reasoning() const { return reasoning_; }
  const everyday& questions() const { return everyday_; }
  /// The two labels that a reward model chooses from.
  lm::token good() const { return label_; }
  lm::token bad() const { return label_ + 1; }

  /// Of reasoning; everyday questions come by `make_question`.
  problem make_problem(std::uint64_t seed, std::uint64_t index) const override {
    return reasoning_.make_problem(seed, index);
  }
  problem make_question(std::uint64_t seed, std::uint64_t index) const {
    return everyday_.make_problem(seed, index, longest_prompt());
  }
  /// The base's corpus: three quarters reasoning.
  document make_document(std::uint64_t seed, std::uint64_t index) const override {
    if (index % 4 != 3) return reasoning_.make_document(seed, index);
    return make_answered(seed, index, everyday::found);
  }
  /// An everyday question with a reply.
  document make_answered(std::uint64_t seed, std::uint64_t index,
                         const everyday::quality& q) const {
    const problem p = make_question(seed, index);
    return {p.prompt, everyday_.make_reply(seed, index, p, q)};
  }

  verdict judge(const problem& p, std::span<const lm::token> reply,
                bool is_finished) const override {
    namespace reward = hence::reward;
    if (p.kind == everyday::reasoning) return reasoning_.judge(p, reply, is_finished);
    verdict v;
    const std::string text = words().text(reply);
    judge_form(v, reply, text, is_finished, [](lm::token) { return true; });
    // a word is a run of letters, so that `mal3` comes as `mal`, which is none of the questions'
    const auto is_target = [&](std::string_view word, reward::script) {
      return everyday_.is_of(words().find(word), p.language);
    };
    if (const auto parts = parse(text); parts.ok())
      v.consistency = reward::language_reward(parts.thought, is_target, 0.0);
    return v;
  }

  /// The template.
  static hence::reward::format::r1_zero form() {
    return hence::reward::format::r1_zero{hence::reward::matching::strict};
  }
  static hence::reward::response parse(std::string_view text) {
    return hence::reward::parse(form(), text);
  }

  /// What a reply to an everyday question is worth in truth; 0 helpful without the template.
  double worth(const problem& p, std::span<const lm::token> reply) const {
    const std::string text = words().text(reply);
    const auto parts = parse(text);
    const auto answer = words().tokens(parts.answer);
    if (p.kind == everyday::helpful) return parts.ok() ? everyday_.helpfulness(p, answer) : 0;
    return everyday_.harmlessness(p, reply, answer);
  }

 private:
  static std::vector<std::string> more_words() {
    auto w = everyday::words();
    w.insert(w.end(), {"<good>", "<bad>"});
    return w;
  }
  chain reasoning_;
  everyday everyday_;
  lm::token label_ = 0;
};

}  // namespace demo
