/// \file
/// Sums in R1's template: ChatML with R1's system prompt (arXiv:2501.12948, table 1), two answered
/// questions, then the question. Without them the model never writes a tag.
///
/// Sums of one digit, and as many of two digits that no problem of the test has.
#pragma once

#include "checked_task.hpp"

#include "rl/template.hpp"

namespace smollm2 {

class r1_sums final : public checked_task {
 public:
  static constexpr std::size_t held_out_pairs = 10, harder_pairs = 16, harder_training = 48;

  r1_sums(const lm::tokenizer& tokenizer, std::uint64_t seed) : checked_task(tokenizer) {
    end_ = tokenizer.control("<|im_end|>");
    const auto make = [this](int a, int b) { return ask(a, b); };
    pairs one, two;
    for (int a = 1; a <= 9; ++a)
      for (int b = a; b <= 9; ++b)
        if (!(a == 3 && b == 4)) one.emplace_back(a, b);
    for (int a = 10; a <= 99; ++a)
      for (int b = a; b <= 99; ++b)
        if (!(a == 21 && b == 36)) two.emplace_back(a, b);
    shuffle(one, seed, 0), shuffle(two, seed, 0);
    two.resize(harder_pairs + harder_training);
    share_out(one, held_out_pairs, held_out_, training_, make);
    share_out(two, harder_pairs, harder_, training_, make);
  }

  const char* name() const override { return "r1-sums"; }
  /// Without the token that closes a reply.
  std::string text(std::span<const lm::token> tokens) const override {
    if (!tokens.empty() && tokens.back() == end_) tokens = tokens.first(tokens.size() - 1);
    return checked_task::text(tokens);
  }
  lm::token end() const override { return end_; }
  std::int64_t longest_prompt() const override {
    std::size_t longest = 0;
    for (const auto* all : {&training_, &held_out_, &harder_})
      for (const auto& p : *all) longest = std::max(longest, p.prompt.size());
    return static_cast<std::int64_t>(longest);
  }
  std::int64_t longest_reply() const override { return 48; }

  /// A problem of the training with its right answer in the template.
  demo::document make_document(std::uint64_t seed, std::uint64_t index) const override {
    const auto p = make_problem(seed, index);
    return {p.prompt, encode(reply(static_cast<int>(p.numbers[0]), static_cast<int>(p.numbers[1])) +
                             "<|im_end|>")};
  }

  /// Accuracy: the last closed answer tag holds the sum. Format: R1-Zero's, strictly.
  demo::verdict judge(const demo::problem& p, std::span<const lm::token> reply,
                      bool is_finished) const override {
    namespace reward = hence::reward;
    const std::string all = text(reply);
    const auto parts = reward::parse(reward::format::r1_zero{reward::matching::strict}, all);
    demo::verdict v;
    v.accuracy = reward::accuracy_reward(reward::extract::whole{}, demo::tagged_answer(all),
                                         p.reference, reward::answer::strict);
    v.format = is_finished && parts.ok() ? 1 : 0;
    v.strict = v.format * v.accuracy;
    v.has_think = all.find("<think>") != all.npos;
    return v;
  }

 private:
  static std::string turn(const char* role, const std::string& said) {
    return std::string("<|im_start|>") + role + "\n" + said + "<|im_end|>\n";
  }
  static std::string question(int a, int b) {
    return turn("user", "What is " + std::to_string(a) + "+" + std::to_string(b) + "?");
  }
  static std::string reply(int a, int b) {
    const auto sum = std::to_string(a + b);
    return "<think>" + std::to_string(a) + "+" + std::to_string(b) + "=" + sum +
           "</think><answer>" + sum + "</answer>";
  }
  demo::problem ask(int a, int b) const {
    demo::problem p;
    p.prompt = encode(
        turn("system",
             "A conversation between User and Assistant. The user asks a question, and the "
             "Assistant solves it. The assistant first thinks about the reasoning process in the "
             "mind and then provides the user with the answer. The reasoning process and answer "
             "are enclosed within <think> </think> and <answer> </answer> tags.") +
        question(3, 4) + turn("assistant", reply(3, 4)) + question(21, 36) +
        turn("assistant", reply(21, 36)) + question(a, b) + "<|im_start|>assistant\n");
    p.reference = std::to_string(a + b);
    p.numbers = {a, b};
    return p;
  }

  lm::token end_ = 0;
};

}  // namespace smollm2
