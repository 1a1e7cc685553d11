#include <hence/reward/units.hpp>

#include <doctest/doctest.h>
#include <string>

namespace reward = hence::reward;

namespace {

/// The unit's code, or -1 where the text is no unit.
long long code(std::string_view s) {
  reward::unit_code c = 0;
  return reward::detail::read_unit<hence::native_isa>(s, c) ? static_cast<long long>(c) : -1;
}

}  // namespace

TEST_CASE("one code for each unit, however it is written") {
  CHECK(code("") == 0);
  CHECK(code("cm") > 0);
  for (const char* s :
       {" cm", "\\text{ cm}", "\\mathrm{cm}", "\\,cm", "centimeter", "centimeters", "centimetres"})
    CHECK_MESSAGE(code(s) == code("cm"), s);
  for (const char* s :
       {"cm^2", "cm^{2}", "cm\u00B2", "square cm", "sq centimeters", "\\text{cm}^2"})
    CHECK_MESSAGE(code(s) == code("cm^2"), s);
  CHECK(code("cm^2") != code("cm"));
  CHECK(code("cm^3") == code("cubic centimeters"));
  CHECK(code("cm\u00B3") == code("cm^3"));
  CHECK(code("cm^1") == code("cm"));
  CHECK(code("{cm}") == code("cm"));
  CHECK(code("m/s^2") == code("m s^{-2}"));
  CHECK(code("cm\u00B9") == code("cm"));
  CHECK(code("lbs") == code("lb"));
  CHECK(code("hrs") == code("hours"));
  CHECK(code("kms") == code("km"));
  CHECK(code("ms") == code("milliseconds"));  // no plural of m
  CHECK(code("ms") != code("m"));
  for (const char* s :
       {"m/s", "meters per second", "m / s", "\\text{m}/\\text{s}", "m s^{-1}", "m \\cdot s^{-1}"})
    CHECK_MESSAGE(code(s) == code("m/s"), s);
  for (const char* s : {"^\\circ", "^{\\circ}", "\\degree", "\u00B0", "degrees", "degree"})
    CHECK_MESSAGE(code(s) == code("degrees"), s);
}

TEST_CASE("what is no unit") {
  for (const char* s :
       {"or 6",          "gizmo",  "5",        "cm 5", "^2",        "cm^",       "cm^5",
        "cm^2^2",        "per",    "square",   "/",    "cm/",       "m m m m m", "+",
        "\\cm",          "\u00B2", "c\u200Bm", "()",   "cm^0",      "cm^4",      "cm^{-2}^2",
        "cm^x",          "grams2", "gramo",    "gs",   "\\cdot m",  "* m",       "m\u2070",
        "m\u00B9\u00B2", "}cm{",   "cm}",      "{cm",  "\\text{cm", "m/s^2^2"})
    CHECK_MESSAGE(code(s) == -1, s);
  CHECK(code(std::string(65, ' ')) == -1);
}

TEST_CASE("the table's names are different and its ids fit") {
  int twice = 0;
  for (const auto& a : reward::detail::unit_names) {
    CHECK(a.id > 0);
    CHECK(a.id < 4096);
    for (const auto& b : reward::detail::unit_names) twice += &a != &b && a.name == b.name;
  }
  CHECK(twice == 0);
}

TEST_CASE("a sign waits for its factor") {
  const auto reads = [](const char* s) {
    reward::unit_code c = 0;
    return reward::detail::read_unit<hence::native_isa>(s, c);
  };
  CHECK(reads(" "));
  CHECK(reads("N \\cdot m"));
  CHECK(reads("N \\times m"));
  CHECK_FALSE(reads("cm \\times"));
  CHECK_FALSE(reads("cm *"));
  CHECK_FALSE(reads("cm /"));
}

TEST_CASE("64 bytes are read, to the last and not beyond") {
  static_assert([] {
    char s[64] = {};
    for (char& c : s) c = ' ';
    s[0] = 'm', s[63] = '^';
    reward::unit_code c = 0;
    const bool dangling = reward::detail::read_unit<hence::native_isa>({s, 64}, c);
    s[63] = '/';
    const bool divided = reward::detail::read_unit<hence::native_isa>({s, 64}, c);
    s[63] = 's';
    return !dangling && !divided && reward::detail::read_unit<hence::native_isa>({s, 64}, c);
  }());
}
