#include <hence/reward/expression.hpp>

#include <doctest/doctest.h>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace reward = hence::reward;
using reward::evaluate_exactly;
using reward::exact;
using reward::exact_fault;
using reward::grammar;

namespace {

exact make(reward::wide a, reward::wide b = 1, std::uint64_t n = 1, int k = 0) {
  return {a, b, n, k, exact_fault::none};
}
bool is(std::string_view s, exact want) { return evaluate_exactly(s, grammar::answer) == want; }
exact_fault fault(std::string_view s, grammar g = grammar::answer) {
  return evaluate_exactly(s, g).fault;
}

}  // namespace

TEST_CASE("numbers") {
  CHECK(is("0", make(0)));
  CHECK(is("007", make(7)));
  CHECK(is("-5", make(-5)));
  CHECK(is("+5", make(5)));
  CHECK(is("--5", make(5)));
  CHECK(is("\u22125", make(-5)));
  CHECK(is("0.5", make(1, 2)));
  CHECK(is(".5", make(1, 2)));
  CHECK(is("5.", make(5)));
  CHECK(is("2.50", make(5, 2)));
  CHECK(is("1.5e3", make(1500)));
  CHECK(is("15E-1", make(3, 2)));
  CHECK(is("1e+2", make(100)));
  CHECK(is("0e99999", make(0)));
  CHECK(is("1,234", make(1234)));
  CHECK(is("1,234,567.5", make(2469135, 2)));
  CHECK(is("12,345", make(12345)));
  CHECK(is("123,456", make(123456)));
  CHECK(is("(10{,}000)", make(10000)));
  CHECK(fault("(1,234)") == exact_fault::syntax);  // a pair
  CHECK(is("10{,}000", make(10000)));
  CHECK(is("10,\\!000", make(10000)));
  CHECK(is("10,\\! 000", make(10000)));
  CHECK(is("10,\\!  000", make(10000)));
  CHECK(!is("10, 000", make(10000)));
  CHECK(!is("10\\, 000", make(10000)));
  const std::string_view more = "10,\\! 000 5";
  for (std::size_t size = 0; size < 9; ++size) {
    CHECK(!is(more.substr(0, size), make(10000)));
    const std::vector<char> alone(more.begin(), more.begin() + std::ptrdiff_t(size));
    CHECK(!is({alone.data(), size}, make(10000)));  // the sanitizers see its end
  }
  CHECK(is("10\\,000", make(10000)));
  CHECK(is("3 1/2", make(7, 2)));
  CHECK(is("-3 1/2", make(-7, 2)));
  CHECK(is("3\\frac{1}{2}", make(7, 2)));
  CHECK(is("3\\frac12", make(7, 2)));
  CHECK(is("3\\frac{ 1 }{ 2 }", make(7, 2)));
  CHECK(is("3 \\frac {1} {2}", make(7, 2)));
  CHECK(is("3\u00BD", make(7, 2)));
  CHECK(is("3 \u00BD", make(7, 2)));
  CHECK(is("\u00BE", make(3, 4)));
  CHECK(is("3\\frac{0}{2}", make(0)));
  CHECK(is("3\\frac{2}{2}", make(3)));
  CHECK(fault("3 0/2") == exact_fault::syntax);
  CHECK(is("3 /2", make(3, 2)));
  CHECK(fault("3 1/") == exact_fault::syntax);
  CHECK(fault("3\\frac{}{2}") == exact_fault::syntax);
  CHECK(fault("3.5 1/2") == exact_fault::syntax);  // no decimal is part of a mixed number
  CHECK(is("3.5\\frac{1}{2}", make(7, 4)));
  CHECK(is("3\\frac{3}{2}", make(9, 2)));  // not a proper fraction: a product
}

