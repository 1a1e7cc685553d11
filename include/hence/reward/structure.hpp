/// \file
/// Answers of several parts: sets, lists, tuples, intervals and unions of them, cut at the commas
/// that no bracket encloses.
#pragma once

#include <hence/reward/normal_text.hpp>

namespace hence::inline v0::reward::detail {

/// What encloses the parts. A list without brackets is a set.
enum class shape : std::uint8_t { single, unordered, ordered, union_of };

/// An answer's shape, its brackets and what they hold.
struct structure {
  shape form;
  char open, close;  // ( [ < { and their like; '\0' for a list or union without brackets
  text inside;
};

/// Bytes of the opening bracket at s[at] and its kind ('(', '[', '{' for a set, '<'); 0 for none.
template <class Isa> constexpr std::size_t opening_at(text s, std::size_t at, char& kind) {
  if (at >= s.size()) return 0;
  kind = s[at];
  if (kind == '(' || kind == '[') return 1;
  if (kind != '\\') return 0;
  if (stands_at(s, at, "\\{")) return kind = '{', std::size_t{2};
  if (command_at(s, at, "\\lbrace")) return kind = '{', std::size_t{7};
  if (command_at(s, at, "\\langle")) return kind = '<', std::size_t{7};
  return 0;
}
template <class Isa> constexpr std::size_t closing_at(text s, std::size_t at, char& kind) {
  kind = s[at];
  if (kind == ')' || kind == ']') return 1;
  if (kind != '\\') return 0;
  if (stands_at(s, at, "\\}")) return kind = '}', std::size_t{2};
  if (command_at(s, at, "\\rbrace")) return kind = '}', std::size_t{7};
  if (command_at(s, at, "\\rangle")) return kind = '>', std::size_t{7};
  return 0;
}

/// Walks the parts of a text at the bracket depth 0.
template <class Isa> class part_reader {
 public:
  constexpr part_reader(text s, bool at_unions) : s_(s), unions_(at_unions) {}
  /// The next part that is not blank; false at the end.
  constexpr bool next(text& part) {
    while (at_ < s_.size()) {
      const std::size_t begin = at_;
      std::size_t skip = 0;
      std::int64_t depth = 0;
      for (; at_ < s_.size(); ++at_) {
        char kind = '\0';
        if (depth <= 0 && (skip = separator()) != 0) break;
        if (const std::size_t n = opening_at<Isa>(s_, at_, kind); n != 0) {
          ++depth, at_ += n - 1;
        } else if (const std::size_t m = closing_at<Isa>(s_, at_, kind); m != 0) {
          --depth, at_ += m - 1;
        } else if (s_[at_] == '{') {
          ++depth;
        } else if (s_[at_] == '}') {
          --depth;
        } else if (s_[at_] == '\\') {
          ++at_;
        }
      }
      part = trimmed(slice(s_, begin, at_));
      at_ += skip;
      if (!part.empty()) return true;
    }
    return false;
  }

 private:
  constexpr std::size_t separator() const {
    if (unions_) return command_at(s_, at_, "\\cup") ? 4u : stands_at(s_, at_, "\u222A") ? 3u : 0u;
    if (s_[at_] == ',' || s_[at_] == ';') return 1;  // `next` steps over TeX's space `\;`
    for (const text word : {text(" and "), text(" or ")})
      if (stands_at(s_, at_, word)) return word.size();
    bool brace = false;  // \text{ and }
    const std::size_t font = font_at<Isa>(s_, at_, brace);
    if (font == 0 || !brace) return 0;
    std::size_t at = at_ + font;
    while (at < s_.size() && is_space(s_[at])) ++at;
    if (stands_at(s_, at, "and"))
      at += 3;
    else if (stands_at(s_, at, "or"))
      at += 2;
    else
      return 0;
    while (at < s_.size() && is_space(s_[at])) ++at;
    return at < s_.size() && s_[at] == '}' ? at + 1 - at_ : 0;
  }

  text s_;
  bool unions_;
  std::size_t at_ = 0;
};

/// How many parts there are, counted up to `most` + 1.
template <class Isa> constexpr int count_parts(text s, bool at_unions, int most) {
  part_reader<Isa> reader(s, at_unions);
  int n = 0;
  for (text part; n <= most && reader.next(part);) ++n;
  return n;
}

/// Takes the brackets off, if one pair encloses the whole text.
template <class Isa> constexpr bool take_brackets(text s, structure& found) {
  std::size_t begin = 0;
  for (std::size_t n = layout_at<Isa>(s, 0); n != 0; n = layout_at<Isa>(s, begin)) begin += n;
  char kind = '\0';
  const std::size_t size = opening_at<Isa>(s, begin, kind);
  if (size == 0) return false;
  std::int64_t depth = 0;
  for (std::size_t at = begin; at < s.size(); ++at) {
    char other = '\0';
    if (const std::size_t n = opening_at<Isa>(s, at, other); n != 0) {
      ++depth, at += n - 1;
    } else if (const std::size_t m = closing_at<Isa>(s, at, other); m != 0) {
      if (--depth == 0) {
        if (!is_blank(slice(s, at + m))) return false;
        text inside = trimmed(slice(s, begin + size, at));
        if (ends_with(inside, "\\right")) inside = trimmed(slice(inside, 0, inside.size() - 6));
        found = {kind == '{' ? shape::unordered : shape::ordered, kind, other, inside};
        return kind != '{' || other == '}';
      }
      at += m - 1;
    } else if (s[at] == '\\') {
      ++at;
    }
  }
  return false;
}

/// The structure of an answer. `single` if it has one part and no brackets of a set.
template <class Isa> constexpr structure structure_of(text s) {
  structure found{};
  if (count_parts<Isa>(s, true, 1) > 1) return {shape::union_of, '\0', '\0', s};
  if (take_brackets<Isa>(s, found) &&
      (found.form == shape::unordered || count_parts<Isa>(found.inside, false, 1) > 1))
    return found;
  if (count_parts<Isa>(s, false, 1) > 1) return {shape::unordered, '\0', '\0', s};
  return {shape::single, '\0', '\0', s};
}

}  // namespace hence::inline v0::reward::detail
