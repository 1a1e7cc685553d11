/// \file
/// R1's language-consistency reward: "the proportion of target language words in the CoT", added
/// directly to the others. arXiv:2501.12948 eq. 7 (R_language = words of the target language /
/// words). The paper does not say what a word is: here it is a run of letters of one script, or one
/// code point where the script has no spaces. Code, formulas and LaTeX commands hold no words.
#pragma once

#include <hence/core/view.hpp>
#include <hence/reward/script.hpp>

namespace hence::inline v0::reward {

/// How many words there are, and how many of them are of the target language.
struct word_counts {
  std::int64_t target, words;
  /// target / words; `if_none` where there are none, which the paper leaves open.
  HENCE_FN constexpr double share(double if_none) const {
    return words == 0 ? if_none : static_cast<double>(target) / static_cast<double>(words);
  }
};

namespace language {

/// Words whose letters are of the given scripts: Chinese is han, Japanese han | kana, Russian
/// cyrillic. Tells no two languages of one script apart.
struct scripts {
  script set;  ///< the scripts of the language, joined by |
  HENCE_FN constexpr bool operator()(text, script of) const { return has(set, of); }
};

/// Words of a list, compared without the case of ASCII letters. O(log list) a word.
struct word_list {
  view<const text> sorted;  ///< ascending by bytes, in lower case // [words]
  HENCE_FN constexpr bool operator()(text word, script) const {
    std::int64_t low = 0, high = sorted.extent[0];
    while (low < high) {
      const std::int64_t middle = low + (high - low) / 2;
      const int order = compare(sorted[middle], word);
      if (order == 0) return true;
      if (order < 0)
        low = middle + 1;
      else
        high = middle;
    }
    return false;
  }

 private:
  static HENCE_FN constexpr int compare(text listed, text word) {
    for (std::size_t i = 0; i < listed.size() && i < word.size(); ++i) {
      const auto a = static_cast<unsigned char>(listed[i]);
      const auto b = static_cast<unsigned char>(lowered(word[i]));
      if (a != b) return a < b ? -1 : 1;
    }
    return listed.size() == word.size() ? 0 : listed.size() < word.size() ? -1 : 1;
  }
};

}  // namespace language

namespace detail {

/// Where code, a formula or a command that begins at s[at] ends; `at` where none begins. One
/// without its end is text: nobody hides words behind a fence that is never closed.
template <class Isa> class skipper {
 public:
  constexpr explicit skipper(text s) : s_(s) {}
  constexpr std::size_t past(std::size_t at) {
    if (s_[at] == '`') {
      if (stands_at(s_, at, "```")) return closed(at, 3, "```", 0);
      return in_line(at, "`");
    }
    if (s_[at] == '$') return stands_at(s_, at, "$$") ? closed(at, 2, "$$", 1) : in_line(at, "$");
    if (s_[at] != '\\' || at + 1 == s_.size()) return at;
    if (s_[at + 1] == '$') return at + 2;  // a price, no formula
    if (s_[at + 1] == '(') return closed(at, 2, "\\)", 2);
    if (s_[at + 1] == '[') return closed(at, 2, "\\]", 3);
    std::size_t end = at + 1;
    while (end < s_.size() && is_letter(s_[end])) ++end;
    return end;  // without letters the backslash alone, which is no word either
  }

 private:
  /// Each kind of end is looked for no further once it was missing: one pass over the text each.
  constexpr std::size_t closed(std::size_t at, std::size_t size, text end, int kind) {
    if (missing_[kind]) return at;
    const std::size_t found = find<Isa>(s_, end, at + size);
    if (found == npos) missing_[kind] = true;
    return found == npos ? at : found + end.size();
  }
  constexpr std::size_t in_line(std::size_t at, text end) {
    for (std::size_t i = at + 1; i < s_.size() && s_[i] != '\n'; ++i)
      if (s_[i] == end[0]) return i + 1;
    return at;
  }

  text s_;
  bool missing_[4] = {};
};

template <class Isa, class IsTarget>
constexpr word_counts count_words_by(text thought, IsTarget&& is_target) {
  word_counts counts{};
  skipper<Isa> skip(thought);
  std::size_t begin = 0;
  script current = script::common;
  const auto finish = [&](std::size_t end) {
    if (current == script::common) return;
    ++counts.words;
    counts.target += is_target(slice(thought, begin, end), current) ? 1 : 0;
    current = script::common;
  };
  for (std::size_t at = 0; at < thought.size();) {
    if (const std::size_t past = skip.past(at); past != at) {
      finish(at);
      at = past;
      continue;
    }
    const code_point c = decode<Isa>(thought, at);
    const script of = c.value == 0xFFFD ? script::common : script_of<Isa>(c.value);
    // an apostrophe or a mark inside a word belongs to it
    const bool inner =
        of == script::mark || ((c.value == '\'' || c.value == 0x2019) &&
                               at + c.bytes < thought.size() && is_letter(thought[at + c.bytes]));
    if (inner && current != script::common) {
      at += c.bytes;
      continue;
    }
    if (of != current || has(unspaced, of)) {
      finish(at);
      if (of != script::mark) current = of;
      begin = at;
    }
    at += c.bytes;
  }
  finish(thought.size());
  return counts;
}

}  // namespace detail

/// Counts a thought's words. O(size).
/// \param thought without its tags.
/// \param is_target a `language::` rule or any callable (text word, script) -> bool, e.g. around a
/// classifier of your own.
template <class Isa = native_isa, class IsTarget>
constexpr word_counts count_words(text thought, IsTarget&& is_target) {
  constexpr bool is_rule = requires { is_target(thought, script::latin) ? 1 : 0; };
  static_assert(is_rule,
                "hence: words are judged by language::scripts, language::word_list or a callable "
                "(text word, script) -> bool");
  if constexpr (is_rule)
    return detail::count_words_by<Isa>(thought, is_target);
  else
    return {};
}

/// The share itself: R1's R_language.
/// \param thought without its tags.
/// \param is_target as for `count_words`.
/// \param if_none the value of a thought without words.
template <class Isa = native_isa, class IsTarget>
constexpr double language_reward(text thought, IsTarget&& is_target, double if_none) {
  return count_words<Isa>(thought, is_target).share(if_none);
}

}  // namespace hence::inline v0::reward
