/// \file
/// The templates of DeepSeek-R1 and whether a response keeps to them. arXiv:2501.12948, table 1:
/// "The reasoning process and answer are enclosed within `<think>` `</think>` and `<answer>`
/// `</answer>` tags"; the format reward "enforces the model to put its thinking process between
/// '`<think>`' and
/// '`</think>`' tags" (2.2.2). The paper does not say how strictly: that is the argument.
#pragma once

#include <hence/core/view.hpp>
#include <hence/reward/format_tags.hpp>

namespace hence::inline v0::reward {

/// A response taken apart. Where the template does not hold, both parts are empty: nothing that a
/// malformed response says is an answer.
struct response {
  text thought;        ///< between `<think>` and `</think>`, trimmed
  text answer;         ///< in the `<answer>` tag, or what follows `</think>`, trimmed
  format_fault fault;  ///< the first reason that is true
  HENCE_FN constexpr bool ok() const { return fault == format_fault::none; }
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
/// R1-Zero's form after a prompt that ended with `<think>`:
/// `thought</think><answer>answer</answer>`. Lenient also takes a response that repeats the
/// `<think>`.
struct r1_zero_opened_by_prompt {
  /// Does not compile: how strictly is to be said.
  template <class Unstated = void>
  constexpr r1_zero_opened_by_prompt() : how(detail::must_say_how<Unstated>()) {}
  /// Strict or lenient.
  HENCE_FN constexpr explicit r1_zero_opened_by_prompt(matching strictness) : how(strictness) {}
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

/// The parts, once their places are known.
HENCE_FN constexpr response parts(text thought, text answer) {
  const response r{trimmed(thought), trimmed(answer), format_fault::none};
  if (r.thought.empty()) return {{}, {}, format_fault::blank_thought};
  if (r.answer.empty()) return {{}, {}, format_fault::blank_answer};
  return r;
}

}  // namespace detail

namespace detail {

/// Takes a response apart by a template: whether the prompt ended with `<think>`, and whether the
/// answer has tags of its own.
template <class Isa>
constexpr response parse_template(matching how, text s, bool prompt_opens, bool has_answer_tag) {
  const tag_places p = find_tags<Isa>(s, prompt_opens);
  const format_fault fault = shared_fault<Isa>(s, p, how, prompt_opens, has_answer_tag);
  if (fault != format_fault::none) return {{}, {}, fault};
  const std::size_t begin = prompt_opens ? 0 : p.first[think_open];
  const std::size_t after_thought = p.thought_end + tag_text[think_close].size();
  if (how == matching::strict) {
    if (!is_blank(slice(s, 0, begin))) return {{}, {}, format_fault::text_before};
    if (has_answer_tag && !is_blank(slice(s, after_thought, p.answer_begin)))
      return {{}, {}, format_fault::text_between};
    if (has_answer_tag && !is_blank(slice(s, p.answer_end + tag_text[answer_close].size())))
      return {{}, {}, format_fault::text_after};
  }
  text thought = trimmed(slice(s, begin, p.thought_end));
  if (starts_with(thought, tag_text[think_open]))
    thought = slice(thought, tag_text[think_open].size());
  return parts(thought, has_answer_tag
                            ? slice(s, p.answer_begin + tag_text[answer_open].size(), p.answer_end)
                            : slice(s, after_thought));
}

}  // namespace detail

/// Takes a response apart. O(size).
template <class Isa = native_isa> constexpr response parse(format::r1_zero f, text s) {
  return detail::parse_template<Isa>(f.how, s, false, true);
}
/// \copydoc parse
template <class Isa = native_isa>
constexpr response parse(format::r1_zero_opened_by_prompt f, text s) {
  return detail::parse_template<Isa>(f.how, s, true, true);
}
/// \copydoc parse
template <class Isa = native_isa> constexpr response parse(format::r1 f, text s) {
  return detail::parse_template<Isa>(f.how, s, false, false);
}
/// \copydoc parse
template <class Isa = native_isa> constexpr response parse(format::opened_by_prompt f, text s) {
  return detail::parse_template<Isa>(f.how, s, true, false);
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
HENCE_FN constexpr frame frame_of(format::r1_zero_opened_by_prompt) {
  return {"", "</think><answer>", "</answer>"};
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
