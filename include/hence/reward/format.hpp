/// \file
/// The templates of DeepSeek-R1 and whether a response keeps to them. arXiv:2501.12948, table 1:
/// "The reasoning process and answer are enclosed within `<think>` `</think>` and `<answer>`
/// `</answer>` tags"; the format reward "enforces the model to put its thinking process between
/// '`<think>`' and
/// '`</think>`' tags" (2.2.2). The paper does not say how strictly: that is the argument.
#pragma once

#include <hence/core/view.hpp>
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

/// A response taken apart. Where the template does not hold, both parts are empty: nothing that a
/// malformed response says is an answer.
struct response {
  text thought;        ///< between `<think>` and `</think>`, trimmed
  text answer;         ///< in the `<answer>` tag, or what follows `</think>`, trimmed
  format_fault fault;  ///< the first reason that is true
  HENCE_FN constexpr bool ok() const { return fault == format_fault::none; }
};

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

template <class> inline constexpr bool says_how = false;

/// Without a matching: does not compile, since the paper states none.
template <class Unstated> constexpr matching must_say_how() {
  static_assert(says_how<Unstated>,
                "hence: say how strictly the template is matched: matching::strict or "
                "matching::lenient");
  return matching::strict;
}

}  // namespace detail

namespace format {

/// R1-Zero: `<think>thought</think><answer>answer</answer>`.
struct r1_zero {
  /// Does not compile: how strictly is to be said.
  template <class Unstated = void> constexpr r1_zero() : how(detail::must_say_how<Unstated>()) {}
  /// Strict or lenient.
  HENCE_FN constexpr explicit r1_zero(matching strictness) : how(strictness) {}
  matching how;  ///< `matching::strict` or `matching::lenient`
};
/// R1 and its chat template written in full: `<think>thought</think>summary`.
struct r1 {
  /// Does not compile: how strictly is to be said.
  template <class Unstated = void> constexpr r1() : how(detail::must_say_how<Unstated>()) {}
  /// Strict or lenient.
  HENCE_FN constexpr explicit r1(matching strictness) : how(strictness) {}
  matching how;  ///< `matching::strict` or `matching::lenient`
};
/// The distilled models' form: the prompt ended with `<think>`, so the response is
/// `thought</think>summary`. Lenient also takes a response that repeats the `<think>`.
struct opened_by_prompt {
  /// Does not compile: how strictly is to be said.
  template <class Unstated = void>
  constexpr opened_by_prompt() : how(detail::must_say_how<Unstated>()) {}
  /// Strict or lenient.
  HENCE_FN constexpr explicit opened_by_prompt(matching strictness) : how(strictness) {}
  matching how;  ///< `matching::strict` or `matching::lenient`
};

}  // namespace format

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

template <class Isa = native_isa>
constexpr tag_places find_tags(text s, bool opened_by_prompt = false) {
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

/// The parts, once their places are known.
HENCE_FN constexpr response parts(text thought, text answer) {
  const response r{trimmed(thought), trimmed(answer), format_fault::none};
  if (r.thought.empty()) return {{}, {}, format_fault::blank_thought};
  if (r.answer.empty()) return {{}, {}, format_fault::blank_answer};
  return r;
}

}  // namespace detail

/// Takes a response apart. O(size).
template <class Isa = native_isa> constexpr response parse(format::r1_zero f, text s) {
  using namespace detail;
  const tag_places p = find_tags<Isa>(s);
  const format_fault fault = shared_fault<Isa>(s, p, f.how, false, true);
  if (fault != format_fault::none) return {{}, {}, fault};
  const std::size_t begin = p.first[think_open] + tag_text[think_open].size();
  const std::size_t after_thought = p.thought_end + tag_text[think_close].size();
  if (f.how == matching::strict) {
    if (!is_blank(slice(s, 0, p.first[think_open]))) return {{}, {}, format_fault::text_before};
    if (!is_blank(slice(s, after_thought, p.answer_begin)))
      return {{}, {}, format_fault::text_between};
    if (!is_blank(slice(s, p.answer_end + tag_text[answer_close].size())))
      return {{}, {}, format_fault::text_after};
  }
  return parts(slice(s, begin, p.thought_end),
               slice(s, p.answer_begin + tag_text[answer_open].size(), p.answer_end));
}

