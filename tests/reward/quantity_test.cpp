#include <hence/reward/quantity.hpp>

#include <doctest/doctest.h>
#include <string>

namespace reward = hence::reward;
using reward::parse_quantity;
using reward::quantity;

namespace {

quantity of(std::string_view s) { return parse_quantity(s); }

}  // namespace

TEST_CASE("numbers with a sign behind them") {
  CHECK(of("50\\%").percent);
  CHECK(of("50\\%").value.num == 50);
  CHECK_FALSE(of("50").percent);
  CHECK(of("17*23").operations == 1);
  CHECK(of("3/4").operations == 0);
  CHECK_FALSE(of("50%%").ok());
  CHECK_FALSE(of("\\$50%").ok());
  CHECK_FALSE(of("\\$5 cm").ok());
  CHECK_FALSE(of("").ok());
}

TEST_CASE("wrappers come off, eight layers deep") {
  for (const char* s : {"$5$", "$$5$$", "\\(5\\)", "\\[5\\]", "\\boxed{5}", "\\text{5}", "**5**",
                        "`5`", "x = 5", "5.", " 5 ;", "\\text{$\\boxed{5}$}."})
    CHECK_MESSAGE(of(s).value.num == 5, s);
  std::string s = "5";
  for (int i = 0; i < 8; ++i) s = "\\text{" + s + "}";
  CHECK(of(s).ok());
  CHECK_FALSE(of("\\text{\\text{" + s + "}}").ok());
}

TEST_CASE("halves of wrappers stay") {
  const auto clean = [](std::string_view s) {
    char name = '\0';
    return reward::detail::cleaned<hence::native_isa>(s, name);
  };
  for (const char* s : {"\\(5", "\\[5", "5..", "\\text5}", "\\text{5}{6}", "**5", "$5", "\"5",
                        "5\\\\,", "5\\\\;", "5 5", "5.5", "$$", "$$$", "****", "\"\""})
    CHECK_MESSAGE(clean(s) == s, s);
  CHECK(clean("x\\,") == "x");
  CHECK(clean("x\\;") == "x");
  CHECK(clean("\\!x\\ ") == "x");
  CHECK(clean("x,") == "x");
}

TEST_CASE("only the variable that is defined comes off") {
  CHECK(of("x = 5").ok());
  CHECK_FALSE(of("x = y = 5").ok());
  CHECK_FALSE(of("xy = 5").ok());
  CHECK_FALSE(of("2 = 5").ok());
  CHECK_FALSE(of("5 = x").ok());
}

TEST_CASE("numbers in a row are a date, a score or a range") {
  for (const char* s : {"2024-05-06", "3-1", "555-1234", "1-2-3-4", "5/6/2024", "2024/05/06"})
    CHECK_MESSAGE(of(s).value.fault == reward::exact_fault::syntax, s);
  for (const char* s : {"3 - 1", "-3-1", "3-1.5", "1/2/3", "12/34/56", "1/2", "2024/5", "3-1/2",
                        "4/3-1", "1/2/2024/3", "3\u22121"})
    CHECK_MESSAGE(of(s).ok(), s);
}

TEST_CASE("a formula's dollars are no money") {
  CHECK(of("$5$ cm").unit == of("5 cm").unit);
  CHECK(of("$5$").unit == 0);
  CHECK(of("$50$%").percent);
  CHECK(of("$5").unit == of("5 dollars").unit);
  CHECK(of("\\$5").unit == of("5 dollars").unit);
  CHECK(of("\\$5$").unit == of("5 dollars").unit);
  CHECK(of("$-5$ cm").value.num == -5);
  CHECK_FALSE(of("\u20AC5 cm").ok());
  CHECK(of("\u20AC5").unit == of("5 euros").unit);
  CHECK(of("5 \\$").unit == of("5 dollars").unit);
  CHECK(of("5 \u20AC").unit == of("5 euros").unit);
}

TEST_CASE("a letter right behind the number may be a variable") {
  for (const char* s : {"3m", "6s^2", "-3m", "\\sqrt{2}m", "2h"}) CHECK_MESSAGE(of(s).letter, s);
  for (const char* s : {"3 m", "3cm", "3\\text{ m}", "3\\,m", "5m/s", "3", "3\\%", "\\$3"})
    CHECK_FALSE_MESSAGE(of(s).letter, s);
}

TEST_CASE("the letter of a definition") {
  const auto name = [](std::string_view s) {
    char found = '-';
    reward::detail::cleaned<hence::native_isa>(s, found);
    return found;
  };
  CHECK(name("x = 5") == 'x');
  CHECK(name("$y=5$.") == 'y');
  CHECK(name("z \\in [1,2]") == 'z');
  CHECK(name("z \u2208 [1,2]") == 'z');
  CHECK(name("z \\infty") == '-');
  CHECK(name("5") == '-');
  CHECK(name("x = y = 5") == '-');
}

TEST_CASE("eight wrappers come off, a ninth stays") {
  const auto boxed = [](int layers) {
    std::string s = "5";
    for (int i = 0; i < layers; ++i) s = "\\boxed{" + s + "}";
    return s;
  };
  CHECK(reward::parse_quantity(boxed(8)).ok());
  CHECK_FALSE(reward::parse_quantity(boxed(9)).ok());
}

TEST_CASE("what closes a formula, and what may be a variable") {
  using reward::detail::begins_term;
  const auto closes = [](const char* s) {
    return reward::detail::find_unescaped<hence::native_isa>(s, "$", 1);
  };
  CHECK(closes("$5$") == 2);
  CHECK(closes("$\\$5$") == 4);
  CHECK(closes("$5\\$") == reward::npos);
  CHECK(closes("$5$\\") == 2);
  CHECK(closes("$5") == reward::npos);
  CHECK(closes("$\\$\\$\\") == reward::npos);
  for (const char* s : {"m", "s^2", "g h", "mg", "ms", "mg h"}) CHECK(begins_term(s));
  for (const char* s : {"", "cm", "kg", "as", "ml", "mph", "ag", " m", "5"})
    CHECK_FALSE(begins_term(s));
  CHECK(parse_quantity("2g h").letter);
  CHECK_FALSE(parse_quantity("5m/s").letter);
  CHECK(parse_quantity("2\\pi h").letter);
  CHECK_FALSE(parse_quantity("2 h").letter);
  CHECK_FALSE(parse_quantity("\\(5").ok());
  CHECK_FALSE(parse_quantity("\\(5 cm").ok());
  CHECK(parse_quantity("\\(5\\) cm").unit == parse_quantity("5 cm").unit);
}

TEST_CASE("nothing behind the end of a text is read") {
  // the compiler lets nothing behind an array be read
  static constexpr char open[] = {'\\', 't', 'e', 'x', 't', '{', '{', '5', '}'};
  static_assert(!parse_quantity({open, 9}).ok());
  static_assert(!parse_quantity({open, 5}).ok());
  static constexpr char name[] = {'x', '='};
  static_assert(!parse_quantity({name, 1}).ok());
  static_assert(!parse_quantity({name, 2}).ok());
  static constexpr char five[] = {'5', '.', '5', '%'};
  static_assert(parse_quantity({five, 1}).ok() && parse_quantity({five, 2}).ok());
  static_assert(parse_quantity({five, 4}).percent);
}
