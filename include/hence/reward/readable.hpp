/// \file
/// Whether a chain of thought is one to train on: R1's stage 3 "filtered out chain-of-thought with
/// mixed languages, long paragraphs, and code blocks" (arXiv:2501.12948, 2.3.3). Languages are
/// language.hpp's; how long is long the paper does not say: that is the argument.
#pragma once

#include <hence/reward/text.hpp>

namespace hence::inline v0::reward {

/// Whether a text has no code block and no paragraph of more than `longest_paragraph` bytes.
/// Paragraphs are lines without a blank one between them, their line ends counted; a code block is
/// a line that begins with three backticks or tildes, closed or not. The empty text is readable.
/// O(size). \param s the thought, or any text. \param longest_paragraph in bytes.
template <class Isa = native_isa>
constexpr bool is_readable(text s, std::size_t longest_paragraph) {
  std::size_t paragraph = 0;
  for (std::size_t at = 0; at < s.size();) {
    std::size_t end = at;
    while (end < s.size() && s[end] != '\n') ++end;
    const text line = trimmed(slice(s, at, end));
    if (starts_with(line, "```") || starts_with(line, "~~~")) return false;
    paragraph = line.empty() ? 0 : paragraph + (end - at) + (paragraph > 0);
    if (paragraph > longest_paragraph) return false;
    at = end + 1;
  }
  return true;
}

}  // namespace hence::inline v0::reward
