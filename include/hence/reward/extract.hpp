/// \file
/// Where the final answer stands in a response's answer part: the last `\boxed{}` or all of it.
/// Tags are a format's: apply its `parse` first, for what stands in the thought is no answer.
#pragma once

#include <hence/core/view.hpp>
#include <hence/reward/quantity.hpp>

namespace hence::inline v0::reward {

/// Why no answer was found.
enum class extract_fault : std::uint8_t {
  none,
  missing,     ///< no `\boxed`, no tag
  unbalanced,  ///< its brace or tag is not closed
  blank,       ///< there is nothing in it
  several,     ///< `only_boxed`: different boxes
};

/// A part of a response, or why there is none.
struct extraction {
  text answer;
  extract_fault fault;
  HENCE_FN constexpr bool ok() const { return fault == extract_fault::none; }
};

namespace extract {

/// The last `\boxed{...}` or `\fbox{...}` of all, its braces balanced. One that is never closed is
/// no answer, even if an earlier one is. The convention of MATH's and of most checkers.
struct last_boxed {};
/// The only one: several boxes are no answer unless they hold the same text.
struct only_boxed {};
/// The whole text, trimmed: what stands in an `<answer>` tag.
struct whole {};
/// The last box if there is a `\boxed`, else the whole text: a sentence around an answer that is
/// not boxed stays one and equals no number.
struct boxed_or_whole {};

}  // namespace extract

namespace detail {

HENCE_FN constexpr extraction found(text s) {
  s = trimmed(s);
  return s.empty() ? extraction{{}, extract_fault::blank} : extraction{s, extract_fault::none};
}

/// The box whose backslash stands at s[at] (`opens_box` found its brace).
template <class Isa> constexpr extraction box_at(text s, std::size_t at) {
  while (s[at] != '{') ++at;  // there is one
  const std::size_t end = closing_brace<Isa>(s, at);
  if (end == npos) return {{}, extract_fault::unbalanced};
  return found(slice(s, at + 1, end));
}
/// Whether `\boxed{` or `\fbox{` stands at s[at], spaces before the brace allowed.
template <class Isa> constexpr bool opens_box(text s, std::size_t at) {
  for (const text name : {text("\\boxed"), text("\\fbox")}) {
    if (!stands_at(s, at, name)) continue;
    std::size_t end = at + name.size();
    while (end < s.size() && s[end] == ' ') ++end;
    if (end < s.size() && s[end] == '{') return true;
  }
  return false;
}

}  // namespace detail

/// Finds the answer. O(size).
template <class Isa = native_isa> constexpr extraction find_answer(extract::last_boxed, text s) {
  for (std::size_t at = s.size(); at-- > 0;)
    if (s[at] == '\\' && detail::opens_box<Isa>(s, at)) return detail::box_at<Isa>(s, at);
  return {{}, extract_fault::missing};
}

/// \copydoc find_answer
template <class Isa = native_isa> constexpr extraction find_answer(extract::only_boxed, text s) {
  extraction first{{}, extract_fault::missing};
  for (std::size_t at = 0; at < s.size(); ++at) {
    if (s[at] != '\\') continue;
    if (!detail::opens_box<Isa>(s, at)) continue;
    const extraction box = detail::box_at<Isa>(s, at);
    if (!box.ok()) return box;
    if (first.ok() && !same_text<Isa>(first.answer, box.answer))
      return {{}, extract_fault::several};
    first = box;
    at = static_cast<std::size_t>(box.answer.data() - s.data()) + box.answer.size();
  }
  return first;
}

/// \copydoc find_answer
template <class Isa = native_isa> constexpr extraction find_answer(extract::whole, text s) {
  return detail::found(s);
}

/// \copydoc find_answer
template <class Isa = native_isa>
constexpr extraction find_answer(extract::boxed_or_whole, text s) {
  const extraction box = find_answer<Isa>(extract::last_boxed{}, s);
  return box.fault == extract_fault::missing ? detail::found(s) : box;
}

/// The answer points into the text: one that dies with the statement is refused.
template <class Isa = native_isa, class Where, class Owner>
  requires(hence::detail::dying_owner<Owner>)
constexpr extraction find_answer(const Where&, Owner&&) {
  static_assert(sizeof(Owner) == 0,
                "hence: the answer points into the text: keep the text in a variable of its own");
  return {};
}

/// The bytes that `build` writes.
HENCE_FN constexpr std::size_t built_size(extract::last_boxed, text answer) {
  return answer.size() + 8;
}

/// Writes `\boxed{answer}` to `out`, which has `built_size` bytes.
/// \return the text written; `find_answer` gives the answer back if it is trimmed, not empty, its
/// braces balance (none closes before it opens), it ends in no backslash and holds no box.
template <class Isa = native_isa>
constexpr text build(extract::last_boxed, text answer, char* out) {
  std::size_t n = 0;
  for (const text part : {text("\\boxed{"), answer, text("}")})
    for (const char c : part) out[n++] = c;
  return text(out, n);
}

}  // namespace hence::inline v0::reward
