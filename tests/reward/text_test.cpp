#include <hence/reward/text.hpp>

#include <doctest/doctest.h>
#include <string>
#include <vector>

namespace reward = hence::reward;

TEST_CASE("slices and trims never leave the text") {
  CHECK(reward::slice("abc", 1, 2) == "b");
  CHECK(reward::slice("abc", 1) == "bc");
  CHECK(reward::slice("abc", 5).empty());
  CHECK(reward::slice("abc", 2, 1).empty());
  CHECK(reward::trimmed(" \t\r\n\v\fa b\n ") == "a b");
  CHECK(reward::trimmed("  ").empty());
  CHECK(reward::trimmed("\u00A0a") == "\u00A0a");  // not ASCII: it stays
  CHECK(reward::is_blank(" \n"));
  CHECK_FALSE(reward::is_blank(" \u200B"));
}

TEST_CASE("beginnings and ends") {
  CHECK(reward::starts_with("abc", "ab"));
  CHECK(reward::starts_with("abc", ""));
  CHECK_FALSE(reward::starts_with("abc", "b"));
  CHECK_FALSE(reward::starts_with("ab", "abc"));
  CHECK(reward::ends_with("abc", "bc"));
  CHECK(reward::ends_with("abc", "abc"));
  CHECK_FALSE(reward::ends_with("abc", "b"));
  CHECK_FALSE(reward::ends_with("bc", "abc"));
  CHECK(reward::equal("ab", "ab"));
  CHECK_FALSE(reward::equal("ab", "abc"));
  CHECK_FALSE(reward::equal("ab", "ac"));
  CHECK_FALSE(reward::stands_at("ab", 3, ""));
}

TEST_CASE("find, find_last and count agree with std::string_view") {
  const std::string s = "aabaabaab";
  for (const char* part : {"a", "aab", "b", "c", "aabaabaab", "aabaabaaba", "ba"}) {
    for (std::size_t from = 0; from <= s.size(); ++from)
      CHECK(reward::find(s, part, from) == std::string_view(s).find(part, from));
    CHECK(reward::find_last(s, part) == std::string_view(s).rfind(part));
  }
  CHECK(reward::count("aaaa", "aa") == 2);
  CHECK(reward::count("", "a") == 0);
}

TEST_CASE("UTF-8 is decoded, everything else is one bad byte") {
  const auto check = [](std::string s, std::uint32_t value, std::size_t bytes) {
    const reward::code_point c = reward::decode(s, 0);
    CHECK(c.value == value);
    CHECK(c.bytes == bytes);
  };
  check("a", 'a', 1);
  check("\xC3\xA9", 0xE9, 2);
  check("\xE4\xB8\xAD", 0x4E2D, 3);
  check("\xF0\x9F\x98\x80", 0x1F600, 4);
  check("\xF4\x8F\xBF\xBF", 0x10FFFF, 4);
  check("\x80", 0xFFFD, 1);              // a continuation alone
  check("\xC0\x80", 0xFFFD, 1);          // overlong
  check("\xE0\x9F\xBF", 0xFFFD, 1);      // overlong
  check("\xF0\x8F\xBF\xBF", 0xFFFD, 1);  // overlong
  check("\xED\xA0\x80", 0xFFFD, 1);      // a surrogate
  check("\xF4\x90\x80\x80", 0xFFFD, 1);  // above U+10FFFF
  check("\xF8\x88\x80\x80\x80", 0xFFFD, 1);
  check("\xE4\xB8", 0xFFFD, 1);  // cut off
  check("\xE4\x41\x41", 0xFFFD, 1);
  check("\xF9\x88\x80\x80", 0xFFFD, 1);  // no lead, though its low bits would do
  check("\xFF", 0xFFFD, 1);
}

TEST_CASE("every code point survives") {
  int wrong = 0;
  for (std::uint32_t c = 0; c <= 0x10FFFF; ++c) {
    std::string s;
    const auto tail = [&](int shift) { s += static_cast<char>(0x80 | (c >> shift & 0x3F)); };
    if (c < 0x80) {
      s += static_cast<char>(c);
    } else if (c < 0x800) {
      s += static_cast<char>(0xC0 | c >> 6), tail(0);
    } else if (c < 0x10000) {
      s += static_cast<char>(0xE0 | c >> 12), tail(6), tail(0);
    } else {
      s += static_cast<char>(0xF0 | c >> 18), tail(12), tail(6), tail(0);
    }
    const bool surrogate = c >= 0xD800 && c < 0xE000;
    const reward::code_point found = reward::decode(s, 0);
    wrong += surrogate ? found.value != 0xFFFD : found.value != c || found.bytes != s.size();
  }
  CHECK(wrong == 0);
}

TEST_CASE("the empty part stands everywhere") {
  CHECK(reward::find("ab", "", 1) == 1);
  CHECK(reward::find("ab", "", 2) == 2);
  CHECK(reward::find("ab", "", 3) == reward::npos);
}

TEST_CASE("classes of bytes, all 256") {
  for (int i = 0; i < 256; ++i) {
    const char c = static_cast<char>(i);
    const std::string_view digits = "0123456789", small = "abcdefghijklmnopqrstuvwxyz",
                           large = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", spaces = " \t\n\v\f\r";
    const auto in = [&](std::string_view set) { return set.find(c) != set.npos; };
    CHECK(reward::is_digit(c) == in(digits));
    CHECK(reward::is_lower(c) == in(small));
    CHECK(reward::is_upper(c) == in(large));
    CHECK(reward::is_letter(c) == (in(small) || in(large)));
    CHECK(reward::is_space(c) == in(spaces));
    CHECK(reward::is_ascii(c) == (i < 128));
    CHECK(reward::lowered(c) == (in(large) ? small[large.find(c)] : c));
  }
}

TEST_CASE("the empty part stands everywhere, and nothing stands before the first byte") {
  CHECK(reward::stands_at("ab", 2, ""));
  CHECK_FALSE(reward::stands_at("ab", 3, ""));
  static constexpr char two[] = {' ', 'x'};  // the compiler lets nothing outside be read
  static_assert(reward::trimmed({two, 0}).empty());
  static_assert(reward::trimmed({two, 1}).empty());
  static_assert(reward::trimmed({two, 2}).size() == 1);
}

TEST_CASE("nothing behind a text is read as part of it") {
  const std::string_view more = "abc\xE2\x82\xAC";
  CHECK(reward::stands_at(more, 1, "bc"));
  CHECK(!reward::stands_at(more.substr(0, 2), 1, "bc"));
  CHECK(!reward::stands_at(more.substr(0, 2), 3, "c"));
  CHECK(reward::find(more.substr(0, 2), "bc") == reward::npos);
  const std::vector<char> alone{'a', 'b'};  // the sanitizers see its end
  CHECK(reward::find({alone.data(), 2}, "bc") == reward::npos);
  CHECK(reward::decode(more, 3).value == 0x20AC);
  CHECK(reward::decode("\xE2\x82\xAC and more", 0).value == 0x20AC);
  for (const std::size_t size : {4u, 5u}) {
    CHECK(reward::decode(more.substr(0, size), 3).value == 0xFFFD);
    CHECK(reward::decode(more.substr(0, size), 3).bytes == 1);
  }
}
