/// \file
/// Exact values of arithmetic expressions, and the literals they are made of: integers, and in
/// answers separators of thousands, decimals, powers of ten and mixed numbers.
#pragma once

#include <hence/reward/expression_reader.hpp>

namespace hence::inline v0::reward {

namespace detail {

/// An integer, and in answers 1,234.5e-6 and mixed numbers.
template <class Isa, class Value>
constexpr Value expression_reader<Isa, Value>::literal_value(bool extended) {
  wide value = 0;
  int places = 0;
  if (!in_.digits(value, places)) return refuse(exact_fault::overflow);
  bool has_digits = places > 0;
  const auto separator = [&] {
    return parentheses_ > 0 && in_.next_is(',') ? 0 : separator_at<Isa>(in_.s, in_.at);
  };
  // separators of thousands: one to three digits, then groups of exactly three
  const auto is_group = [&](std::size_t at) {
    for (std::size_t i = 0; i < 3; ++i)
      if (at + i >= in_.s.size() || !is_digit(in_.s[at + i])) return false;
    return at + 3 >= in_.s.size() || !is_digit(in_.s[at + 3]);
  };
  if (extended && has_digits && places <= 3 && value != 0)
    for (std::size_t n = separator(); n != 0 && is_group(in_.at + n); n = separator()) {
      in_.at += n;
      for (int i = 0; i < 3; ++i, ++in_.at)
        if (!in_.append(value, in_.s[in_.at])) return refuse(exact_fault::overflow);
    }
  exact x{value, 1, 1, 0, exact_fault::none};
  bool is_decimal = false;
  if (extended && in_.next_is('.') &&
      (has_digits || (in_.at + 1 < in_.s.size() && is_digit(in_.s[in_.at + 1])))) {
    is_decimal = true;
    ++in_.at;
    if (!in_.digits(value, places)) return refuse(exact_fault::overflow);
    has_digits = true;  // before the point or behind it
    if (places > 37) return refuse(exact_fault::overflow);
    wide scale = 1;
    for (int i = 0; i < places; ++i) scale *= 10;
    x = exact_ratio<Isa>(value, scale);
  }
  if (!has_digits) return refuse(exact_fault::syntax);
  if (extended && (in_.next_is('e') || in_.next_is('E'))) {
    std::size_t at = in_.at + 1;
    const bool negative = at < in_.s.size() && in_.s[at] == '-';
    if (at < in_.s.size() && (in_.s[at] == '-' || in_.s[at] == '+')) ++at;
    if (at < in_.s.size() && is_digit(in_.s[at])) {
      in_.at = at;
      wide n = 0;
      if (!in_.digits(n, places)) return refuse(exact_fault::overflow);
      if (x.num == 0) return x;
      return checked(
          multiply<Isa>(x, power<Isa>(exact{10, 1, 1, 0, exact_fault::none}, negative ? -n : n)));
    }
  }
  if (literal_ != nullptr && literals_ < most_literals) literal_[literals_] = value;
  ++literals_;
  return extended && !is_decimal ? fraction_part(x) : x;
}

/// A mixed number's fraction, where one follows an integer: `3\frac{1}{2}`, 3 1/2, 3(U+00BD). Only
/// a proper fraction of plain integers; anything else is a product or left alone.
template <class Isa, class Value>
constexpr Value expression_reader<Isa, Value>::fraction_part(exact whole) {
  if (in_.ends()) return whole;
  const std::size_t before = in_.at;
  in_.skip();
  const bool spaced = in_.at != before;
  if (in_.at < in_.s.size() && !is_ascii(in_.s[in_.at]))
    for (const vulgar& v : vulgar_fractions)
      if (stands_at(in_.s, in_.at, v.form)) return checked(add<Isa>(whole, vulgar_value(v)));
  std::size_t size = 0;
  wide num = 0, den = 0;
  int places = 0;
  const auto number = [&](wide& n) {  // 0 where there is none
    return in_.digits(n, places) && bit_width(magnitude(n)) < 62;
  };
  bool found = false;
  if (symbol_at<Isa>(in_.s, in_.at, size) == symbol::fraction) {
    in_.at += size;
    const auto group = [&](wide& n) {
      in_.skip();
      if (in_.next_is_digit()) {  // \frac12
        n = in_.s[in_.at++] - '0';
        return true;
      }
      if (!in_.take('{')) return false;
      in_.skip();
      if (!number(n)) return false;
      in_.skip();
      return in_.take('}');
    };
    found = group(num) && group(den);
  } else if (spaced && number(num) && in_.take('/')) {
    found = number(den);
  }
  if (found && num > 0 && num < den) return checked(add<Isa>(whole, exact_ratio<Isa>(num, den)));
  in_.at = before;
  return whole;
}

}  // namespace detail

/// The exact value of a whole text, or why it has none.
template <class Isa = native_isa> constexpr exact evaluate_exactly(text s, grammar g) {
  detail::expression_reader<Isa> reader(trimmed(s), g);
  const exact x = reader.read();
  if (x.ok() && reader.end() != trimmed(s).size()) return detail::fail(exact_fault::syntax);
  return x;
}

}  // namespace hence::inline v0::reward
