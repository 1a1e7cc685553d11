// What a policy may write to be rewarded for nothing, each with its decided outcome
// (docs/rewards.md has the table). Every text is judged as a whole response: format, extraction,
// comparison.

#include <hence/reward/answer.hpp>
#include <hence/reward/format.hpp>

#include <doctest/doctest.h>
#include <string>

namespace reward = hence::reward;
namespace answer = hence::reward::answer;
namespace extract = hence::reward::extract;
namespace format = hence::reward::format;

namespace {

/// The accuracy of a response under R1-Zero's lenient template.
double judge(const std::string& s, std::string_view reference) {
  const auto r = reward::parse(format::r1_zero{reward::matching::lenient}, s);
  return accuracy_reward(extract::boxed_or_whole{}, r.answer, reference, answer::math);
}
std::string answered(const std::string& a) { return "<think>t</think><answer>" + a + "</answer>"; }
std::string repeated(const std::string& s, std::size_t bytes) {
  std::string out;
  out.reserve(bytes + s.size());
  while (out.size() < bytes) out += s;
  return out;
}

}  // namespace

TEST_CASE("the control: a right answer is right") {
  CHECK(judge(answered("5"), "5") == 1.0);
  CHECK(judge(answered("so \\boxed{5}"), "5") == 1.0);
}

TEST_CASE("where the answer stands") {
  CHECK(judge("<think>the answer is <answer>5</answer></think>", "5") == 0.0);
  CHECK(judge("<think>\\boxed{5}</think><answer>6</answer>", "5") == 0.0);
  CHECK(judge("<think><answer>5</answer></think><answer>6</answer>", "5") == 0.0);
  CHECK(judge("<think>t</think>5", "5") == 0.0);
  CHECK(judge("5", "5") == 0.0);
  CHECK(judge("<think>t</think><answer>5", "5") == 0.0);
  CHECK(judge("<think>t</think><answer>4</answer><answer>5</answer>", "5") == 1.0);  // the last
}

TEST_CASE("several answers in one tag") {
  for (const char* s : {"4 5", "4, 5", "4 or 5", "4 and 5", "5 or 4", "5, 4", "{4,5}", "4/5", "4;5",
                        "4\n5", "5\n5 5", "5 = 4", "4 \\text{ or } 5", "1 2 3 4 5 6 7 8 9"})
    CHECK_MESSAGE(judge(answered(s), "5") == 0.0, std::string(s));
  CHECK(judge(answered("\\boxed{4} \\boxed{5}"), "5") == 1.0);  // last_boxed: the last counts
  CHECK(judge(answered("\\boxed{5} \\boxed{4}"), "5") == 0.0);
  CHECK(reward::find_answer(extract::only_boxed{}, "\\boxed{4} \\boxed{5}").fault ==
        reward::extract_fault::several);
}

TEST_CASE("a box is the answer, whatever stands beside it") {
  CHECK(judge(answered("\\boxed{5} or 6"), "5") == 1.0);
  CHECK(judge(answered("6, not \\boxed{5}"), "5") == 1.0);
  CHECK(judge(answered("\\boxed{5} or 6"), "6") == 0.0);
  const auto whole = [](std::string_view s) {
    return accuracy_reward(extract::whole{}, s, "5", answer::math);
  };
  CHECK(whole("\\boxed{5}") == 1.0);
  CHECK(whole("\\boxed{5} or 6") == 0.0);
  CHECK(whole("\\boxed{5} \\boxed{5}") == 0.0);
}

TEST_CASE("a thought of one invisible character is a thought") {
  CHECK(judge("<think>\u200B</think><answer>5</answer>", "5") == 1.0);
  CHECK(judge("<think> \n</think><answer>5</answer>", "5") == 0.0);
  CHECK(judge("<think></think><answer>5</answer>", "5") == 0.0);
  CHECK(judge("<think>t</think><answer>\u200B</answer>", "5") == 0.0);
}

TEST_CASE("one answer for several references") {
  // what the named rules allow, and nothing else does
  CHECK(judge(answered("50%"), "0.5") == 1.0);
  CHECK(judge(answered("50%"), "50") == 1.0);
  CHECK(is_match(compare_answers("50%", "50", answer::strict)) == false);
  for (const char* s : {"3-1", "3m", "y = 5", "(1,234)", "$1$ $2$", "1, 234", "x=2, y=1"})
    for (const char* reference : {"2", "2-0", "3", "x = 5", "1234", "12", "1,234", "x=1, y=2"})
      CHECK_MESSAGE(judge(answered(s), reference) == 0.0, s << " for " << reference);
}

TEST_CASE("zero denominators and what has no value") {
  for (const char* s : {"1/0", "0/0", "\\frac{0}{0}", "5/0*0", "0^0", "\\sqrt{-25}", "5+0/0",
                        "1e999", "nan", "inf"})
    CHECK_MESSAGE(judge(answered(s), "5") == 0.0, std::string(s));
  CHECK(judge(answered("1/0"), "0") == 0.0);
  CHECK(judge(answered("0/0"), "0") == 0.0);
}

