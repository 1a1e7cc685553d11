/// \file
/// Countdown with three numbers: reach the target with each of them once. The thought is a search,
/// attempt after attempt; the answer is an expression, judged by `hence::reward::check_countdown`.
///
///     Q 3 8 2 to 22
///     <think> 3 + 8 = 11 - 2 = 9 ; 3 + 8 = 11 * 2 = 22 ; </think> <answer> ( 3 + 8 ) * 2 </answer>
///
/// In half of the documents the template may be broken and the search may stop early; then the
/// answer is the last attempt.
#pragma once

#include "template.hpp"

#include <array>

namespace demo {

class countdown final : public word_task {
 public:
  static constexpr int attempts = 4;  // of a document, at most
  static constexpr std::int64_t largest = 99;

  countdown() : words_(all_words()) {}
  const char* name() const override { return "countdown"; }
  const vocabulary& words() const override { return words_; }
  std::int64_t longest_prompt() const override { return 6; }
  std::int64_t longest_reply() const override { return 10 * attempts + 12; }

  problem make_problem(std::uint64_t seed, std::uint64_t index) const override {
    dice d(seed, 1, index);
    return question(d).asked;
  }

  document make_document(std::uint64_t seed, std::uint64_t index) const override {
    dice d(seed, 2, index);
    const drawn q = question(d);
    const bool with_tags = d.chance(0.5);
    std::vector<lm::token> thought;
    attempt last = q.solution;
    for (int i = 0; i < attempts; ++i) {
      last = i + 1 == attempts ? q.solution : any_attempt(d, q.asked.numbers);
      thought.insert(thought.end(), {number(last.x), operation(last.first), number(last.y), equals,
                                     number(last.between()), operation(last.second), number(last.z),
                                     equals, number(last.value()), semicolon});
      if (last.value() == q.solution.value() || (with_tags && d.chance(0.2))) break;
    }
    const std::vector<lm::token> answer{open,           number(last.x), operation(last.first),
                                        number(last.y), close,          operation(last.second),
                                        number(last.z)};
    return {q.asked.prompt, with_tags ? in_template(d, thought, answer) : raw(thought)};
  }

  verdict judge(const problem& p, std::span<const lm::token> reply,
                bool is_finished) const override {
    namespace reward = hence::reward;
    const std::string text = words_.text(reply);
    const std::string_view answer = tagged_answer(text);
    const std::int64_t target = std::stoll(p.reference);
    verdict v;
    if (!answer.empty()) {
      const auto fault =
          reward::check_countdown(answer, p.numbers, target, reward::usage::all_once);
      v.accuracy = fault == reward::countdown_fault::none ? 1 : 0;
      // every solution is the same answer, every other text its own
      v.answer = v.accuracy > 0
                     ? target
                     : 1000 + static_cast<std::int64_t>(std::hash<std::string_view>{}(answer) >> 2);
    }
    judge_form(v, reply, text, is_finished, [](lm::token t) { return t == semicolon; });
    return v;
  }

 private:
  enum : lm::token {
    question_mark = 6,
    to,
    equals,
    semicolon,
    open,
    close,
    plus,
    minus,
    times,
    zero
  };

  /// (x first y) second z.
  struct attempt {
    std::int64_t x = 0, y = 0, z = 0, first = 0, second = 0;
    static std::int64_t apply(std::int64_t a, std::int64_t operation, std::int64_t b) {
      return operation == 0 ? a + b : operation == 1 ? a - b : a * b;
    }
    std::int64_t between() const { return apply(x, first, y); }
    std::int64_t value() const { return apply(between(), second, z); }
    bool is_small() const {
      return between() >= 0 && between() <= largest && value() >= 0 && value() <= largest;
    }
  };
  struct drawn {
    problem asked;
    attempt solution;
  };

  static std::vector<std::string> all_words() {
    auto w = vocabulary::special();
    for (const char* s : {"Q", "to", "=", ";", "(", ")", "+", "-", "*"}) w.emplace_back(s);
    for (std::int64_t i = 0; i <= largest; ++i) w.push_back(std::to_string(i));
    return w;
  }
  static lm::token number(std::int64_t n) { return static_cast<lm::token>(zero + n); }
  static lm::token operation(std::int64_t i) { return static_cast<lm::token>(plus + i); }

  /// The numbers in any order with any operations, all values from 0 to 99.
  static attempt any_attempt(dice& d, const std::vector<std::int64_t>& numbers) {
    for (;;) {
      std::array<std::int64_t, 3> n{numbers[0], numbers[1], numbers[2]};
      for (std::size_t i = 3; i-- > 1;)
        std::swap(n[i], n[static_cast<std::size_t>(d.below(static_cast<std::int64_t>(i) + 1))]);
      const attempt a{n[0], n[1], n[2], d.below(3), d.below(3)};
      if (a.is_small()) return a;
    }
  }
  static drawn question(dice& d) {
    drawn q;
    for (int i = 0; i < 3; ++i) q.asked.numbers.push_back(1 + d.below(9));
    q.solution = any_attempt(d, q.asked.numbers);
    q.asked.prompt = {question_mark};
    for (const std::int64_t n : q.asked.numbers) q.asked.prompt.push_back(number(n));
    q.asked.prompt.push_back(to);
    q.asked.prompt.push_back(number(q.solution.value()));
    q.asked.reference = std::to_string(q.solution.value());
    q.asked.steps = 1;
    return q;
  }

  vocabulary words_;
};

}  // namespace demo
