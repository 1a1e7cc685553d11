// PTX cut into words, numbers and punctuation.
#pragma once

#include "text.hpp"

#include <bit>
#include <cctype>
#include <string_view>

namespace ptx {

struct token {
  enum class kind { word, number, text, mark, end };
  kind is = kind::end;
  std::string_view text{};  // of a mark: one character
  std::uint64_t bits = 0;   // of a number
  int line = 0;

  bool operator==(std::string_view other) const { return text == other; }
};

namespace detail {

inline bool begins_word(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$' || c == '%' ||
         c == '.';
}
inline bool goes_on(char c) {
  return begins_word(c) || std::isdigit(static_cast<unsigned char>(c)) != 0;
}

/// 12, 0x1f, 017, 0b1, 12U, 0f3F800000 (the bits of a float), 0d... (of a double).
inline std::uint64_t number(std::string_view text, int line) {
  std::string digits(text);
  while (!digits.empty() && digits.back() == 'U') digits.pop_back();
  int base = 10;
  std::size_t skip = 0;
  if (digits.size() > 1 && digits[0] == '0') {
    const char c = digits[1];
    if (c == 'x' || c == 'X' || c == 'f' || c == 'F' || c == 'd' || c == 'D')
      base = 16, skip = 2;
    else if (c == 'b' || c == 'B')
      base = 2, skip = 2;
    else
      base = 8, skip = 1;
  }
  std::size_t used = 0;
  std::uint64_t bits = 0;
  try {
    bits = std::stoull(digits.substr(skip), &used, base);
  } catch (const std::exception&) {
    used = 0;
  }
  if (used == 0 || used + skip != digits.size())
    throw refusal("line " + std::to_string(line) + ": not a number: " + std::string(text));
  return bits;
}

}  // namespace detail

/// The tokens of a text, ended by one of kind `end`. Comments are dropped.
inline std::vector<token> tokens_of(std::string_view text) {
  std::vector<token> out;
  int line = 1;
  std::size_t i = 0;
  const auto next_is = [&](std::string_view what) { return text.substr(i).starts_with(what); };
  while (i < text.size()) {
    const char c = text[i];
    if (c == '\n') ++line;
    if (c == '\0') break;
    if (std::isspace(static_cast<unsigned char>(c)) != 0) {
      ++i;
    } else if (next_is("//")) {
      while (i < text.size() && text[i] != '\n') ++i;
    } else if (next_is("/*")) {
      for (i += 2; i < text.size() && !next_is("*/"); ++i) line += text[i] == '\n' ? 1 : 0;
      i += 2;
    } else if (c == '"') {
      const std::size_t begin = ++i;
      while (i < text.size() && text[i] != '"') ++i;
      out.push_back({token::kind::text, text.substr(begin, i++ - begin), 0, line});
    } else if (std::isdigit(static_cast<unsigned char>(c)) != 0) {
      const std::size_t begin = i;
      while (i < text.size() && std::isalnum(static_cast<unsigned char>(text[i])) != 0) ++i;
      const std::string_view word = text.substr(begin, i - begin);
      out.push_back({token::kind::number, word, detail::number(word, line), line});
    } else if (detail::begins_word(c)) {
      const std::size_t begin = i;
      while (i < text.size() && (detail::goes_on(text[i]) || next_is("::")))
        i += text[i] == ':' ? 2u : 1u;
      out.push_back({token::kind::word, text.substr(begin, i - begin), 0, line});
    } else {
      out.push_back({token::kind::mark, text.substr(i++, 1), 0, line});
    }
  }
  out.push_back({token::kind::end, {}, 0, line});
  return out;
}

}  // namespace ptx