TEST_CASE("what is no number") {
  for (const char* s : {"",
                        " ",
                        ".",
                        "-",
                        "1,23",
                        "1,2345",
                        "0,123",
                        "1 2",
                        "1.2.3",
                        "1e",
                        "x",
                        "3~",
                        ".x",
                        "(1",
                        "1)",
                        "1+",
                        "*1",
                        "2**3",
                        "1//2",
                        "\\frac{1}",
                        "\\sqrt",
                        "\\frac",
                        "{",
                        "}",
                        "\\",
                        "^2",
                        "2^",
                        "2^3^2",
                        "\u0663",
                        "\uFF13",
                        "1\u200B2",
                        "\u202E12",
                        "3 1/",
                        "1e5e5",
                        "1\xFF",
                        "()",
                        "\\sqrt[2",
                        "\\leftarrow 5",
                        "1 000",
                        "+.",
                        "3~",
                        ".x",
                        "3\\frac",
                        "3\\frac x",
                        "3\\frac{1}x",
                        "3 99999999999999999999999999999999999999999/7",
                        "1ex",
                        "1e+",
                        "3 \u00D7",
                        "\\frac{1}{",
                        "3\\frac{x}{2}",
                        "3\\frac{1}{x}",
                        "\\frac{",
                        "\\sqrt{",
                        "\\sqrt x",
                        "2^-",
                        "2^x"})
    CHECK_MESSAGE(fault(s) == exact_fault::syntax, s);
  CHECK(fault("1/0") == exact_fault::division_by_zero);
  CHECK(fault("\\frac{1}{0}") == exact_fault::division_by_zero);
  CHECK(fault("\\frac{1}{1-1}") == exact_fault::division_by_zero);
  CHECK(fault("0^0") == exact_fault::division_by_zero);
  CHECK(fault("1e400") == exact_fault::overflow);
  CHECK(fault("1e-400") == exact_fault::overflow);
  CHECK(fault("2^{10^{10}}") == exact_fault::overflow);
  CHECK(is("1234567890123456789000000000000000000",
           multiply(make(1234567890123456789), power(make(10), 18))));
  CHECK(fault("1234567890123456789012345678901234567890") == exact_fault::overflow);
  CHECK(fault("661221407600221407600000000000.0010000000") ==
        exact_fault::overflow);  // found by fuzzing
  CHECK(fault("1,234,567,890,123,456,789,012,345,678,901,234,567,890") == exact_fault::overflow);
  CHECK(fault("0.00000000000000000000000000000000000001") == exact_fault::overflow);  // 38 places
  CHECK(is("0.0000000000000000000000000000000000001", power(make(10), -37)));
  CHECK(fault("1e99999999999999999999999999999999999999999") == exact_fault::overflow);
  CHECK(fault("2^{127}") == exact_fault::overflow);
  CHECK(fault("2^{1/127}") == exact_fault::not_exact);
  CHECK(fault("\\sqrt[127]{2}") == exact_fault::not_exact);
  CHECK(fault("1+\\sqrt{2}") == exact_fault::not_exact);
  CHECK(fault("\\sqrt{-1}") == exact_fault::not_exact);
  CHECK(fault("\\sqrt[0]{2}") == exact_fault::not_exact);
}

