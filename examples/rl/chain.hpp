/// \file
/// Chain arithmetic: a digit and 3 to 7 operations, modulo 10; or 4 to 12 of them. `Q 3 +4 *7 +1`
/// is answered by
/// `<think> 7 9 0 </think> <answer> 0 </answer>`. One step in one token is easy, the whole chain in
/// one token is not, so that thinking is the only way and must be as long as the chain.
///
/// Digits and operations have English and German words. The base model's corpus is of two halves:
/// worked solutions without tags (the skill), and the template (the form), in which half of the
/// documents are broken in one of five ways and the thinking stops early as often as not. Its
/// values are wrong now and then, in English mostly in products, in German mostly in sums.
#pragma once

#include "template.hpp"

#include <array>

namespace demo {

/// How many operations a question has.
struct chain_lengths {
  std::int64_t least, most;
};

class chain final : public word_task {
 public:
  static constexpr chain_lengths usual{3, 7}, longer{4, 12};

  /// \param more words of a larger vocabulary, behind the chain's own.
  explicit chain(const std::vector<std::string>& more = {}, chain_lengths operations = usual)
      : operations_(operations), words_(all_words(more)) {}
  const char* name() const override {
    return operations_.most == usual.most ? "chain" : "long_chain";
  }
  const vocabulary& words() const override { return words_; }
  std::int64_t longest_prompt() const override { return operations_.most + 2; }
  std::int64_t longest_reply() const override { return operations_.most + 8; }

  problem make_problem(std::uint64_t seed, std::uint64_t index) const override {
    dice d(seed, 1, index);
    return question(d).asked;
  }

  document make_document(std::uint64_t seed, std::uint64_t index) const override {
    dice d(seed, 2, index);
    const drawn q = question(d);
    const bool with_tags = d.chance(0.5);
    const auto values = think(d, q, with_tags ? 0.3 : 0.0);
    return {q.asked.prompt, with_tags ? in_template(d, values, {values.back()}) : raw(values)};
  }

  verdict judge(const problem& p, std::span<const lm::token> reply,
                bool is_finished) const override {
    namespace reward = hence::reward;
    const std::string text = words_.text(reply);
    verdict v;
    v.answer = digit_of(tagged_answer(text));
    if (v.answer >= 0) {
      const std::string numeral = std::to_string(v.answer);
      v.accuracy = reward::accuracy_reward(reward::extract::whole{}, numeral, p.reference,
                                           reward::answer::strict);
    }
    judge_form(v, reply, text, is_finished,
               [](lm::token t) { return t >= first_digit && t < first_digit + 20; });
    v.consistency = consistency(text, language_words[static_cast<std::size_t>(p.language)]);
    return v;
  }

  /// A full solution in the template without a fault, in the prompt's language.
  document make_solution(std::uint64_t seed, std::uint64_t index) const {
    dice d(seed, 3, index);
    const drawn q = question(d);
    document doc{q.asked.prompt, {vocabulary::think}};
    std::int64_t value = q.start;
    for (const std::int64_t operation : q.operations)
      doc.reply.push_back(digit(value = apply(value, operation), q.language));
    for (const lm::token t : {vocabulary::think_end, vocabulary::answer, digit(value, q.language),
                              vocabulary::answer_end, vocabulary::end})
      doc.reply.push_back(t);
    return doc;
  }

 private:
  /// The digits' words in each language, sorted.
  static constexpr std::array<std::string_view, 10> english{
      "eight", "five", "four", "nine", "one", "seven", "six", "three", "two", "zero"},
      german{"acht", "drei", "eins", "fünf", "neun", "null", "sechs", "sieben", "vier", "zwei"};
  static constexpr std::array<hence::view<const std::string_view>, 2> language_words{
      hence::view<const std::string_view>(english.data(), 10),
      hence::view<const std::string_view>(german.data(), 10)};

  enum : lm::token { question_mark = 6, first_operation = 7, first_digit = 19 };
  static constexpr std::array<std::int64_t, 6> plus{1, 3, 4, 7, 0, 0}, times{1, 1, 1, 1, 3, 7};

  struct drawn {
    problem asked;
    int language = 0;  // 0 English, 1 German
    std::int64_t start = 0;
    std::vector<std::int64_t> operations;
  };

  static std::vector<std::string> all_words(const std::vector<std::string>& more) {
    auto w = vocabulary::special();
    for (const char* s :
         {"Q",     "+1",    "+3",    "+4",     "+7",   "*3",   "*7",   "plus1", "plus3",
          "plus4", "plus7", "mal3",  "mal7",   "zero", "one",  "two",  "three", "four",
          "five",  "six",   "seven", "eight",  "nine", "null", "eins", "zwei",  "drei",
          "vier",  "fünf",  "sechs", "sieben", "acht", "neun"})
      w.emplace_back(s);
    w.insert(w.end(), more.begin(), more.end());
    return w;
  }
  static lm::token digit(std::int64_t value, int language) {
    return static_cast<lm::token>(first_digit + 10 * language + value);
  }
  std::int64_t digit_of(std::string_view word) const {
    for (lm::token t = first_digit; t < first_digit + 20; ++t)
      if (words_.word(t) == word) return (t - first_digit) % 10;
    return -1;
  }
  static std::int64_t apply(std::int64_t value, std::int64_t operation) {
    const auto i = static_cast<std::size_t>(operation);
    return (value * times[i] + plus[i]) % 10;
  }

  drawn question(dice& d) const {
    drawn q;
    q.language = q.asked.language = static_cast<int>(d.below(2));
    q.start = d.below(10);
    q.asked.prompt = {question_mark, digit(q.start, q.language)};
    const auto [least, most] = operations_;
    q.asked.steps = least + d.below(most - least + 1);
    std::int64_t value = q.start;
    for (std::int64_t i = 0; i < q.asked.steps; ++i) {
      q.operations.push_back(d.below(6));
      value = apply(value, q.operations.back());
      q.asked.prompt.push_back(
          static_cast<lm::token>(first_operation + 6 * q.language + q.operations.back()));
    }
    // so that step i is always as many tokens behind
    q.asked.prompt.resize(static_cast<std::size_t>(most + 2), vocabulary::pad);
    q.asked.reference = std::to_string(value);
    return q;
  }

  /// The values one by one, some wrong. \param stop the chance to stop after each.
  static std::vector<lm::token> think(dice& d, const drawn& q, double stop) {
    constexpr double wrong[2][2] = {{0.02, 0.25}, {0.12, 0.02}};  // [language][is a product]
    std::vector<lm::token> values;
    int language = q.language;
    std::int64_t value = q.start;
    for (const std::int64_t operation : q.operations) {
      if (d.chance(0.3)) language = 1 - language;
      value = apply(value, operation);
      if (d.chance(wrong[language][operation >= 4])) value = (value + 1 + d.below(9)) % 10;
      values.push_back(digit(value, language));
      if (d.chance(stop)) break;
    }
    return values;
  }

  chain_lengths operations_;
  vocabulary words_;
};

}  // namespace demo
