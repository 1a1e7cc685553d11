/// \file
/// An answer as a number with a percent sign or a unit, and the wrappers around answers: dollars,
/// `\boxed`, `\text`, "x =", a full stop.
#pragma once

#include <hence/reward/expression.hpp>
#include <hence/reward/units.hpp>

namespace hence::inline v0::reward {

/// An exact number, what stands behind it, and whether there is one at all.
struct quantity {
  exact value;
  bool percent;
  unit_code unit;  ///< 0: none
  int operations;  ///< what is left to compute: 0 for 3/4, 1 for 17*23
  HENCE_FN constexpr bool ok() const { return value.ok(); }
};

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

/// s without one pair of wrappers or one prefix or suffix that says nothing; s itself if there is
/// none.
template <class Isa> constexpr text unwrapped(text s) {
  if (s.empty() || (is_digit(s[0]) && is_digit(s[s.size() - 1]))) return s;
  for (const text w : {text("$$"), text("$"), text("**"), text("`"), text("\"")})
    if (s.size() > 2 * w.size() && starts_with(s, w) && ends_with(s, w) &&
        find<Isa>(slice(s, w.size(), s.size() - w.size()), w) == npos)
      return slice(s, w.size(), s.size() - w.size());
  if (starts_with(s, "\\(") && ends_with(s, "\\)")) return slice(s, 2, s.size() - 2);
  if (starts_with(s, "\\[") && ends_with(s, "\\]")) return slice(s, 2, s.size() - 2);
  bool brace = false;
  if (ends_with(s, "}")) {
    const std::size_t n = font_at<Isa>(s, 0, brace);
    if (n != 0 && brace && closing_brace<Isa>(s, n - 1) == s.size() - 1)
      return slice(s, n, s.size() - 1);
  }
  if (s.size() > 1 && (ends_with(s, ".") || ends_with(s, ",") || ends_with(s, ";")) &&
      !ends_with(s, "..") && !ends_with(s, "\\;") && !ends_with(s, "\\,"))
    return slice(s, 0, s.size() - 1);
  for (const text space : {text("\\;"), text("\\,"), text("\\!"), text("\\ ")}) {
    if (starts_with(s, space)) return slice(s, space.size());
    if (s.size() > 2 && ends_with(s, space) && s[s.size() - 3] != '\\')
      return slice(s, 0, s.size() - space.size());
  }
  // "x = 5": a variable is defined, its value is the answer
  std::size_t at = is_letter(s[0]) ? 1 : 0;
  if (at == 1) {
    while (at < s.size() && is_space(s[at])) ++at;
    if (at < s.size() && s[at] == '=' && find<Isa>(s, "=", at + 1) == npos) return slice(s, at + 1);
    if (command_at(s, at, "\\in")) return slice(s, at + 3);
    if (stands_at(s, at, "\u2208")) return slice(s, at + 3);
  }
  return s;
}

/// At most eight layers, so that a million of them cost no more than eight passes.
template <class Isa> constexpr text cleaned(text s) {
  s = trimmed(s);
  for (int i = 0; i < 8; ++i) {
    const text t = trimmed(unwrapped<Isa>(s));
    if (t.size() == s.size()) break;
    s = t;
  }
  return s;
}

/// Bytes of a percent sign or word that begins the text.
HENCE_FN constexpr std::size_t percent_at(text s) {
  for (const text form : {text("\\%"), text("%"), text("\\text{%}"), text("\\text{\\%}"),
                          text("percent"), text("\\text{percent}"), text("\\text{ percent}")})
    if (starts_with(s, form)) return form.size();
  return 0;
}

/// Reads an answer from which `cleaned` took the wrappers.
template <class Isa> constexpr quantity read_quantity(text s) {
  quantity q{fail(exact_fault::syntax), false, 0, 0};
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
  s = slice(s, at);
  if (s.size() > longest_expression + 64) return q;
  expression_reader<Isa> reader(s, grammar::answer);
  const exact value = reader.read();
  if (!value.ok()) {
    q.value = value;
    return q;
  }
  q.operations = reader.operations();
  std::size_t end = reader.end();
  for (std::size_t n = layout_at<Isa>(s, end); n != 0; n = layout_at<Isa>(s, end)) end += n;
  text rest = slice(s, end);
  if (const std::size_t n = percent_at(rest); n != 0) {
    q.percent = true;
    rest = slice(rest, n);
  }
  if (!read_unit<Isa>(rest, q.unit)) return q;
  if (currency != 0) {
    if (q.unit != 0 || q.percent) return q;
    q.unit = currency;
  }
  q.value = negative ? negated(value) : value;
  return q;
}

}  // namespace detail

/// Reads a whole answer as a number. O(size) and at most 320 bytes of it are a number.
template <class Isa = native_isa> constexpr quantity parse_quantity(text s) {
  return detail::read_quantity<Isa>(detail::cleaned<Isa>(s));
}

}  // namespace hence::inline v0::reward