TEST_CASE("expressions") {
  CHECK(is("\\frac{3}{4}", make(3, 4)));
  CHECK(is("\\dfrac{-3}{6}", make(-1, 2)));
  CHECK(is("-\\tfrac 1 2", make(-1, 2)));
  CHECK(is("\\frac{\\sqrt{3}}{3}", make(1, 3, 3)));
  CHECK(is("\\frac{1}{\\sqrt{3}}", make(1, 3, 3)));
  CHECK(is("2\\sqrt{12}", make(4, 1, 3)));
  CHECK(is("\\sqrt2", make(1, 1, 2)));
  CHECK(is("\u221A2", make(1, 1, 2)));
  CHECK(is("sqrt(8)/2", make(1, 1, 2)));
  CHECK(is("\\sqrt[3]{27}", make(3)));
  CHECK(is("8^{1/3}", make(2)));
  CHECK(is("8^{-\\frac23}", make(1, 4)));
  CHECK(is("2^10", make(1024)));
  CHECK(is("2^{-1}", make(1, 2)));
  CHECK(is("2^(3)", make(8)));
  CHECK(is("2^-1", make(1, 2)));
  CHECK(is("2^+3", make(8)));
  CHECK(is("2 ^ 3", make(8)));
  CHECK(is("3 \\times \\frac{1}{2}^2", make(3, 4)));
  // a mixed number's parts are below 2^61
  CHECK(is("3 1/2305843009213693951",
           make(3 * reward::wide{2305843009213693951} + 1, 2305843009213693951)));
  CHECK(fault("3 1/2305843009213693952") == exact_fault::syntax);
  CHECK(is("-2^2", make(-4)));
  CHECK(is("(-2)^2", make(4)));
  CHECK(is("5\u00B2", make(25)));
  CHECK(is("2\u00B9\u2070", make(1024)));
  CHECK(is("2\u207B\u00B2", make(1, 4)));
  CHECK(is("2\u207A\u00B2", make(4)));
  CHECK(is("\\frac{\\pi}{2}", make(1, 2, 1, 1)));
  CHECK(is("2\\pi", make(2, 1, 1, 1)));
  CHECK(is("\\frac\\pi2", make(1, 2, 1, 1)));
  CHECK(is("1/2\\pi", make(1, 2, 1, 1)));
  CHECK(is("2\u03C0\\sqrt{3}", make(2, 1, 3, 1)));
  CHECK(is("1 - 2 - 3", make(-4)));
  CHECK(is("8/4/2", make(1)));
  CHECK(is("2+3*4", make(14)));
  CHECK(is("2(3)(4)", make(24)));
  CHECK(is("2 \\times -3", make(-6)));
  CHECK(is("6.02 \\times 10^{23}", multiply(make(602), power(make(10), 21))));
  CHECK(is("\\left( 1 + 2 \\right) \\cdot 3", make(9)));
  CHECK(is(" { 5 } ", make(5)));
}

TEST_CASE("the grammar of countdown has four operators") {
  const auto value = [](std::string_view s) { return evaluate_exactly(s, grammar::arithmetic); };
  CHECK(value("8 / (3 - 8 / 3)") == make(24));
  CHECK(value("-(2)") == make(-2));
  for (const char* s : {".5", "2^3", "2**3", "1.5", "1e3", "1,000", "2(3)", "\\frac12", "pi",
                        "3 1/2", "{1}", "1=1", "1;", "0x10", "1_0"})
    CHECK_MESSAGE(fault(s, grammar::arithmetic) == exact_fault::syntax, s);
}

TEST_CASE("where the longest expression at the front ends, and the numbers in it") {
  using reader_type = reward::detail::expression_reader<hence::native_isa>;
  const auto read = [](std::string_view s) {
    reader_type reader(s, grammar::answer);
    const exact x = reader.read();
    CHECK(x.ok());
    return std::pair(static_cast<int>(x.num), reader.end());
  };
  CHECK(read("1,2345") == std::pair(1, std::size_t{1}));  // a group has three digits, not four
  CHECK(read("1,234,5") == std::pair(1234, std::size_t{5}));
  CHECK(read("3 x") == std::pair(3, std::size_t{1}));
  std::vector<reward::wide> found(reward::detail::most_literals);  // the sanitizers see its end
  std::string s = "1";
  for (int i = 2; i <= 66; ++i) s += "+" + std::to_string(i);
  reader_type reader(s, grammar::arithmetic, found.data());
  CHECK(reader.read() == make(66 * 67 / 2));
  CHECK(reader.literals() == 66);
  for (std::size_t i = 0; i < found.size(); ++i)
    CHECK((found[i] == static_cast<reward::wide>(i) + 1));
}

