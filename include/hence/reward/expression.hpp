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
  if (!digits(value, places)) return refuse(exact_fault::overflow);
  bool has_digits = places > 0;
  const auto separator = [&] {
    return parentheses_ > 0 && next_is(',') ? 0 : separator_at<Isa>(s_, at_);
  };
  // separators of thousands: one to three digits, then groups of exactly three
  const auto is_group = [&](std::size_t at) {
    for (std::size_t i = 0; i < 3; ++i)
      if (at + i >= s_.size() || !is_digit(s_[at + i])) return false;
    return at + 3 >= s_.size() || !is_digit(s_[at + 3]);
  };
  if (extended && has_digits && places <= 3 && value != 0)
    for (std::size_t n = separator(); n != 0 && is_group(at_ + n); n = separator()) {
      at_ += n;
      for (int i = 0; i < 3; ++i, ++at_)
        if (!append(value, s_[at_])) return refuse(exact_fault::overflow);
    }
  exact x{value, 1, 1, 0, exact_fault::none};
  bool is_decimal = false;
  if (extended && next_is('.') && (has_digits || (at_ + 1 < s_.size() && is_digit(s_[at_ + 1])))) {
    is_decimal = true;
    ++at_;
    if (!digits(value, places)) return refuse(exact_fault::overflow);
    has_digits |= places > 0;
    if (places > 37) return refuse(exact_fault::overflow);
    wide scale = 1;
    for (int i = 0; i < places; ++i) scale *= 10;
    x = exact_ratio<Isa>(value, scale);
  }
  if (!has_digits) return refuse(exact_fault::syntax);
  if (extended && (next_is('e') || next_is('E'))) {
    std::size_t at = at_ + 1;
    const bool negative = at < s_.size() && s_[at] == '-';
    if (at < s_.size() && (s_[at] == '-' || s_[at] == '+')) ++at;
    if (at < s_.size() && is_digit(s_[at])) {
      at_ = at;
      wide n = 0;
      if (!digits(n, places)) return refuse(exact_fault::overflow);
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
  if (at_ == s_.size()) return whole;
  const std::size_t before = at_;
  skip();
  const bool spaced = at_ != before;
  if (at_ < s_.size() && !is_ascii(s_[at_]))
    for (const vulgar& v : vulgar_fractions)
      if (stands_at(s_, at_, v.form)) return checked(add<Isa>(whole, vulgar_value(v)));
  std::size_t size = 0;
  wide num = 0, den = 0;
  int places = 0;
  const auto number = [&](wide& n) {
    return digits(n, places) && places > 0 && bit_width(magnitude(n)) < 62;
  };
  bool found = false;
  if (symbol_at<Isa>(s_, at_, size) == symbol::fraction) {
    at_ += size;
    const auto group = [&](wide& n) {
      skip();
      if (at_ < s_.size() && is_digit(s_[at_])) {  // \frac12
        n = s_[at_++] - '0';
        return true;
      }
      if (!take('{')) return false;
      skip();
      if (!number(n)) return false;
      skip();
      return take('}');
    };
    found = group(num) && group(den);
  } else if (spaced && number(num) && take('/')) {
    found = number(den);
  }
  if (found && num > 0 && num < den) return checked(add<Isa>(whole, exact_ratio<Isa>(num, den)));
  at_ = before;
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
