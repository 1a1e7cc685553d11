/// \file
/// An answer as a number with a percent sign or a unit, and the wrappers around answers: dollars,
/// `\boxed`, `\text`, "x =", a full stop.
#pragma once

#include <hence/reward/expression.hpp>
#include <hence/reward/units.hpp>

namespace hence::inline v0::reward {

/// An exact number, what stands behind it, and whether there is one at all.
template <class Value> struct basic_quantity {
  Value value;     ///< the number
  bool percent;    ///< whether a percent sign followed
  unit_code unit;  ///< 0: none
  /// The unit is a letter right behind the number, or several, which might be variables: 3m, 6s^2,
  /// `2g h`, `\frac12mg`. Words of two letters but mg and ms, and quotients, are units: 5cm, 5m/s.
  bool letter;
  int operations;  ///< what is left to compute: 0 for 3/4, 1 for 17*23
  HENCE_FN constexpr bool ok() const { return value.ok(); }
};
/// The quantity of one exact number.
using quantity = basic_quantity<exact>;

namespace detail {

/// The place of the brace that closes the one at s[at], or npos. `\{` and `\}` are no braces.
template <class Isa> constexpr std::size_t closing_brace(text s, std::size_t at) {
  std::size_t depth = 0;
  for (; at < s.size(); ++at) {
    if (s[at] == '\\') {
      ++at;
    } else if (s[at] == '{') {
      ++depth;
    } else if (s[at] == '}' && --depth == 0) {
      return at;
    }
  }
  return npos;
}

/// Where `part` stands in s from `at` > 0 on with no backslash before it: `\$` closes no formula.
template <class Isa> constexpr std::size_t find_unescaped(text s, text part, std::size_t at) {
  at = find<Isa>(s, part, at);
  while (at != npos && s[at - 1] == '\\') at = find<Isa>(s, part, at + 1);
  return at;
}

/// s without one pair of wrappers or one prefix or suffix that says nothing; s itself if there is
/// none. The letter of an "x =" goes to `name`.
template <class Isa> constexpr text unwrapped(text s, char& name) {
  if (s.empty() || (is_digit(s[0]) && is_digit(s[s.size() - 1]))) return s;
  const text pairs[][2] = {{"$$", "$$"}, {"$", "$"},     {"**", "**"},  {"`", "`"},
                           {"\"", "\""}, {"\\(", "\\)"}, {"\\[", "\\]"}};
  for (const auto& [open, close] : pairs)  // one pair around it all, not two formulas side by side
    if (s.size() > open.size() + close.size() && starts_with(s, open) && ends_with(s, close) &&
        find_unescaped<Isa>(s, close, open.size()) == s.size() - close.size())
      return slice(s, open.size(), s.size() - close.size());
  bool brace = false;
  if (ends_with(s, "}")) {
    const std::size_t n = font_at<Isa>(s, 0, brace);
    if (n != 0 && brace && closing_brace<Isa>(s, n - 1) == s.size() - 1)
      return slice(s, n, s.size() - 1);
  }
  if (s.size() > 1 && (ends_with(s, ".") || ends_with(s, ",") || ends_with(s, ";")) &&
      !ends_with(s, "..") && !ends_with(s, "\\;") && !ends_with(s, "\\,"))
    return slice(s, 0, s.size() - 1);
  for (const text space : {text("\\;"), text("\\,"), text("\\!"), text("\\ "), text("~"),
                           text("\\quad"), text("\\qquad"), text("\\displaystyle")}) {
    if (is_letter(space.back()) ? command_at(s, 0, space) : starts_with(s, space))
      return slice(s, space.size());
    if (ends_with(s, space) && s[s.size() - space.size() - 1] != '\\')  // s is longer: see above
      return slice(s, 0, s.size() - space.size());
  }
  // what is left of TeX's space `\ ` at the end
  if (s.size() > 1 && ends_with(s, "\\") && s[s.size() - 2] != '\\')
    return slice(s, 0, s.size() - 1);
  // "x = 5": a variable is defined, its value is the answer
  std::size_t at = is_letter(s[0]) ? 1 : 0;
  if (at == 1) {
    for (std::size_t n = layout_at<Isa>(s, at); n != 0; n = layout_at<Isa>(s, at)) at += n;
    const bool equals = at < s.size() && s[at] == '=' && find<Isa>(s, "=", at + 1) == npos;
    if (equals || command_at(s, at, "\\in") || stands_at(s, at, "\u2208")) {
      name = s[0];
      return slice(s, at + (equals ? 1 : 3));
    }
  }
  return s;
}

/// At most eight layers, so that a million of them cost no more than eight passes.
template <class Isa> constexpr text cleaned(text s, char& name) {
  s = trimmed(s);
  for (int i = 0; i < 8; ++i) {
    const text t = trimmed(unwrapped<Isa>(s, name));
    if (t.size() == s.size()) break;
    s = t;
  }
  return s;
}

/// 2024-05-06, 5/6/2024, 3-1, 555-1234: numbers in a row with bare dashes are a date, a score or a
/// range, and no difference; with slashes where one of three is a year of four digits.
HENCE_FN constexpr bool is_row_of_numbers(text s) {
  const char dash = '-', slash = '/';
  char sign = '\0';
  int numbers = 0;
  bool year = false;
  for (std::size_t at = 0;; ++at) {
    const std::size_t begin = at;
    while (at < s.size() && is_digit(s[at])) ++at;
    if (at == begin) return false;
    ++numbers, year |= at - begin == 4;
    if (at == s.size()) break;
    if ((s[at] != dash && s[at] != slash) || (sign != '\0' && s[at] != sign)) return false;
    sign = s[at];
  }
  return sign == dash || (sign == slash && numbers == 3 && year);
}

/// Bytes of a percent sign or word that begins the text.
HENCE_FN constexpr std::size_t percent_at(text s) {
  for (const text form : {text("\\%"), text("%"), text("\\text{%}"), text("\\text{\\%}"),
                          text("percent"), text("\\text{percent}"), text("\\text{ percent}")})
    if (starts_with(s, form)) return form.size();
  return 0;
}

/// Whether a text begins with what may be a variable, or a product of them.
HENCE_FN constexpr bool begins_term(text s) {
  std::size_t n = 0;
  while (n < s.size() && is_letter(s[n])) ++n;
  return n == 1 || (n == 2 && s[0] == 'm' && (s[1] == 'g' || s[1] == 's'));
}

/// Reads an answer from which `cleaned` took the wrappers.
template <class Isa, class Value = exact> constexpr basic_quantity<Value> read_quantity(text s) {
  basic_quantity<Value> q{fail(exact_fault::syntax), false, 0, false, 0};
  constexpr unit_code dollar = 28u << 4 | 9u, euro = 30u << 4 | 9u;
  bool negative = false;
  unit_code currency = 0;
  std::size_t at = 0;
  for (const text form : {text("-\\$"), text("-$"), text("\\$"), text("$"), text("\u20AC")}) {
    if (!starts_with(s, form)) continue;
    negative = form[0] == '-';
    currency = form[0] == '\xE2' ? euro : dollar;
    at = form.size();
    break;
  }
  const bool formula = at != 0 && s[at - 1] == '$' && (at == 1 || s[at - 2] != '\\');
  const bool in_parentheses = starts_with(s, "\\(");  // "\(5\) cm"
  s = slice(s, in_parentheses ? 2 : at);
  if (is_row_of_numbers(s)) return q;
  expression_reader<Isa, Value> reader(s,
                                       grammar::answer);  // refuses what is longer than 256 bytes
  const Value value = reader.read();
  if (!value.ok()) {
    q.value = value;
    return q;
  }
  q.operations = reader.operations();
  std::size_t end = reader.end();
  for (std::size_t n = layout_at<Isa>(s, end); n != 0; n = layout_at<Isa>(s, end)) end += n;
  text rest = slice(s, end);
  // TeX needs the space of `2\pi h`
  const bool adjacent = end == reader.end() || is_letter(s[reader.end() - 1]);
  if (formula && starts_with(rest, "$")) {  // "$5$ cm" is a formula, not money
    currency = 0;
    rest = trimmed(slice(rest, 1));
  }
  if (in_parentheses) {
    if (!starts_with(rest, "\\)")) return q;
    rest = trimmed(slice(rest, 2));
  }
  if (const std::size_t n = percent_at(rest); n != 0) {
    q.percent = true;
    rest = slice(rest, n);
  }
  if (currency == 0 && (equal(rest, "\\$") || equal(rest, "\u20AC"))) {  // 5 \$
    currency = rest[0] == '\\' ? dollar : euro;
    rest = {};
  }
  if (!read_unit<Isa>(rest, q.unit)) return q;
  q.letter = adjacent && begins_term(rest) && (q.unit >> 16 == 0 || (q.unit >> 16 & 0xF) > 8);
  if (currency != 0) {
    if (q.unit != 0 || q.percent) return q;
    q.unit = currency;
  }
  q.value = negative ? negated(value) : value;
  return q;
}

}  // namespace detail

/// Reads a whole answer as a number. O(size); more than 256 bytes are none.
template <class Isa = native_isa> constexpr quantity parse_quantity(text s) {
  char name = '\0';
  return detail::read_quantity<Isa>(detail::cleaned<Isa>(s, name));
}

}  // namespace hence::inline v0::reward