TEST_CASE("huge numbers are compared as text, not rounded") {
  const std::string nines = repeated("9", 1000);
  CHECK(judge(answered(nines), nines) == 1.0);
  CHECK(judge(answered(nines + "8"), nines + "9") == 0.0);
  CHECK(judge(answered("0." + repeated("3", 1000)), "1/3") == 0.0);
  CHECK(judge(answered("1e100000000"), "5") == 0.0);
  CHECK(judge(answered("2^{2^{2^{2^{2}}}}"), "5") == 0.0);
  CHECK(judge(answered("10^{1000000}"), "5") == 0.0);
}

TEST_CASE("look-alikes, invisible characters and text from right to left") {
  for (const char* s :
       {"\u0665", "\u06F5", "\uFF15", "\u2464", "\u2075", "\U0001D7D3", "5\u200B", "\u200D5",
        "\uFEFF5", "\u202E5\u202C", "\u20665\u2069", "5\u0301", "\u00A05"})
    CHECK_MESSAGE(judge(answered(s), "5") == 0.0, std::string(s));
  CHECK(judge(answered("\u0410"), "A") == 0.0);  // Cyrillic A
  CHECK(judge(answered("\u202E21"), "12") == 0.0);
}

TEST_CASE("broken UTF-8") {
  for (const char* s : {"5\xFF",
                        "\xFF"
                        "5",
                        "5\xC3",
                        "\xE2\x88"
                        "5",
                        "\xC0\xB5", "5\xED\xA0\x80"})
    CHECK_MESSAGE(judge(answered(s), "5") == 0.0, std::string(s));
  const std::string zero("5\0", 2);
  CHECK(judge(answered(zero), "5") == 0.0);
}

TEST_CASE("tags inside of tags, and what is almost a tag") {
  for (const char* s :
       {"<think>t</think><answer >5</answer>", "<think>t</think><ANSWER>5</ANSWER>",
        "<think>t</think>&lt;answer&gt;5&lt;/answer&gt;", "<think>t</think><answer>5</ answer>",
        "<think>t</think><answer><answer></answer>5</answer>", "</think><answer>5</answer><think>"})
    CHECK_MESSAGE(judge(s, "5") == 0.0, std::string(s));
}

TEST_CASE("echoing the question") {
  const reward::answer_rules rules = answer::strict;
  for (const char* s : {"17*23", "17 \\times 23", "17\\cdot23", "(17)(23)", "400-9", "19.774^2",
                        "782/2", "\\frac{782}{2}", "400 - 9", "\\sqrt{152881}", "391^1", "--391",
                        "-(-391)", "\\sqrt{17}\\sqrt{8993}", "391\u00B9", "x = 17*23"})
    CHECK_MESSAGE(is_match(compare_answers(s, "391", rules)) == false, std::string(s));
}

TEST_CASE("echoing what is to be sorted") {
  CHECK(is_match(compare_answers("3, 1, 2", "1, 2, 3", answer::strict)) == false);
  CHECK(is_match(compare_answers("1, 2, 3", "1, 2, 3", answer::strict)));
  CHECK(is_match(compare_answers("3, 1, 2", "1, 2, 3", answer::math)));  // solutions of an equation
}

TEST_CASE("a million of anything ends, and earns nothing") {
  for (const char* piece :
       {"{",      "}",        "(",       ")",  "\\{", "\\boxed{", "\\text{",  "\\frac{", "\\frac",
        "\\sqrt", "\\sqrt[",  "-",       "+5", "5,",  "5 or ",    "$",        "`",       "\\",
        "<",      "<answer>", "<think>", "9",  "0.",  "5^",       "1/",       "\\left(", "\u202E",
        "\xF0",   "x=",       "cm ",     " ",  "\n",  "\\cup ",   "\\text{5}"}) {
    const std::string s = repeated(piece, 1000000);
    CHECK_MESSAGE(judge(answered(s), "5") == 0.0, std::string(piece));
    // a repeated <answer> opens the last one: what it holds is the answer
    const double last = std::string_view(piece) == "<answer>" ? 1.0 : 0.0;
    CHECK_MESSAGE(judge(answered("5" + s + "5"), "5") == last, std::string(piece));
    CHECK_MESSAGE(judge(answered("\\boxed{" + s + "}"), "5") == 0.0, std::string(piece));
    CHECK(is_match(compare_answers("5", s, answer::math)) == false);
    CHECK(judge(s, "5") == 0.0);
  }
}

TEST_CASE("every text equals itself or nothing, never another by chance") {
  // a reference that is itself hostile neither matches everything nor ends the program
  for (const char* s : {"", " ", "$", "$$", "\\text{}", "{}", "()", "\\", "%", "cm", ",", "."}) {
    CHECK_MESSAGE(judge(answered("5"), s) == 0.0, std::string(s));
    CHECK_MESSAGE(judge(answered("x"), s) == 0.0, std::string(s));
  }
}
