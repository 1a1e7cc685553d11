#include <hence/reward/normal_text.hpp>

#include <doctest/doctest.h>
#include <random>
#include <string>
#include <vector>

namespace reward = hence::reward;
using reward::hash_text;
using reward::same_text;

namespace {

std::string normal(std::string_view s) {
  std::string out;
  const std::vector<char> alone(s.begin(), s.end());  // the sanitizers see its end
  reward::detail::normal_reader<hence::native_isa> reader({alone.data(), alone.size()});
  for (int c = reader.next(); c >= 0; c = reader.next()) out += static_cast<char>(c);
  return out;
}

}  // namespace

TEST_CASE("what ends in the middle of something is read to its end") {
  const std::string_view long_one = "\\frac \\text {x} \\sqrt 2 ^{3}, \\! 234 word";
  for (std::size_t size = 0; size <= long_one.size(); ++size)
    CHECK(normal(long_one.substr(0, size)).size() <= 2 * size + 8);
  CHECK(normal("\\sqrt") == normal("\\sqrt "));
  CHECK(normal("x^{2}+1") == "x^2+1");
  CHECK(normal("\\sqrt 2") == normal("\\sqrt{2}"));
  CHECK(normal("\\frac 1 2") == normal("\\frac{1}{2}"));
  using namespace std::string_view_literals;
  CHECK(hash_text("a\0b"sv) != hash_text("a\0c"sv));
  CHECK(!same_text("a\0b"sv, "a\0c"sv));
}

TEST_CASE("one spelling for each") {
  CHECK(normal("x + 1") == "x+1");
  CHECK(normal("1 2") == "1 2");
  CHECK(normal("1\\,2") == "12");
  for (const char* s : {"1~2", "1\\ 2", "1\\;2", "1\\:2", "1\\quad2", "$1$ $2$", "1$2",
                        "\\text{1} 2", "\\text{1 }2", "1\n2"})
    CHECK_MESSAGE(normal(s) == "1 2", s);
  CHECK(normal("1\\left 2") == "1 2");
  CHECK(normal("1\\left2") == "1 2");
  CHECK(normal("1, 234") == "1, 234");
  CHECK(normal("1,234") == "1,234");
  CHECK(normal("1,\\! 234") == "1,234");
  CHECK(normal("1, \\! 234") == "1, 234");
  CHECK(normal("1\\! 2") == "1 2");
  CHECK(normal("1, 23") == "1,23");
  CHECK(normal("1, 2345") == "1,2345");
  CHECK(normal("1. 5") == "1. 5");
  CHECK(normal("1 .5") == "1 .5");
  CHECK(normal("x .5") == "x0.5");
  CHECK(normal("1 x 2") == "1x2");
  CHECK(normal("\\text{ab}c") == "abc");
  CHECK(normal("\\text{a{b}c}d") == "a{b}cd");
  CHECK(normal("\\dfrac12") == "\\frac{1}{2}");
  CHECK(normal("\\frac{1}{2}") == "\\frac{1}{2}");
  CHECK(normal("\\sqrt3") == "\\sqrt{3}");
  CHECK(normal("x^{2}") == "x^2");
  CHECK(normal("x^{23}") == "x^{23}");
  CHECK(normal("x\u00B2") == "x^2");
  CHECK(normal("x\u00B3") == "x^3");
  CHECK(normal("x\u2074") == normal("x^{4}"));
  CHECK(normal("x\u00B9\u2070") == normal("x^{10}"));
  CHECK(normal("x\u207B\u00B9") == normal("x^{-1}"));
  CHECK(normal("x\u207A\u2079") == "x^{+9}");
  CHECK(normal("na\u207A") == "na\u207A");
  const std::string nines = "\u2079\u2079\u2079\u2079\u2079\u2079\u2079\u2079";
  CHECK(normal("x\u207B" + nines + nines + "\u2078") == "x^{-9999999999999999}^8");
  CHECK(normal("x \\times \u03C0") == "x*\x10");
  CHECK(normal("x\u00F7y\u2212z") == "x/y-z");
  CHECK(normal(".5x") == "0.5x");
  CHECK(normal("1.5x") == "1.5x");
  CHECK(normal("Yes") == "yes");
  CHECK(normal("AB") == "AB");
  CHECK(normal("No") == "no");
  CHECK(normal("$x$") == "x");
  CHECK(normal("\\alpha x") == "\\alpha\x11x");
  CHECK(normal("\\left(x\\right)") == "(x)");
  CHECK(normal("\\leftarrow") == "\\leftarrow\x11");
  CHECK(normal("a\\\\ b") == normal("a\\\\b"));
  CHECK(normal("}{") == "}{");
  CHECK(normal("}\\text{a}") == "}a");
  CHECK(normal("\\text{a}{b}") == "a{b}");
  CHECK(normal("\\text{a") == "a{");  // not closed: not the same as a
  CHECK(normal("\\text{a}}") == "a}");
  CHECK(normal("\\text{\\text{a}") == "a{");
  CHECK(normal("\\text{\\text{a}}") == "a");
  CHECK(normal("\\text") == "");
  CHECK(normal("\\text {a}b") == "ab");
  CHECK(normal("\\text a") == "a");
  CHECK(normal("1\\!2") == "12");
  CHECK(normal("1, 2x4") == "1,2x4");
  CHECK(normal("1, x") == "1,x");
  CHECK(normal("\\") == "\\\x11");
}

