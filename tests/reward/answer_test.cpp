#include "answer_attacks.hpp"

#include <hence/reward/answer.hpp>

#include <doctest/doctest.h>
#include <string>

namespace reward = hence::reward;
namespace answer = hence::reward::answer;
using reward::compare_answers;
using reward::match;

namespace {

/// The strict rules, but that 17*23 is 391.
constexpr reward::answer_rules evaluated_or_not{
    reward::percents::hundredths, reward::units::must_agree, reward::unevaluated::accepted,
    reward::lists::in_order};

/// Judges a table of cases; how many there were.
template <std::size_t N> int judge_table(const fixture::answer_case (&cases)[N]) {
  for (const fixture::answer_case& c : cases) {
    const std::string shown = std::string(c.answer) + "  |  " + c.reference;
    const match found = compare_answers(c.answer, c.reference, answer::math);
    CHECK_MESSAGE(is_match(found) == c.equal, shown);
    const bool strict = is_match(compare_answers(c.answer, c.reference, answer::strict));
    CHECK_MESSAGE(strict == (c.equal != c.strict_differs), "strict: " << shown);
    // nobody reads behind the end of a text
    for (const char* behind : {"000", "5}{)\\%cm^2", "\\frac{1}{2}, 3"}) {
      const std::string answer_buffer = std::string(c.answer) + behind;
      const std::string reference_buffer = std::string(c.reference) + behind;
      const std::string_view a(answer_buffer.data(), std::string_view(c.answer).size());
      const std::string_view b(reference_buffer.data(), std::string_view(c.reference).size());
      CHECK_MESSAGE(compare_answers(a, b, answer::math) == found, shown);
    }
    // what is equal to itself: everything but nothing
    if (*c.reference != '\0' && c.equal)
      CHECK(is_match(compare_answers(c.reference, c.reference, answer::math)));
    for (const char* s : {c.answer, c.reference})
      CHECK_MESSAGE(is_match(compare_answers(s, s, answer::strict)) ==
                        is_match(compare_answers(s, s, answer::math)),
                    "strict, against itself: " << s);
    // rules that accept what is left to compute do not ask which of the two is the reference
    for (const reward::answer_rules& rules : {answer::math, evaluated_or_not})
      CHECK_MESSAGE(is_match(compare_answers(c.answer, c.reference, rules)) ==
                        is_match(compare_answers(c.reference, c.answer, rules)),
                    "turned: " << shown);
  }
  return static_cast<int>(N);
}

}  // namespace

TEST_CASE("the hand-decided cases") { CHECK(judge_table(fixture::answer_cases) >= 300); }

TEST_CASE("attacks on the comparison") { CHECK(judge_table(fixture::answer_attacks) >= 200); }

TEST_CASE("how two answers are equal") {
  const auto how = [](std::string_view a, std::string_view b) {
    return compare_answers(a, b, answer::math);
  };
  CHECK(how("B", "(B)") == match::same_choice);
  CHECK(how("A)", "[A]") == match::same_choice);
  CHECK(how("(J)", "J:") == match::same_choice);
  CHECK(how("J", "I") == match::different);
  CHECK(how("1/2", "0.5") == match::same_value);
  CHECK(how("1,2", "2,1") == match::same_parts);
  CHECK(how("x+1", "x + 1") == match::same_form);
  CHECK(how("1", "2") == match::different);
  CHECK(how(" ", "2") == match::no_answer);
  CHECK(how("2", "$$") == match::different);  // a text of two dollars, which normalises to nothing
  CHECK(how("2", "  ") == match::no_reference);
  CHECK(how("", "") == match::no_reference);
}

TEST_CASE("what is left to compute is its own form, and a reference may be left to compute") {
  for (const char* s : {"10^{23}", "2^3 \\cdot 3^2 \\cdot 5", "3 \\cdot \\sqrt{2}", "10^{-3}",
                        "5^{2}", "4/2", "17*23 \\text{ cm}", "50\\%+1\\%", "\\{2^3, 1\\}"}) {
    const std::string shown = s;
    CHECK_MESSAGE(is_match(compare_answers(s, s, answer::strict)), shown);
    CHECK_MESSAGE(is_match(compare_answers(" " + shown, shown + ".", answer::strict)), shown);
  }
  CHECK(compare_answers("10^{23}", "10^{23}", answer::strict) == match::same_form);
  CHECK(compare_answers("(2^3, 1)", "(2^{3}, 1)", answer::strict) == match::same_parts);
  CHECK(compare_answers("1000", "10^3", answer::strict) == match::same_value);
  CHECK(compare_answers("10^3", "1000", answer::strict) == match::different);
  CHECK(compare_answers("10^3", "10^4", answer::strict) == match::different);
  CHECK(compare_answers("4/2", "\\frac{4}{2}", answer::strict) == match::different);
  // texts that agree by their spaces do not make two values one
  CHECK(compare_answers("3\\,1/2", "31/2", answer::strict) == match::different);
  CHECK(compare_answers("2*3\\,1/2", "2*31/2", answer::strict) == match::different);
}

