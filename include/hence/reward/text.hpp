/// \file
/// Text as rewards see it: UTF-8 bytes in a `std::string_view`, read left to right. No locale, no
/// regular expression, no allocation; any bytes are legal input, and what is not UTF-8 reads as
/// U+FFFD, one byte at a time.
#pragma once

#include <hence/core/isa.hpp>

#include <cstddef>      // size_t
#include <cstdint>      // uint32_t
#include <string_view>  // string_view

/// Rule-based rewards: functions of a response's text and of its length. All of them are pure, take
/// any bytes, run in time linear in their input and allocate nothing.
namespace hence::inline v0::reward {

/// Bytes that the caller owns, UTF-8 unless broken.
using text = std::string_view;

/// Where nothing was found.
inline constexpr std::size_t npos = static_cast<std::size_t>(-1);

/// 0 to 9.
HENCE_FN constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
/// A to Z.
HENCE_FN constexpr bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
/// a to z.
HENCE_FN constexpr bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
/// A to Z, a to z.
HENCE_FN constexpr bool is_letter(char c) { return is_upper(c) || is_lower(c); }
/// The six bytes that C calls white space. U+00A0 and its kin are not: they make a text differ.
HENCE_FN constexpr bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
/// Below 0x80.
HENCE_FN constexpr bool is_ascii(char c) { return static_cast<unsigned char>(c) < 0x80; }
/// The small letter of a capital one; others stay.
HENCE_FN constexpr char lowered(char c) { return is_upper(c) ? static_cast<char>(c + 32) : c; }

/// s[from, to), cut to the text; empty where that is empty.
HENCE_FN constexpr text slice(text s, std::size_t from, std::size_t to = npos) {
  if (to > s.size()) to = s.size();
  return from < to ? text(s.data() + from, to - from) : text();
}

/// Without ASCII white space at both ends.
HENCE_FN constexpr text trimmed(text s) {
  std::size_t from = 0, to = s.size();
  while (from < to && is_space(s[from])) ++from;
  while (to > from && is_space(s[to - 1])) --to;
  return slice(s, from, to);
}
/// Whether it is white space alone, or empty.
HENCE_FN constexpr bool is_blank(text s) {
  for (const char c : s)
    if (!is_space(c)) return false;
  return true;
}

/// Whether `part` stands at s[at, ...).
HENCE_FN constexpr bool stands_at(text s, std::size_t at, text part) {
  if (at > s.size() || s.size() - at < part.size()) return false;
  for (std::size_t i = 0; i < part.size(); ++i)
    if (s[at + i] != part[i]) return false;
  return true;
}
/// Whether s begins with part.
HENCE_FN constexpr bool starts_with(text s, text part) { return stands_at(s, 0, part); }
/// Whether s ends with part.
HENCE_FN constexpr bool ends_with(text s, text part) {
  return s.size() >= part.size() && stands_at(s, s.size() - part.size(), part);
}
/// Byte by byte.
HENCE_FN constexpr bool equal(text a, text b) { return a.size() == b.size() && stands_at(a, 0, b); }

/// The first place at or after `from` where `part` stands, or npos. O(size) for the short parts
/// that rewards look for (at most a few dozen bytes).
template <class Isa = native_isa>
constexpr std::size_t find(text s, text part, std::size_t from = 0) {
  if (part.empty()) return from <= s.size() ? from : npos;
  for (std::size_t i = from; i < s.size(); ++i)
    if (s[i] == part[0] && stands_at(s, i, part)) return i;
  return npos;
}
/// The last place where `part` stands, or npos.
template <class Isa = native_isa> constexpr std::size_t find_last(text s, text part) {
  if (part.size() > s.size()) return npos;
  for (std::size_t i = s.size() - part.size() + 1; i-- > 0;)
    if (stands_at(s, i, part)) return i;
  return npos;
}
/// How often `part` stands in `s` without overlap, as Python's `str.count`.
template <class Isa = native_isa> constexpr std::size_t count(text s, text part) {
  std::size_t n = 0;
  for (std::size_t at = find<Isa>(s, part); at != npos; at = find<Isa>(s, part, at + part.size()))
    ++n;
  return n;
}

/// One code point of a text.
struct code_point {
  std::uint32_t value;  ///< U+FFFD if the bytes are not UTF-8
  std::size_t bytes;    ///< 1 to 4, or 1 for a byte that is not UTF-8
};

/// The code point at s[at], at < s.size(). Overlong forms, surrogates and values above U+10FFFF are
/// not UTF-8.
template <class Isa = native_isa> constexpr code_point decode(text s, std::size_t at) {
  const auto byte = [&](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(s[i]));
  };
  const std::uint32_t lead = byte(at);
  if (lead < 0x80) return {lead, 1};
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  constexpr std::uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
  std::uint32_t value = lead & (0x7Fu >> length);
  bool sound = lead >= 0xC2 && lead <= 0xF4 && s.size() - at >= length;
  for (std::size_t i = 1; sound && i < length; ++i) {
    sound = (byte(at + i) & 0xC0u) == 0x80u;
    value = value << 6 | (byte(at + i) & 0x3Fu);
  }
  sound = sound && value >= least[length] && value <= 0x10FFFF && (value & 0xFFFFF800u) != 0xD800;
  return sound ? code_point{value, length} : code_point{0xFFFD, 1};
}

}  // namespace hence::inline v0::reward
