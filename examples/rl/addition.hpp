/// \file
/// Addition of numbers of two to four digits, a digit a token. `Q 4 7 + 1 2 3` is thought column by
/// column from the right, digit and carry, and answered from the left:
/// `<think> 0 c1 7 c0 1 c0 </think> <answer> 1 7 0 </answer>`.
///
/// In half of the documents the template may be broken and the thought may stop early; then the
/// answer is what has been thought.
#pragma once

#include "template.hpp"

#include <algorithm>

namespace demo {

class addition final : public word_task {
 public:
  static constexpr std::int64_t columns = 4;

  addition() : words_(all_words()) {}
  const char* name() const override { return "addition"; }
  const vocabulary& words() const override { return words_; }
  std::int64_t longest_prompt() const override { return 2 * columns + 2; }
  std::int64_t longest_reply() const override { return 20; }

  problem make_problem(std::uint64_t seed, std::uint64_t index) const override {
    dice d(seed, 1, index);
    return question(d);
  }

  document make_document(std::uint64_t seed, std::uint64_t index) const override {
    dice d(seed, 2, index);
    const problem q = question(d);
    const bool with_tags = d.chance(0.5);
    std::int64_t a = q.numbers[0], b = q.numbers[1], carry = 0;
    std::vector<lm::token> thought, answer;
    for (std::int64_t i = 0; i < q.steps; ++i, a /= 10, b /= 10) {
      const std::int64_t sum = a % 10 + b % 10 + carry;
      carry = sum / 10;
      thought.push_back(digit(sum % 10));
      thought.push_back(static_cast<lm::token>(carry_0 + carry));
      answer.insert(answer.begin(), digit(sum % 10));
      if (with_tags && d.chance(0.2)) break;
    }
    if (carry > 0) answer.insert(answer.begin(), digit(1));
    return {q.prompt, with_tags ? in_template(d, thought, answer) : raw(thought)};
  }

  verdict judge(const problem& p, std::span<const lm::token> reply,
                bool is_finished) const override {
    namespace reward = hence::reward;
    const std::string text = words_.text(reply);
    std::string numeral(tagged_answer(text));
    std::erase(numeral, ' ');
    verdict v;
    const auto is_digit = [](char c) { return reward::is_digit(c); };
    if (!numeral.empty() && numeral.size() < 10 && std::ranges::all_of(numeral, is_digit)) {
      v.answer = std::stoll(numeral);
      v.accuracy = reward::accuracy_reward(reward::extract::whole{}, numeral, p.reference,
                                           reward::answer::strict);
    }
    judge_form(v, reply, text, is_finished,
               [](lm::token t) { return t == carry_0 || t == carry_1; });
    return v;
  }

 private:
  enum : lm::token { question_mark = 6, plus, carry_0, carry_1, first_digit };

  static std::vector<std::string> all_words() {
    auto w = vocabulary::special();
    for (const char* s : {"Q", "+", "c0", "c1", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9"})
      w.emplace_back(s);
    return w;
  }
  static lm::token digit(std::int64_t value) { return static_cast<lm::token>(first_digit + value); }
  /// The digits, padded on the left, so that columns always lie the same way apart.
  static void put(std::vector<lm::token>& to, std::int64_t n) {
    for (std::int64_t i = columns, unit = 1000; i-- > 0; unit /= 10)
      to.push_back(n < unit ? lm::token{vocabulary::pad} : digit(n / unit % 10));
  }
  static problem question(dice& d) {
    problem p;
    constexpr std::int64_t power[] = {1, 10, 100, 1000, 10000};
    for (int i = 0; i < 2; ++i) {
      const std::int64_t least = power[1 + d.below(3)];
      p.numbers.push_back(least + d.below(9 * least));
    }
    p.prompt = {question_mark};
    put(p.prompt, p.numbers[0]);
    p.prompt.push_back(plus);
    put(p.prompt, p.numbers[1]);
    p.reference = std::to_string(p.numbers[0] + p.numbers[1]);
    for (std::int64_t n = std::max(p.numbers[0], p.numbers[1]); n > 0; n /= 10) ++p.steps;
    return p;
  }

  vocabulary words_;
};

}  // namespace demo
