/// \file
/// The spellings that mathematics has in LaTeX, Unicode and ASCII, and the reader that steps over
/// them: what the expression parser and the normalised text share.
#pragma once

#include <hence/reward/text.hpp>

namespace hence::inline v0::reward::detail {

/// Whether the LaTeX command `\name` stands at s[at] and its name ends there.
HENCE_FN constexpr bool command_at(text s, std::size_t at, text name) {
  if (!stands_at(s, at, name)) return false;
  const std::size_t end = at + name.size();
  return end == s.size() || !is_letter(s[end]);
}

/// Bytes of layout at s[at]: white space, TeX's spaces and the commands that only change how the
/// rest looks. 0 where something else stands.
template <class Isa = native_isa> constexpr std::size_t layout_at(text s, std::size_t at) {
  if (at >= s.size()) return 0;
  if (is_space(s[at]) || s[at] == '~') return 1;
  if (s[at] != '\\' || at + 1 >= s.size()) return 0;
  const char next = s[at + 1];
  if (next == ',' || next == '!' || next == ';' || next == ':' || next == ' ') return 2;
  for (const text name : {text("\\left"), text("\\right"), text("\\displaystyle"), text("\\quad"),
                          text("\\qquad"), text("\\textstyle"), text("\\big"), text("\\Big"),
                          text("\\bigl"), text("\\bigr"), text("\\limits")})
    if (command_at(s, at, name)) return name.size();
  return 0;
}

/// What an operator or a constant is, however it is spelt.
enum class symbol : std::uint8_t {
  none,
  plus,
  minus,
  times,
  over,
  pi,
  root,
  fraction,
  raised  ///< superscript digits, with a sign or without
};

struct spelling {
  text form;
  symbol meaning;
};
/// All but + - * and /; what begins with another form stands before it.
inline constexpr spelling spellings[] = {
    {"\\cdot", symbol::times},
    {"\\times", symbol::times},
    {"\\div", symbol::over},
    {"\\pi", symbol::pi},
    {"\\sqrt", symbol::root},
    {"\\frac", symbol::fraction},
    {"\\dfrac", symbol::fraction},
    {"\\tfrac", symbol::fraction},
    {"\\cfrac", symbol::fraction},
    {"sqrt", symbol::root},
    {"pi", symbol::pi},
    {"\u2212", symbol::minus},
    {"\u00D7", symbol::times},
    {"\u00B7", symbol::times},
    {"\u22C5", symbol::times},
    {"\u00F7", symbol::over},
    {"\u2044", symbol::over},
    {"\u03C0", symbol::pi},
    {"\u221A", symbol::root},
};

/// The superscript digit at s[at] and its bytes; -1 where none stands.
HENCE_FN constexpr int superscript_at(text s, std::size_t at, std::size_t& size) {
  constexpr text digits[] = {"\u2070", "\u00B9", "\u00B2", "\u00B3", "\u2074",
                             "\u2075", "\u2076", "\u2077", "\u2078", "\u2079"};
  for (int d = 0; d < 10; ++d)
    if (stands_at(s, at, digits[d])) {
      size = digits[d].size();
      return d;
    }
  return -1;
}

/// A power in superscripts: `digits` are ASCII.
struct superscript {
  char sign;  ///< + or - or 0 where none stands
  char digits[16];
  std::size_t places, bytes;  ///< 0 where no power stands
};
/// The power at s[at], at most 16 digits of it.
HENCE_FN constexpr superscript superscripts_at(text s, std::size_t at) {
  superscript x{'\0', {}, 0, 0};
  std::size_t end = at, size = 0;
  if (stands_at(s, at, "\u207B") || stands_at(s, at, "\u207A"))
    x.sign = stands_at(s, at, "\u207B") ? '-' : '+', end += 3;
  for (int d = 0; x.places < 16 && (d = superscript_at(s, end, size)) >= 0; end += size)
    x.digits[x.places++] = static_cast<char>('0' + d);
  if (x.places > 0) x.bytes = end - at;
  return x;
}

/// The symbol at s[at] and its bytes in `size`.
template <class Isa = native_isa>
constexpr symbol symbol_at(text s, std::size_t at, std::size_t& size) {
  size = 0;
  if (at >= s.size()) return symbol::none;
  const char c = s[at];
  if (is_ascii(c) && c != '\\' && c != 's' && c != 'p') {
    const symbol x = c == '+'   ? symbol::plus
                     : c == '-' ? symbol::minus
                     : c == '*' ? symbol::times
                     : c == '/' ? symbol::over
                                : symbol::none;
    size = x != symbol::none;
    return x;
  }
  for (const spelling& x : spellings) {
    if (s[at] != x.form[0] || !stands_at(s, at, x.form)) continue;
    // a word, with or without a backslash, ends where its letters end
    if (is_letter(x.form.back()) && at + x.form.size() < s.size() &&
        is_lower(s[at + x.form.size()]))
      continue;
    size = x.form.size();
    return x.meaning;
  }
  if (!is_ascii(c)) size = superscripts_at(s, at).bytes;
  return size != 0 ? symbol::raised : symbol::none;
}

/// n / d of a vulgar fraction: one code point.
struct vulgar {
  text form;
  int num, den;
};
inline constexpr vulgar vulgar_fractions[] = {
    {"\u00BC", 1, 4}, {"\u00BD", 1, 2}, {"\u00BE", 3, 4}, {"\u2153", 1, 3},  {"\u2154", 2, 3},
    {"\u2155", 1, 5}, {"\u2156", 2, 5}, {"\u2157", 3, 5}, {"\u2158", 4, 5},  {"\u2159", 1, 6},
    {"\u215A", 5, 6}, {"\u2150", 1, 7}, {"\u2151", 1, 9}, {"\u2152", 1, 10}, {"\u215B", 1, 8},
    {"\u215C", 3, 8}, {"\u215D", 5, 8}, {"\u215E", 7, 8},
};

/// Bytes of a separator of thousands at s[at]; 0 where none stands. A comma, alone, in braces or
/// before `\!` and the spaces that follow it; TeX's thin space; the narrow no-break space.
template <class Isa = native_isa> constexpr std::size_t separator_at(text s, std::size_t at) {
  if (at >= s.size() || is_letter(s[at])) return 0;
  for (const text form :
       {text(",\\!"), text("{,}"), text("\\!,"), text(","), text("\\,"), text("\u202F")})
    if (stands_at(s, at, form)) {
      std::size_t end = at + form.size();
      while (form.back() == '!' && end < s.size() && is_space(s[end])) ++end;
      return end - at;
    }
  return 0;
}

}  // namespace hence::inline v0::reward::detail
