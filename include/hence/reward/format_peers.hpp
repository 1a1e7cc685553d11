/// \file
/// The format rewards of TRL and open-r1, decision for decision, without their regular expressions.
/// They differ from each other and from the paper; each comment says what it lets through.
#pragma once

#include <hence/reward/text.hpp>

namespace hence::inline v0::reward {

namespace format {

/// TRL's `think_format_reward`, a pattern matched at the start: the response begins with `<think>`,
/// no second one follows, a `</think>` does. An empty thought, a second `</think>` and an empty
/// summary pass.
struct trl_think {};

/// open-r1's `format_reward`, a pattern matched at the start with DOTALL and MULTILINE: the lines
/// `<think>`, thought, `</think>`, `<answer>`, answer, `</answer>`, nothing before. Repeated tags
/// pass, and so does any text after a line that ends in `</answer>`.
struct open_r1 {};

/// open-r1's `tag_count_reward`: a quarter for each tag that stands exactly once with the line
/// feeds around it. The order is not looked at.
struct open_r1_tag_count {};

}  // namespace format

/// 1 or 0, as the library named by the type gives.
template <class Isa = native_isa> constexpr double format_reward(format::trl_think, text s) {
  constexpr text open = "<think>", close = "</think>";
  return starts_with(s, open) && find<Isa>(s, open, open.size()) == npos &&
                 find<Isa>(s, close, open.size()) != npos
             ? 1.0
             : 0.0;
}

/// 1 or 0, as the library named by the type gives.
template <class Isa = native_isa> constexpr double format_reward(format::open_r1, text s) {
  constexpr text open = "<think>\n", middle = "\n</think>\n<answer>\n", close = "\n</answer>";
  if (!starts_with(s, open)) return 0.0;
  std::size_t at = find<Isa>(s, middle, open.size());
  if (at == npos) return 0.0;
  for (at = find<Isa>(s, close, at + middle.size()); at != npos; at = find<Isa>(s, close, at + 1)) {
    const std::size_t end = at + close.size();  // $ stands at the end and before every line feed
    if (end == s.size() || s[end] == '\n') return 1.0;
  }
  return 0.0;
}

/// 0, 0.25, 0.5, 0.75 or 1.
template <class Isa = native_isa>
constexpr double format_reward(format::open_r1_tag_count, text s) {
  double sum = 0;
  for (const text tag :
       {text("<think>\n"), text("\n</think>\n"), text("\n<answer>\n"), text("\n</answer>")})
    sum += count<Isa>(s, tag) == 1 ? 0.25 : 0.0;
  return sum;
}

}  // namespace hence::inline v0::reward
