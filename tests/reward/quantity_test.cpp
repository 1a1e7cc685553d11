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

TEST_CASE("only the variable that is defined comes off") {
  CHECK(of("x = 5").ok());
  CHECK_FALSE(of("x = y = 5").ok());
  CHECK_FALSE(of("xy = 5").ok());
  CHECK_FALSE(of("2 = 5").ok());
  CHECK_FALSE(of("5 = x").ok());
}
