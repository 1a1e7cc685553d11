// Countdown and addition: problems have the answer they say, the worked documents are right, and
// the judgement tells right from wrong.
#include "rl/addition.hpp"
#include "rl/countdown.hpp"

#include <doctest/doctest.h>

#include <sstream>

namespace {

using demo::vocabulary;

demo::verdict judge(const demo::word_task& task, const demo::problem& p, const std::string& text) {
  std::vector<lm::token> tokens;
  std::istringstream in(text);
  for (std::string word; in >> word;)
    for (lm::token t = 0; t < task.words().size(); ++t)
      if (task.words().word(t) == word) tokens.push_back(t);
  tokens.push_back(vocabulary::end);
  return task.judge(p, tokens, true);
}

/// How many of the documents are right in the form, right without it, and without tags.
struct census {
  int strict = 0, right = 0, raw = 0;
  census(const demo::word_task& task, int n) {
    for (int i = 0; i < n; ++i) {
      const auto index = static_cast<std::uint64_t>(i);
      const auto d = task.make_document(5, index);
      CHECK(static_cast<std::int64_t>(d.reply.size()) <= task.longest_reply());
      CHECK(static_cast<std::int64_t>(d.prompt.size()) <= task.longest_prompt());
      CHECK(d.reply.back() == vocabulary::end);
      raw += task.words().text(d.reply).find('<') == std::string::npos;
    }
  }
};

}  // namespace

TEST_CASE("addition") {
  const demo::addition task;
  for (std::uint64_t i = 0; i < 300; ++i) {
    const auto p = task.make_problem(2, i);
    CHECK(p.prompt.size() == 10);
    CHECK(p.reference == std::to_string(p.numbers[0] + p.numbers[1]));
    CHECK((p.numbers[0] >= 10 && p.numbers[0] < 10000));
  }
  auto p = task.make_problem(2, 0);
  p.reference = "170";
  const auto v = judge(task, p, "<think> 0 c1 7 c0 1 c0 </think> <answer> 1 7 0 </answer>");
  CHECK(v.strict == 1);
  CHECK(v.steps == 3);
  CHECK(v.answer == 170);
  CHECK(judge(task, p, "<think> 0 c1 </think> <answer> 1 7 1 </answer>").accuracy == 0);
  CHECK(judge(task, p, "<think> 0 c1 </think> <answer> 1 7 + 0 </answer>").accuracy == 0);
  const auto loose = judge(task, p, "0 c1 </think> <answer> 1 7 0 </answer>");
  CHECK((loose.accuracy == 1 && loose.format == 0 && !loose.has_think));
  const census c(task, 1000);
  CHECK((c.raw > 400 && c.raw < 600));
}

TEST_CASE("countdown") {
  const demo::countdown task;
  demo::problem p;
  p.numbers = {3, 8, 2};
  p.reference = "22";
  const auto v = judge(task, p,
                       "<think> 3 + 8 = 11 - 2 = 9 ; 3 + 8 = 11 * 2 = 22 ; </think> "
                       "<answer> ( 3 + 8 ) * 2 </answer>");
  CHECK(v.strict == 1);
  CHECK(v.steps == 2);
  CHECK(v.answer == 22);
  CHECK(judge(task, p, "<think> ; </think> <answer> 2 * ( 8 + 3 ) </answer>").answer == 22);
  for (const char* s : {"22", "( 3 + 8 ) * 3", "( 3 + 8 ) + 2", "( 3 + 8 * 2", "2 * 8 + 3 + 3"}) {
    CAPTURE(s);
    const auto wrong =
        judge(task, p, "<think> ; </think> <answer> " + std::string(s) + " </answer>");
    CHECK(wrong.format == 1);
    CHECK(wrong.accuracy == 0);
    CHECK(wrong.answer >= 1000);
  }
  const census c(task, 1000);
  CHECK((c.raw > 400 && c.raw < 600));
  // worked documents end with the target
  for (std::uint64_t i = 0; i < 300; ++i) {
    const auto d = task.make_document(7, i);
    const std::string text = task.words().text(d.reply);
    if (text.find('<') != text.npos) continue;
    const std::string prompt = task.words().text(d.prompt);
    CHECK(text.ends_with("= " + prompt.substr(prompt.rfind(' ') + 1) + " ;"));
  }
}