TEST_CASE("what is left to compute is counted") {
  const auto operations = [](std::string_view s) {
    reward::detail::expression_reader<hence::native_isa> reader(s, grammar::answer);
    CHECK(reader.read().ok());
    return reader.operations();
  };
  for (const char* s : {"5", "-5", "-0", "3/4", "\\frac{3}{4}", "2\\sqrt{3}", "\\frac{\\pi}{2}",
                        "3 1/2", "1e3", "6.02 \\times 10^{23}"})
    CHECK_MESSAGE(operations(s) == 0, s);
  for (const char* s : {"\\sqrt{12}", "2^{1/2}", "\\pi^2", "\\pi\u00B2", "\\sqrt{2}\\sqrt{3}",
                        "-(5)", "\\frac{1}{2}\\pi", "10 \\times 10^2"})
    CHECK_MESSAGE(operations(s) == 0, s);
  for (const char* s :
       {"17*23",         "1+1",          "391/17",     "2^10",          "2(3)",
        "(2)(3)",        "\\frac{4}{2}", "10^3",       "(10^3)",        "\\frac{1}{10^2}",
        "3 \\times 4^2", "\\sqrt{16}",   "--5",        "-(-5)",         "+-5",
        "5\u00B2",       "2\u00B3",      "2\\sqrt{9}", "3\\frac{3}{2}", "5^1",
        "5^0",           "2\\times 10",  "4^{1/2}",    "\\sqrt[3]{8}",  "\\sqrt{2}\\sqrt{8}"})
    CHECK_MESSAGE(operations(s) > 0, s);
}

TEST_CASE("several terms, where the value may have them") {
  const auto read = [](std::string_view s) {
    reward::detail::expression_reader<hence::native_isa, reward::exact_sum> reader(s,
                                                                                   grammar::answer);
    const reward::exact_sum x = reader.read();
    return std::pair(x, reader.operations());
  };
  const auto value = [&](std::string_view s) { return read(s).first; };
  CHECK(value("1+\\sqrt{2}").terms == 2);
  CHECK(value("1+\\sqrt{2}") == value("\\sqrt2 + 1"));
  CHECK(value("\\frac{1+\\sqrt{5}}{2}") == value("0.5 + \\frac{\\sqrt5}{2}"));
  CHECK(value("2(1+\\sqrt{3})") == value("2 + 2\\sqrt{3}"));
  CHECK(value("(1+\\sqrt{2})^2") == value("3+2\\sqrt2"));
  CHECK(value("(1+\\sqrt{2})^{1/2}").fault == exact_fault::not_exact);
  CHECK(value("2^{\\sqrt{2}}").fault == exact_fault::not_exact);
  CHECK(value("2^{1+\\sqrt{2}}").fault == exact_fault::not_exact);
  CHECK(value("2^{\\sqrt{2}-\\sqrt{2}+3}").single() == make(8));
  CHECK(value("\\sqrt[1+\\sqrt2]{8}").fault == exact_fault::not_exact);
  CHECK(value("1/(1-1)").fault == exact_fault::division_by_zero);
  CHECK(value("17*23").single() == make(391));
  CHECK(value("1+").fault == exact_fault::syntax);
  for (const char* s : {"1+\\sqrt{2}", "\\frac{1+\\sqrt{5}}{2}", "\\pi+1", "-\\sqrt{2}+\\pi"})
    CHECK_MESSAGE(read(s).second == 0, s);
  for (const char* s : {"1+1+\\sqrt{2}", "\\sqrt{2}+\\sqrt{8}", "2(1+\\sqrt{3})", "(1+\\sqrt{2})^2",
                        "1+\\sqrt{2}-1"})
    CHECK_MESSAGE(read(s).second > 0, s);
}

TEST_CASE("texts without a byte behind them, as constant expressions") {
  // the compiler lets nothing behind an array be read
  static constexpr char number[] = {'1', '2'}, comma[] = {'1', ','}, power[] = {'2', '^'},
                        command[] = {'\\'}, point[] = {'1', '.'}, scale[] = {'1', 'e'},
                        mixed[] = {'3', ' ', '1', '/'};
  const auto of = [](const auto& s) constexpr {
    return evaluate_exactly(std::string_view(s, sizeof(s)), grammar::answer).fault;
  };
  static constexpr char group[] = {'1', ',', '2', '3', '4'},
                        groups[] = {'1', '2', ',', '3', '4', '5'}, dot[] = {'.'},
                        tied[] = {'3', '~'};
  static_assert(of(group) == exact_fault::none);
  static_assert(of(groups) == exact_fault::none);
  static_assert(of(dot) == exact_fault::syntax);
  static_assert(of(tied) == exact_fault::syntax);
  static_assert(of(number) == exact_fault::none);
  static_assert(of(comma) == exact_fault::syntax);
  static_assert(of(power) == exact_fault::syntax);
  static_assert(of(command) == exact_fault::syntax);
  static_assert(of(point) == exact_fault::none);
  static_assert(of(scale) == exact_fault::syntax);
  static_assert(of(mixed) == exact_fault::syntax);
  static constexpr char fraction[] = {'\\', 'f', 'r', 'a', 'c'}, root[] = {'s', 'q', 'r', 't'};
  static_assert(of(fraction) == exact_fault::syntax);
  static_assert(of(root) == exact_fault::syntax);
}

