#include <hence/reward/expression_cursor.hpp>

#include <doctest/doctest.h>

namespace {

using cursor = hence::reward::detail::expression_cursor<hence::native_isa>;
using hence::reward::text;
using hence::reward::wide;
using hence::reward::detail::symbol;

symbol peeked(text s, bool answer, std::size_t want) {
  cursor c{s, answer};
  std::size_t size = 99;
  const symbol x = c.peek(size);
  CHECK(c.at == 0);
  CHECK(size == want);
  return x;
}

}  // namespace

TEST_CASE("what is stepped over") {
  for (const bool answer : {false, true}) {
    cursor c{" \t\n5", answer};
    c.skip();
    CHECK(c.at == 3);
    CHECK(c.next_is('5'));
    CHECK(c.next_is_digit());
    CHECK_FALSE(c.take('6'));
    CHECK(c.take('5'));
    CHECK(c.ends());
    CHECK_FALSE(c.next_is('5'));
    CHECK_FALSE(c.next_is_digit());
    CHECK_FALSE(c.take('5'));
    c.skip();
    CHECK(c.at == 4);
  }
  for (const bool answer : {false, true}) {
    cursor end{text("   ", 2), answer};  // white space behind the text is not looked at
    end.skip();
    CHECK(end.at == 2);
  }
  cursor plain{"~5", false}, rich{"\\left~\\, 5", true};
  plain.skip(), rich.skip();
  CHECK(plain.at == 0);
  CHECK(rich.at == 9);
}

TEST_CASE("symbols are seen and not taken; plain arithmetic has four") {
  CHECK(peeked(" + 5", true, 2) == symbol::plus);
  CHECK(peeked("\\left\\times", true, 11) == symbol::times);
  CHECK(peeked("\\pi", true, 3) == symbol::pi);
  CHECK(peeked("\u00B2", true, 2) == symbol::raised);
  CHECK(peeked(" \u207B\u2074\u20700", true, 10) == symbol::raised);
  CHECK(peeked("\u207B0", true, 0) == symbol::none);
  CHECK(peeked("**", true, 1) == symbol::none);
  CHECK(peeked("*", true, 1) == symbol::times);
  CHECK(peeked("5", true, 0) == symbol::none);
  CHECK(peeked("", true, 0) == symbol::none);
  CHECK(peeked("/", false, 1) == symbol::over);
  CHECK(peeked("\u00F7", false, 2) == symbol::over);
  CHECK(peeked("\\pi", false, 3) == symbol::none);
  CHECK(peeked("\u00B2", false, 2) == symbol::none);
}

TEST_CASE("digits up to what surely fits 126 bits") {
  cursor c{"0123x", true};
  wide value = 7;
  int places = 9;
  CHECK(c.digits(value, places));
  CHECK(value == 70123);  // appended
  CHECK(places == 4);
  CHECK(c.at == 4);
  CHECK(c.digits(value, places));
  CHECK(places == 0);
  cursor long_one{"5316911983139663491615228241121378304", true};  // 2^122: 123 bits
  value = 0;
  CHECK(long_one.digits(value, places));
  CHECK(value == wide{1} << 122);
  CHECK_FALSE(cursor::append(value, '0'));
  value = (wide{1} << 122) - 1;
  CHECK(cursor::append(value, '9'));
  CHECK(value == ((wide{1} << 122) - 1) * 10 + 9);
  cursor too_long{"53169119831396634916152282411213783040", true};
  value = 0;
  CHECK_FALSE(too_long.digits(value, places));
  // the compiler lets nothing behind an array be read
  static constexpr char array[] = {'5'};
  static_assert([] {
    cursor end{{array, 1}, true};
    end.at = 1;
    end.skip();
    std::size_t size = 0;
    return end.ends() && !end.next_is('5') && !end.next_is_digit() && !end.take('5') &&
           end.peek(size) == symbol::none;
  }());
}