TEST_CASE("braces that tell texts apart stay, to any depth") {
  CHECK_FALSE(same_text("\\frac{a}{bc}", "\\frac{ab}{c}"));
  for (const int depth : {1, 63, 64, 65, 200}) {
    std::string open, close;
    for (int i = 0; i < depth; ++i) open += "{", close += "}";
    CHECK(same_text(open + "x" + close, open + " x " + close));
    CHECK_FALSE(same_text(open + "x" + close, open + "x" + close + "}"));
  }
}

TEST_CASE("nothing is equal to nothing") {
  CHECK_FALSE(same_text("", ""));
  CHECK_FALSE(same_text(" ", "$$"));
  CHECK_FALSE(same_text("a", ""));
  CHECK_FALSE(same_text(std::string("a\0b", 3), std::string("a\0c", 3)));
}

TEST_CASE("the form of a normal form, equality and the hash agree") {
  const char* pieces[] = {"\\text{", "}",      "{",   "x",    "Ab",    "1", " ",
                          "\\frac",  "\\sqrt", "^",   "_",    "\\,",   "$", ".",
                          "\u00B2",  "\\",     "abc", "\xFF", "\\leq", "<="};
  std::mt19937 random(3);
  int equal = 0;
  for (int i = 0; i < 50000; ++i) {
    std::string a, b;
    for (auto n = random() % 5; n > 0; --n) a += pieces[random() % 20];
    for (auto n = random() % 5; n > 0; --n) b += pieces[random() % 20];
    const std::string x = normal(a), y = normal(b);
    CHECK(x.size() <= 3 * a.size() + 8);
    CHECK(same_text(a, b) == (x == y && !x.empty()));
    CHECK((hash_text(a) == hash_text(b)) == (x == y));
    equal += x == y;
  }
  CHECK(equal > 100);
}

TEST_CASE("a plus before infinity is left out where a term begins, and nowhere else") {
  for (const char* before : {"", "(", "[", ",", "x,"}) {
    const std::string b = before;
    CHECK(reward::same_text(b + "+\\infty", b + "\\infty"));
    CHECK(reward::same_text(b + "+ \\,\u221E)", b + "\\infty)"));
    CHECK(reward::same_text(b + "+\u221E)", b + "\\infty)"));
    CHECK_FALSE(reward::same_text(b + "+\\inftyx", b + "\\inftyx"));
    CHECK_FALSE(reward::same_text(b + "-\\infty", b + "\\infty"));
    CHECK_FALSE(reward::same_text(b + "+x", b + "x"));
  }
  for (const char* before : {"x", "5", ")", "]", "+", "-", "\\pi", "="})
    CHECK_FALSE(
        reward::same_text(before + std::string("+\\infty"), before + std::string("\\infty")));
}

TEST_CASE("a word is no symbol because it begins with one") {
  CHECK_FALSE(reward::same_text("pint", "\u03C0nt"));
  CHECK_FALSE(reward::same_text("\\pix", "\\pi x"));
  CHECK_FALSE(reward::same_text("\\timesx", "\\times x"));
  CHECK_FALSE(reward::same_text("sqrtx", "\\sqrt{x}"));
  CHECK(reward::same_text("\\piR", "\\pi R"));  // as in \piR^2: a capital begins another
  CHECK(reward::same_text("pi", "\u03C0"));
  CHECK(reward::same_text("2pi+x", "2\u03C0+x"));
}
