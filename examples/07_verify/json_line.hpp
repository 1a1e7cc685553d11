// The string members of one JSON object on one line: all that JSONL of responses needs.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

/// Reads {"name": "text", ...}. Other values (numbers, true, nested ones) are skipped.
class json_line {
 public:
  /// Empty if the line is no JSON object.
  static std::optional<json_line> read(std::string_view s) {
    json_line line;
    std::size_t at = 0;
    const auto skip = [&] { at = std::min(s.find_first_not_of(" \t\r\n", at), s.size()); };
    const auto take = [&](char c) {
      skip();
      if (at >= s.size() || s[at] != c) return false;
      ++at;
      return true;
    };
    if (!take('{')) return {};
    if (take('}')) return line;
    do {
      skip();
      const auto name = quoted(s, at);
      if (!name || !take(':')) return {};
      skip();
      if (at < s.size() && s[at] == '"') {
        const auto value = quoted(s, at);
        if (!value) return {};
        line.members_[*name] = *value;
      } else if (!pass_over(s, at)) {
        return {};
      }
    } while (take(','));
    if (!take('}')) return {};
    skip();
    return at == s.size() ? std::optional(line) : std::nullopt;
  }

  const std::string* find(const std::string& name) const {
    const auto it = members_.find(name);
    return it == members_.end() ? nullptr : &it->second;
  }

 private:
  static std::optional<std::string> quoted(std::string_view s, std::size_t& at) {
    if (at >= s.size() || s[at] != '"') return {};
    std::string out;
    for (++at; at < s.size() && s[at] != '"'; ++at) {
      if (s[at] != '\\') {
        out += s[at];
        continue;
      }
      if (++at == s.size()) return {};
      const std::string_view plain = "\"\\/bfnrt", meaning = "\"\\/\b\f\n\r\t";
      if (const auto i = plain.find(s[at]); i != plain.npos) {
        out += meaning[i];
      } else if (s[at] == 'u') {
        auto code = hex(s, at);
        if (code && *code >= 0xD800 && *code < 0xDC00 && s.substr(at + 1, 2) == "\\u") {
          at += 2;
          const auto low = hex(s, at);
          if (!low) return {};
          code = 0x10000 + ((*code - 0xD800) << 10) + (*low - 0xDC00);
        }
        if (!code) return {};
        append(out, *code);
      } else {
        return {};
      }
    }
    if (at == s.size()) return {};
    ++at;
    return out;
  }
  /// The four digits after s[at] == 'u'; `at` then stands on the last.
  static std::optional<std::uint32_t> hex(std::string_view s, std::size_t& at) {
    std::uint32_t code = 0;
    for (int i = 0; i < 4; ++i) {
      if (++at >= s.size()) return {};
      const std::string_view digits = "0123456789abcdef";
      const auto digit =
          digits.find(static_cast<char>(s[at] >= 'A' && s[at] <= 'F' ? s[at] + 32 : s[at]));
      if (digit == digits.npos) return {};
      code = code * 16 + static_cast<std::uint32_t>(digit);
    }
    return code;
  }
  static void append(std::string& out, std::uint32_t code) {
    const auto byte = [&](std::uint32_t x) { out += static_cast<char>(x); };
    if (code < 0x80) return byte(code);
    if (code < 0x800) return byte(0xC0 | code >> 6), byte(0x80 | (code & 0x3F));
    if (code < 0x10000)
      return byte(0xE0 | code >> 12), byte(0x80 | (code >> 6 & 0x3F)), byte(0x80 | (code & 0x3F));
    byte(0xF0 | code >> 18), byte(0x80 | (code >> 12 & 0x3F)), byte(0x80 | (code >> 6 & 0x3F)),
        byte(0x80 | (code & 0x3F));
  }
  static bool pass_over(std::string_view s, std::size_t& at) {
    const std::size_t begin = at;
    int depth = 0;
    for (; at < s.size(); ++at) {
      const char c = s[at];
      if (c == '"') {
        if (!quoted(s, at)) return false;
        --at;
      } else if (c == '[' || c == '{') {
        ++depth;
      } else if (depth > 0 && (c == ']' || c == '}')) {
        --depth;
      } else if (depth == 0 && (c == ',' || c == '}')) {
        break;
      }
    }
    return at > begin && depth == 0;
  }

  std::map<std::string, std::string> members_;
};
