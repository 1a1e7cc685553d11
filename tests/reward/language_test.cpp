#include <hence/reward/language.hpp>

#include <doctest/doctest.h>
#include <array>
#include <string>

namespace reward = hence::reward;
namespace language = hence::reward::language;
using reward::count_words;
using reward::script;

namespace {

constexpr language::scripts english{script::latin}, chinese{script::han};

void check(std::string_view s, std::int64_t target, std::int64_t words,
           language::scripts rule = english) {
  const auto c = count_words(s, rule);
  CHECK_MESSAGE(c.target == target, std::string(s));
  CHECK_MESSAGE(c.words == words, std::string(s));
}

}  // namespace

TEST_CASE("words are runs of letters of one script") {
  check("", 0, 0);
  check("one two three", 3, 3);
  check("it's the teacher\u2019s", 3, 3);
  check("na\u00EFve cafe\u0301 x2y", 4, 4);
  check("123 + 456 = 579.", 0, 0);
  check("hello \u043C\u0438\u0440", 1, 2);
  check("hello\u043C\u0438\u0440", 1, 2);
  check("so \u6240\u4EE5 it", 2, 4);  // two ideographs are two words
  check("\u6240\u4EE5\u3002so", 2, 3, chinese);
  check("\u0644\u0627", 0, 1);
  check("don't' 'tis", 2, 2);
  check("don'", 1, 1);
  check("caf\u00E9's", 1, 1);
  check("\\\\a\\,b\\'c", 2, 2);
  check("a\\alpha", 1, 1);
  check("a\\", 1, 1);
  check(
      "\xFF\xFE"
      "a\xC3",
      1, 1);
}

TEST_CASE("code, formulas and commands hold no words") {
  check("let `for x in y` be", 2, 2);
  check("so ```python\nprint('\u4E2D')\n``` ok", 2, 2);
  check("so $x + \\text{y}$ and $$abc$$ ok", 3, 3);
  check("so \\(abc\\) and \\[def\\] ok", 3, 3);
  check("so \\frac{1}{2} ok", 2, 2);
  // nobody hides words behind an end that does not come
  check("so ```\u4E2D\u6587", 1, 3);
  check("so $\u4E2D\u6587", 1, 3);
  check("so $\u4E2D\n\u6587$", 1, 3);
  check("so \\(\u4E2D \\[\u6587 $$\u5B57", 1, 4);
  check("pay $5 now", 2, 2);
  check("pay \\$5 now \u4E2D \\$6", 2, 3);
  check("``` a ``` b", 1, 1);
}

TEST_CASE("a list of words, and a classifier of one's own") {
  const std::array<std::string_view, 3> sorted{"and", "so", "the"};
  const std::string prose = "The cat AND the dog, so";
  const auto c = count_words(prose, language::word_list{sorted});
  const std::string near = "an andy sO son th thea aaa zzz";  // beside the list's words
  CHECK(count_words(near, language::word_list{sorted}).target == 1);
  CHECK(c.target == 4);
  CHECK(c.words == 6);
  // the list's words may be cut out of a text: what stands behind them does not count
  const std::string_view buffer = "anzand";
  const std::array<std::string_view, 3> cut{"aa", buffer.substr(0, 2), buffer.substr(3)};
  CHECK(count_words("and", language::word_list{cut}).target == 1);
  CHECK(count_words("an", language::word_list{cut}).target == 1);
  CHECK(count_words("anz", language::word_list{cut}).target == 0);
  // so is the thought's word: what follows it is not compared
  const std::array<std::string_view, 2> stem{"an", "and"};
  CHECK(count_words("an~", language::word_list{stem}).target == 1);
  CHECK(count_words("so'5", language::word_list{sorted}).target == 1);
  const auto by_length =
      count_words("a bb ccc", [](std::string_view w, script) { return w.size() > 1; });
  CHECK(by_length.target == 2);
  CHECK(count_words("a", language::word_list{}).target == 0);
}

TEST_CASE("the reward is the share; without words it is what the caller says") {
  CHECK(reward::language_reward("so \u6240\u4EE5 it", english, 0.0) == 0.5);
  CHECK(reward::language_reward("1 + 1", english, 0.25) == 0.25);
  CHECK(reward::language_reward("", english, 1.0) == 1.0);
}

TEST_CASE("texts without a byte behind them, as constant expressions") {
  // the compiler lets nothing behind an array be read
  static constexpr char backslash[] = {'a', '\\'}, quote[] = {'a', '\''}, cut[] = {'a', '\xE4'};
  static_assert(count_words({backslash, 2}, english).words == 1);
  static_assert(count_words({quote, 2}, english).words == 1);
  static_assert(count_words({cut, 2}, english).words == 1);
  static constexpr char command[] = {'\\', 'a'}, formula[] = {'$', 'a'};
  static_assert(count_words({command, 2}, english).words == 0);
  static_assert(count_words({formula, 2}, english).words == 1);
}

TEST_CASE("a million openings in linear time") {
  for (const char* piece : {"`", "```", "$", "$$ ", "\\(", "\\[", "\\", "$\n", "`\n", "a$",
                            "\u4E2D", "\xE4", "\u0301"}) {
    std::string s;
    while (s.size() < 1000000) s += piece;
    const auto c = count_words(s, english);
    CHECK(c.target <= c.words);
  }
}