/// \copydoc parse
template <class Isa = native_isa> constexpr response parse(format::r1 f, text s) {
  using namespace detail;
  const tag_places p = find_tags<Isa>(s);
  const format_fault fault = shared_fault<Isa>(s, p, f.how, false, false);
  if (fault != format_fault::none) return {{}, {}, fault};
  if (f.how == matching::strict && !is_blank(slice(s, 0, p.first[think_open])))
    return {{}, {}, format_fault::text_before};
  return parts(slice(s, p.first[think_open] + tag_text[think_open].size(), p.thought_end),
               slice(s, p.thought_end + tag_text[think_close].size()));
}

/// \copydoc parse
template <class Isa = native_isa> constexpr response parse(format::opened_by_prompt f, text s) {
  using namespace detail;
  const tag_places p = find_tags<Isa>(s, true);
  const format_fault fault = shared_fault<Isa>(s, p, f.how, true, false);
  if (fault != format_fault::none) return {{}, {}, fault};
  text thought = trimmed(slice(s, 0, p.thought_end));
  if (starts_with(thought, tag_text[think_open]))
    thought = slice(thought, tag_text[think_open].size());
  return parts(thought, slice(s, p.thought_end + tag_text[think_close].size()));
}

/// The parts point into the response: one that dies with the statement is refused.
template <class Isa = native_isa, class Format, class Owner>
  requires(hence::detail::dying_owner<Owner>)
constexpr response parse(const Format&, Owner&&) {
  static_assert(sizeof(Owner) == 0,
                "hence: the parts of a response point into it: keep it in a variable of its own");
  return {};
}

/// 1 where the template holds, else 0: R1's format reward. A user's own template is any type with a
/// `parse` found by argument-dependent lookup.
template <class Isa = native_isa, class Format>
constexpr double format_reward(const Format& f, text s) {
  constexpr bool is_format = requires { static_cast<bool>(parse(f, s).ok()); };
  static_assert(
      is_format,
      "hence: a format is one of reward::format with its matching, e.g. "
      "format::r1_zero{matching::strict}, or a type with a parse(format, text) of its own");
  if constexpr (is_format)
    return parse(f, s).ok() ? 1.0 : 0.0;
  else
    return 0.0;
}

namespace detail {

/// What stands before, between and behind the parts.
struct frame {
  text before, between, behind;
};
HENCE_FN constexpr frame frame_of(format::r1_zero) {
  return {"<think>", "</think><answer>", "</answer>"};
}
HENCE_FN constexpr frame frame_of(format::r1) { return {"<think>", "</think>", ""}; }
HENCE_FN constexpr frame frame_of(format::opened_by_prompt) { return {"", "</think>", ""}; }
template <class Format>
concept framed = requires(Format f) { frame_of(f); };

}  // namespace detail

/// The bytes of a template around a thought and an answer; `build` writes so many.
template <class Isa = native_isa, detail::framed Format>
constexpr std::size_t built_size(Format f, text thought, text answer) {
  const detail::frame x = detail::frame_of(f);
  return x.before.size() + thought.size() + x.between.size() + answer.size() + x.behind.size();
}

/// Writes the response that a template makes of its parts, `<think>thought</think><answer>answer
/// </answer>` for R1-Zero's, to `out`, which has `built_size` bytes.
/// \return the text written; `parse` gives the parts back if they are trimmed, not empty and hold
/// no tag.
template <class Isa = native_isa, detail::framed Format>
constexpr text build(Format f, text thought, text answer, char* out) {
  const detail::frame x = detail::frame_of(f);
  std::size_t n = 0;
  for (const text part : {x.before, thought, x.between, answer, x.behind})
    for (const char c : part) out[n++] = c;
  return text(out, n);
}

}  // namespace hence::inline v0::reward
