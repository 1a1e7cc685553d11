/// \file
/// The place in an expression up to which it is read: layout, single bytes, symbols and digits.
/// What counts as layout and as a symbol depends on the grammar.
#pragma once

#include <hence/reward/exact.hpp>
#include <hence/reward/tokens.hpp>

namespace hence::inline v0::reward {

/// What an expression may hold.
enum class grammar : std::uint8_t { arithmetic, answer };

namespace detail {

/// Reads a text from left to right. Any place up to the end is legal; nothing behind is read.
template <class Isa> struct expression_cursor {
  text s;
  bool answer;  ///< the grammar of answers, else plain arithmetic
  std::size_t at = 0;

  constexpr bool ends() const { return at >= s.size(); }
  constexpr bool next_is(char c) const { return at < s.size() && s[at] == c; }
  constexpr bool next_is_digit() const { return at < s.size() && is_digit(s[at]); }
  constexpr bool take(char c) {
    if (!next_is(c)) return false;
    ++at;
    return true;
  }
  /// Steps over white space and, in answers, what TeX sets as space.
  constexpr void skip() {
    if (answer)
      for (std::size_t n = layout_at<Isa>(s, at); n != 0; n = layout_at<Isa>(s, at)) at += n;
    else
      while (at < s.size() && is_space(s[at])) ++at;
  }
  /// The symbol after any layout, not taken; `size` reaches to its end.
  constexpr symbol peek(std::size_t& size) {
    const std::size_t before = at;
    skip();
    std::size_t bytes = 0;
    symbol x = symbol_at<Isa>(s, at, bytes);
    if (!answer && x > symbol::over) x = symbol::none;
    if (x == symbol::times && stands_at(s, at, "**")) x = symbol::none;
    size = at + bytes - before;
    at = before;
    return x;
  }
  /// Appends digits; false if there are too many for 126 bits.
  constexpr bool digits(wide& value, int& places) {
    for (places = 0; next_is_digit(); ++at, ++places)
      if (!append(value, s[at])) return false;
    return true;
  }
  /// Appends a digit; false where the value might leave 126 bits.
  static constexpr bool append(wide& value, char digit) {
    if (bit_width(magnitude(value)) > 122) return false;
    value = value * 10 + (digit - '0');
    return true;
  }
};

}  // namespace detail

}  // namespace hence::inline v0::reward