TEST_CASE("the rules, one by one") {
  using reward::answer_rules, reward::percents, reward::units, reward::unevaluated;
  const auto equal = [](std::string_view a, std::string_view b, answer_rules r) {
    return is_match(compare_answers(a, b, r));
  };
  const auto percent = [](percents p) {
    return answer_rules{p, units::may_be_missing, unevaluated::accepted, reward::lists::sets};
  };
  for (const auto p : {percents::hundredths, percents::sign_dropped, percents::either}) {
    CHECK(equal("50%", "50%", percent(p)));
    CHECK(equal("50%", "0.5", percent(p)) == (p != percents::sign_dropped));
    CHECK(equal("50%", "50", percent(p)) == (p != percents::hundredths));
    CHECK(equal("50", "50%", percent(p)) == (p != percents::hundredths));
    CHECK_FALSE(equal("50%", "0.5%", percent(p)));
  }
  const auto unit = [](units u) {
    return answer_rules{percents::either, u, unevaluated::accepted, reward::lists::sets};
  };
  for (const auto u : {units::must_agree, units::may_be_missing, units::dropped}) {
    CHECK(equal("5 cm", "5 centimeters", unit(u)));
    CHECK(equal("5 cm", "5", unit(u)) == (u != units::must_agree));
    CHECK(equal("5", "5 cm", unit(u)) == (u != units::must_agree));
    CHECK(equal("5 cm", "5 m", unit(u)) == (u == units::dropped));
    CHECK_FALSE(equal("5m", "5", unit(u)));
  }
  for (const auto order : {reward::lists::sets, reward::lists::in_order}) {
    const answer_rules r{percents::either, units::must_agree, unevaluated::refused, order};
    const bool sets = order == reward::lists::sets;
    CHECK(equal("1, 2", "1,2", r));
    CHECK(equal("2, 1", "1, 2", r) == sets);
    CHECK(equal("3 and 1 and 2", "1, 2, 3", r) == sets);
    CHECK(equal("\\{2, 1\\}", "\\{1, 2\\}", r));  // said to be sets
    CHECK(equal("\\{1, 2\\}", "1, 2", r));
    CHECK(equal("2, 1", "\\{1, 2\\}", r) == sets);  // braces do not make a list of any order
    CHECK(equal("\\{2, 1\\}", "1, 2", r) == sets);
    CHECK_FALSE(equal("(2, 1)", "(1, 2)", r));
    CHECK_FALSE(equal("1, 1", "1", r));
    CHECK(equal("[1,2] \\cup [3,4]", "[1,2]\\cup[3,4]", r));
  }
}

TEST_CASE("sets of up to 64 parts in any order, larger ones in the order given") {
  const auto list = [](int n, bool reversed) {
    std::string s;
    for (int i = 0; i < n; ++i)
      s += (i > 0 ? ", " : "") + std::to_string(1 + (reversed ? n - 1 - i : i));
    return s;
  };
  for (const int n : {2, 63, 64})
    CHECK(is_match(compare_answers(list(n, true), list(n, false), answer::math)));
  CHECK_FALSE(is_match(compare_answers(list(65, true), list(65, false), answer::math)));
  CHECK(is_match(compare_answers(list(65, false), list(65, false), answer::math)));
  CHECK_FALSE(is_match(compare_answers(list(65, false), list(66, false), answer::math)));
}

TEST_CASE("sets of up to 4096 bytes in any order, longer ones in the order given") {
  const std::string x(2000, 'x'), y(2096 - 3, 'y');  // and ", " with one byte more
  const std::string list = x + ", z" + y, turned = "z" + y + ", " + x;
  CHECK(list.size() == 4096);
  CHECK(is_match(compare_answers(turned, list, answer::math)));
  CHECK_FALSE(is_match(compare_answers(turned + "y", list + "y", answer::math)));
  CHECK_FALSE(is_match(compare_answers(turned + " ", list + "y", answer::math)));
  CHECK(is_match(compare_answers(list + "y", list + "y", answer::math)));
  // a million bytes in 64 parts that differ at their ends
  std::string a, b;
  for (int i = 0; i < 64; ++i) {
    a += (i > 0 ? ", " : "") + std::string(16000, 'x') + std::to_string(i);
    b += (i > 0 ? ", " : "") + std::string(16000, 'x') + std::to_string(63 - i);
  }
  CHECK_FALSE(is_match(compare_answers(a, b, answer::math)));
  CHECK(is_match(compare_answers(a, a, answer::math)));
}

TEST_CASE("the accuracy reward of a whole response") {
  const auto r = [](std::string_view s) {
    return accuracy_reward(reward::extract::last_boxed{}, s, "\\frac{1}{2}", answer::math);
  };
  CHECK(r("so \\boxed{0.5}.") == 1.0);
  CHECK(r("so \\boxed{0.6}.") == 0.0);
  CHECK(r("so 0.5") == 0.0);
  CHECK(r("\\boxed{0.5} no, \\boxed{2}") == 0.0);
  CHECK(r("\\boxed{0.5} or \\boxed{") == 0.0);
}

TEST_CASE("constant expressions") {
  static_assert(is_match(compare_answers("\\frac{1}{2}", "0.5", answer::math)));
  static_assert(!is_match(compare_answers("\\frac{1}{2}", "0.6", answer::math)));
}
