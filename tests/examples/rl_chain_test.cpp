// Chain arithmetic: problems have the answer they say, documents are of the kinds that the corpus
// promises, and the judgement tells right from wrong and the form from its five breaks.
#include "rl/chain.hpp"

#include <doctest/doctest.h>

#include <map>
#include <sstream>

namespace {

using demo::vocabulary;

const demo::chain task;

/// The value of a prompt's text, read anew.
int value_of(const std::string& prompt) {
  const std::map<std::string, int> digits{{"zero", 0},  {"one", 1},    {"two", 2},  {"three", 3},
                                          {"four", 4},  {"five", 5},   {"six", 6},  {"seven", 7},
                                          {"eight", 8}, {"nine", 9},   {"null", 0}, {"eins", 1},
                                          {"zwei", 2},  {"drei", 3},   {"vier", 4}, {"fünf", 5},
                                          {"sechs", 6}, {"sieben", 7}, {"acht", 8}, {"neun", 9}};
  std::istringstream in(prompt);
  std::string word;
  in >> word;
  REQUIRE(word == "Q");
  in >> word;
  int value = digits.at(word);
  while (in >> word) {
    const int by = word.back() - '0';
    const bool is_product = word[0] == '*' || word.starts_with("mal");
    value = (is_product ? value * by : value + by) % 10;
  }
  return value;
}

demo::verdict judge(const demo::problem& p, const std::string& text, bool is_finished = true) {
  std::vector<lm::token> tokens;
  std::istringstream in(text);
  for (std::string word; in >> word;)
    for (lm::token t = 0; t < task.words().size(); ++t)
      if (task.words().word(t) == word) tokens.push_back(t);
  if (is_finished) tokens.push_back(vocabulary::end);
  return task.judge(p, tokens, is_finished);
}

}  // namespace

TEST_CASE("a problem has the answer that it says") {
  const auto check = [](const demo::chain& chain, std::int64_t least, std::int64_t most) {
    std::map<std::int64_t, int> steps;
    for (std::uint64_t i = 0; i < 500; ++i) {
      const auto p = chain.make_problem(1, i);
      CHECK(static_cast<std::int64_t>(p.prompt.size()) == most + 2);
      CHECK(chain.longest_prompt() == most + 2);
      CHECK(std::to_string(value_of(chain.words().text(p.prompt))) == p.reference);
      ++steps[p.steps];
      const auto solution = chain.make_solution(1, i);
      CHECK(static_cast<std::int64_t>(solution.reply.size()) <= chain.longest_reply());
    }
    CHECK(static_cast<std::int64_t>(steps.size()) == most - least + 1);
    for (const auto& [k, n] : steps)
      CHECK((k >= least && k <= most && n > 300 / (most - least + 1)));
  };
  check(task, 3, 7);
  check(demo::chain({}, demo::chain::longer), 4, 12);
}

TEST_CASE("the judgement") {
  auto p = task.make_problem(1, 0);
  p.reference = "2";
  const auto right = judge(p, "<think> one zwei </think> <answer> two </answer>");
  CHECK(right.strict == 1);
  CHECK(right.steps == 2);
  CHECK(right.answer == 2);
  CHECK(judge(p, "<think> one </think> <answer> zwei </answer>").strict == 1);
  CHECK(judge(p, "<think> one </think> <answer> three </answer>").accuracy == 0);
  CHECK(judge(p, "<think> one </think> <answer> three </answer>").format == 1);
  // right, but not in the form
  for (const char* s : {"one </think> <answer> two </answer>", "<think> one <answer> two </answer>",
                        "<answer> two </answer> <think> one </think>",
                        "<think> one </think> <answer> two </answer> two"}) {
    CAPTURE(s);
    const auto v = judge(p, s);
    CHECK(v.accuracy == 1);
    CHECK(v.format == 0);
    CHECK(v.strict == 0);
    CHECK(v.steps == 0);
  }
  CHECK_FALSE(judge(p, "one </think> <answer> two </answer>").has_think);
  for (const char* s : {"", "two", "<think> one </think> two </answer>",
                        "<think> one </think> <answer> two", "<answer> one two </answer>"}) {
    CAPTURE(s);
    CHECK(judge(p, s).accuracy == 0);
    CHECK(judge(p, s).format == 0);
  }
  CHECK(judge(p, "<think> one </think> <answer> two </answer>", false).format == 0);  // cut off
}

TEST_CASE("documents") {
  int tagged = 0, whole = 0, finished = 0, broken = 0;
  constexpr int n = 4000;
  for (std::uint64_t i = 0; i < n; ++i) {
    const auto d = task.make_document(3, i);
    CHECK(d.prompt.size() == 9);
    CHECK(static_cast<std::int64_t>(d.reply.size()) <= task.longest_reply());
    finished += d.reply.back() == vocabulary::end;
    demo::problem p{d.prompt, std::to_string(value_of(task.words().text(d.prompt))), {}, 0};
    const auto v = task.judge(p, d.reply, true);
    const std::string text = task.words().text(d.reply);
    const bool has_tags = text.find('<') != text.npos;
    tagged += has_tags;
    broken += has_tags && v.format == 0;
    whole += v.strict > 0;
  }
  CHECK(finished == n);
  CHECK(std::abs(tagged - n / 2) < 130);
  CHECK(std::abs(broken - n / 4) < 130);
  CHECK(whole > n / 50);  // full chains in the right form are there, but rare
  CHECK(whole < n / 8);
  CHECK(task.make_document(3, 5).reply == task.make_document(3, 5).reply);
}

TEST_CASE("solutions are right, in the form, and in the prompt's language") {
  int german = 0;
  for (std::uint64_t i = 0; i < 200; ++i) {
    const auto d = task.make_solution(4, i);
    demo::problem p;
    p.reference = std::to_string(value_of(task.words().text(d.prompt)));
    for (p.language = 0; p.language < 2; ++p.language) {
      const auto v = task.judge(p, d.reply, true);
      CHECK(v.strict == 1);
      CHECK(v.steps >= 3);
      CHECK((v.consistency == 0 || v.consistency == 1));
      if (p.language == 1) german += v.consistency == 1;
    }
  }
  CHECK((german > 60 && german < 140));
}

TEST_CASE("language consistency is the share of the thought's words") {
  auto p = task.make_problem(1, 0);
  p.language = 0;
  CHECK(judge(p, "<think> one two drei three </think> <answer> zwei </answer>").consistency ==
        0.75);
  p.language = 1;
  CHECK(judge(p, "<think> one two fünf three </think> <answer> zwei </answer>").consistency ==
        0.25);
  CHECK(judge(p, "<think> fünf <answer> zwei </answer>").consistency == 0);
}
