/// \file
/// Where the tags of a response stand and what is wrong with them: all that the templates share.
#pragma once

#include <hence/reward/text.hpp>

namespace hence::inline v0::reward {

/// Why a response does not keep to its template; the first of these that is true.
enum class format_fault : std::uint8_t {
  none,
  blank,            ///< nothing but white space
  no_think_open,    ///< there is no `<think>`
  no_think_close,   ///< there is no `</think>`
  no_answer_open,   ///< there is no `<answer>`
  no_answer_close,  ///< there is no `</answer>`
  unexpected_tag,   ///< strict: a tag that this template does not have
  repeated_tag,     ///< strict: one of the tags stands twice
  wrong_order,      ///< the tags are there, in another order
  text_before,      ///< strict: text before the first tag
  text_between,     ///< strict: text between `</think>` and `<answer>`
  text_after,       ///< strict: text after `</answer>`
  blank_thought,    ///< nothing between `<think>` and `</think>`
  blank_answer,     ///< nothing in the answer
};

/// The fault's name, for logs and metrics.
template <class Isa = native_isa> constexpr const char* name_of(format_fault f) {
  constexpr const char* names[] = {"none",           "blank",          "no_think_open",
                                   "no_think_close", "no_answer_open", "no_answer_close",
                                   "unexpected_tag", "repeated_tag",   "wrong_order",
                                   "text_before",    "text_between",   "text_after",
                                   "blank_thought",  "blank_answer"};
  return names[static_cast<unsigned>(f)];
}

/// How a template is matched.
enum class matching : std::uint8_t {
  /// Each tag once, in order, white space alone outside them.
  strict,
  /// The first `<think>`, the first `</think>` after it, and the last complete `<answer>` after
  /// that; any
  /// text around them.
  lenient,
};

namespace detail {

enum tag : unsigned { think_open, think_close, answer_open, answer_close, tags };
inline constexpr text tag_text[tags] = {"<think>", "</think>", "<answer>", "</answer>"};

/// What one pass finds.
struct tag_places {
  std::size_t number[tags];
  std::size_t first[tags];
  std::size_t last[tags];
  /// The first `</think>` after the first `<think>`, or the first of all where none opens.
  std::size_t thought_end;
  /// The last `<answer>` and the `</answer>` that closes it, both after `thought_end`.
  std::size_t answer_begin, answer_end;
};

template <class Isa = native_isa> constexpr tag_places find_tags(text s, bool opened_by_prompt) {
  tag_places p{{}, {npos, npos, npos, npos}, {npos, npos, npos, npos}, npos, npos, npos};
  std::size_t open = npos;  // the latest <answer> without its </answer>
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (s[i] != '<') continue;
    unsigned t = 0;
    while (t < tags && !stands_at(s, i, tag_text[t])) ++t;
    if (t == tags) continue;
    if (p.number[t]++ == 0) p.first[t] = i;
    p.last[t] = i;
    if (t == think_close && p.thought_end == npos && (opened_by_prompt || p.number[think_open] > 0))
      p.thought_end = i;
    if (p.thought_end == npos) continue;
    if (t == answer_open) open = i;
    if (t == answer_close && open != npos) p.answer_begin = open, p.answer_end = i, open = npos;
  }
  return p;
}

/// The faults that every template shares, in the order of `format_fault`.
template <class Isa = native_isa>
constexpr format_fault shared_fault(text s, const tag_places& p, matching how, bool prompt_opens,
                                    bool has_answer_tag) {
  using enum format_fault;
  if (is_blank(s)) return blank;
  if (!prompt_opens && p.number[think_open] == 0) return no_think_open;
  if (p.number[think_close] == 0) return no_think_close;
  if (has_answer_tag && p.number[answer_open] == 0) return no_answer_open;
  if (has_answer_tag && p.number[answer_close] == 0) return no_answer_close;
  if (how == matching::strict) {
    for (unsigned t = 0; t < tags; ++t) {
      if (p.number[t] > 0 &&
          ((t == think_open && prompt_opens) || (t >= answer_open && !has_answer_tag)))
        return unexpected_tag;
    }
    for (unsigned t = 0; t < tags; ++t)
      if (p.number[t] > 1) return repeated_tag;
  }
  if (p.thought_end == npos || (has_answer_tag && p.answer_end == npos)) return wrong_order;
  return none;
}

}  // namespace detail

}  // namespace hence::inline v0::reward