TEST_CASE("depth and length are bounded") {
  const auto nested = [](int n) {
    return std::string(static_cast<std::size_t>(n), '(') + "1" +
           std::string(static_cast<std::size_t>(n), ')');
  };
  CHECK(is(nested(31), make(1)));
  CHECK(fault(nested(32)) == exact_fault::depth);
  CHECK(is(std::string(255, '-') + "1", make(-1)));  // signs are no depth
  CHECK(fault(std::string(256, '-') + "1") == exact_fault::depth);
  for (const char* open : {"(", "{", "\\frac{", "\\sqrt{", "\\sqrt[", "2^{", "\\left("}) {
    std::string s;
    while (s.size() < 1000000) s += open;
    CHECK(fault(s) == exact_fault::depth);
  }
}

namespace {

/// A random expression, its text and its value by plain rational arithmetic in long double.
struct sample {
  std::string text;
  long double value;
};
sample random_expression(std::mt19937& random, int depth) {
  if (depth == 0 || random() % 4 == 0) {
    const auto n = static_cast<int>(random() % 20);
    return {std::to_string(n), static_cast<long double>(n)};
  }
  const sample a = random_expression(random, depth - 1), b = random_expression(random, depth - 1);
  const std::string left = "(" + a.text + ")", right = "(" + b.text + ")";
  switch (random() % 5) {
    case 0:
      return {left + " + " + right, a.value + b.value};
    case 1:
      return {left + "-" + right, a.value - b.value};
    case 2:
      return {left + "*" + right, a.value * b.value};
    case 3:
      return {left + "/" + right, a.value / b.value};
    default:
      return {"-" + left, -a.value};
  }
}

}  // namespace

TEST_CASE("quotients that are numbers, and those that are left to compute") {
  const auto operations = [](const char* s) {
    reward::detail::expression_reader<hence::native_isa> reader(s, grammar::answer);
    CHECK(reader.read().ok());
    return reader.operations();
  };
  for (const char* s : {"3/4", "\\frac{3}{4}", "\\frac{\\sqrt3}{2}", "\\frac{2}{\\sqrt3}",
                        "\\frac{\\pi}{6}", "\\frac{\\sqrt2}{\\sqrt3}", "\\frac{\\sqrt3}{\\pi}"})
    CHECK_MESSAGE(operations(s) == 0, s);
  for (const char* s : {"7/3/5", "7 \\div \\frac{3}{5}", "\\frac{1}{0.3}", "0.5/3", "6/3",
                        "\\frac{\\sqrt2}{\\sqrt8}", "\\frac{2\\pi}{3\\pi}"})
    CHECK_MESSAGE(operations(s) == 1, s);
}

TEST_CASE("random expressions against long double, in both grammars") {
  std::mt19937 random(5);
  int judged = 0;
  for (int i = 0; i < 20000; ++i) {
    const sample s = random_expression(random, 4);
    for (const grammar g : {grammar::arithmetic, grammar::answer}) {
      const exact x = evaluate_exactly(s.text, g);
      if (!x.ok()) {
        CHECK_MESSAGE((x.fault == exact_fault::division_by_zero || x.fault == exact_fault::depth),
                      s.text);
        continue;
      }
      ++judged;
      const long double found = static_cast<long double>(x.num) / static_cast<long double>(x.den);
      const long double error = found - s.value;
      // cancellation in the oracle: an exact zero may be a rounding error there
      CHECK_MESSAGE((error <= 1e-12L && error >= -1e-12L) == true, s.text);
    }
  }
  CHECK(judged > 20000);
}
