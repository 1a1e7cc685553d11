/// \file
/// Repetition: the share of n-grams that stand more than once, and endless repetition at the end of
/// a response, R1-Zero's named weakness ("poor readability", "endless repetition",
/// arXiv:2501.12948).
#pragma once

#include <hence/core/num.hpp>
#include <hence/core/view.hpp>
#include <hence/reward/text.hpp>

namespace hence::inline v0::reward {

namespace repetition {

/// What counting finds.
struct ngram_counts {
  std::int64_t distinct, total;  ///< different n-grams, and all
  /// 1 - distinct / total, 0 where there is no n-gram.
  HENCE_FN constexpr double repeated_share() const {
    return total == 0 ? 0 : 1 - static_cast<double>(distinct) / static_cast<double>(total);
  }
};

/// Entries that `count_ngrams` needs: the least power of two that is twice the tokens or more.
HENCE_FN constexpr std::int64_t workspace_size(std::int64_t tokens) {
  std::int64_t size = 2;
  while (size < 2 * tokens) size *= 2;
  return size;
}

}  // namespace repetition

namespace detail {

/// The tokens of a view or of a container, for reading.
template <class Token> constexpr view<const Token> token_view(view<Token> tokens) { return tokens; }
template <class Tokens>
  requires requires(const Tokens& t) { view<const typename Tokens::value_type>(t); }
constexpr view<const typename Tokens::value_type> token_view(const Tokens& tokens) {
  return view<const typename Tokens::value_type>(tokens);
}
template <class Tokens>
concept token_list = requires(const Tokens& t) { token_view(t); };

/// SplitMix64's finisher: every bit of the input moves every bit of the output.
HENCE_FN constexpr std::uint64_t mixed(std::uint64_t x) {
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
  x = (x ^ x >> 27) * 0x94D049BB133111EBu;
  return x ^ x >> 31;
}

template <class Isa, class Token>
repetition::ngram_counts distinct_ngrams(view<const Token> tokens, std::int64_t n,
                                         view<std::int64_t> table) {
  const std::int64_t total = tokens.extent[0] - n + 1;
  if (total <= 0) return {0, 0};
  const std::int64_t size = repetition::workspace_size(tokens.extent[0]);
  for (std::int64_t i = 0; i < size; ++i) table[i] = -1;
  const auto same = [&](std::int64_t a, std::int64_t b) {
    for (std::int64_t i = 0; i < n; ++i)
      if (tokens[a + i] != tokens[b + i]) return false;
    return true;
  };
  std::int64_t distinct = 0;
  for (std::int64_t i = 0; i < total; ++i) {
    std::uint64_t h = 0;
    for (std::int64_t j = 0; j < n; ++j) h = mixed(h + static_cast<std::uint64_t>(tokens[i + j]));
    auto at = static_cast<std::int64_t>(h & static_cast<std::uint64_t>(size - 1));
    while (table[at] >= 0 && !same(table[at], i)) at = (at + 1) & (size - 1);
    if (table[at] < 0) table[at] = i, ++distinct;
  }
  return {distinct, total};
}

}  // namespace detail

/// Counts n-grams of tokens. O(n tokens).
/// \param tokens ids of any integer type. // [tokens]
/// \param n 1 or more.
/// \param workspace at least `repetition::workspace_size(tokens)` entries; overwritten.
template <class Isa = native_isa, class Token>
[[gnu::always_inline]] inline repetition::ngram_counts count_ngrams(view<const Token> tokens,
                                                                    std::int64_t n,
                                                                    view<std::int64_t> workspace) {
  const std::int64_t needed = repetition::workspace_size(tokens.extent[0]);
  if (n < 1)
    hence::detail::refuse(hence::detail::message{} << "hence: n is " << n
                                                   << ", expected 1 or more");
  if (workspace.extent[0] < needed)
    hence::detail::refuse(hence::detail::message{} << "hence: workspace has " << workspace.extent[0]
                                                   << " entries, expected at least " << needed);
  return detail::distinct_ngrams<Isa>(tokens, n, workspace);
}

/// \copydoc count_ngrams
template <class Isa = native_isa, detail::token_list Tokens>
[[gnu::always_inline]] inline repetition::ngram_counts count_ngrams(const Tokens& tokens,
                                                                    std::int64_t n,
                                                                    view<std::int64_t> workspace) {
  return count_ngrams<Isa>(detail::token_view(tokens), n, workspace);
}

/// The n-gram penalty of TRL and open-r1: (1 - distinct / total) penalty, penalty <= 0. TRL counts
/// token ids, open-r1 words: see `word_ids`. Appendix C.2 of arXiv:2502.03373.
template <class Isa = native_isa, class Token>
[[gnu::always_inline]] inline double repetition_penalty(view<const Token> tokens, std::int64_t n,
                                                        double penalty,
                                                        view<std::int64_t> workspace) {
  if (!(penalty <= 0))
    hence::detail::refuse(hence::detail::message{} << "hence: penalty is " << penalty
                                                   << ", expected 0 or less");
  const double share = count_ngrams<Isa>(tokens, n, workspace).repeated_share();
  return share == 0 ? 0 : hence::detail::arithmetic<double>::mul(share, penalty);
}

/// \copydoc repetition_penalty
template <class Isa = native_isa, detail::token_list Tokens>
[[gnu::always_inline]] inline double repetition_penalty(const Tokens& tokens, std::int64_t n,
                                                        double penalty,
                                                        view<std::int64_t> workspace) {
  return repetition_penalty<Isa>(detail::token_view(tokens), n, penalty, workspace);
}

/// Words as ids: runs of bytes without ASCII white space, ASCII letters lowered, hashed to 63 bits
/// (two of 10^6 words meet with a chance of 10^-7). O(size).
/// \param s any text.
/// \param ids room for the words; further ones are counted and not written.
/// \return the words.
template <class Isa = native_isa> constexpr std::int64_t word_ids(text s, view<std::int64_t> ids) {
  std::int64_t words = 0;
  for (std::size_t at = 0;;) {
    while (at < s.size() && is_space(s[at])) ++at;
    if (at == s.size()) break;
    std::uint64_t h = 0xCBF29CE484222325u;
    for (; at < s.size() && !is_space(s[at]); ++at)
      h = (h ^ static_cast<unsigned char>(lowered(s[at]))) * 0x100000001B3u;
    if (words < ids.extent[0]) ids[words] = static_cast<std::int64_t>(detail::mixed(h) >> 1);
    ++words;
  }
  return words;
}

namespace repetition {

/// The end of a response that repeats itself: its last `tokens` tokens are `period` tokens again
/// and again. Period 0: no end of the response does so often enough.
struct loop {
  std::int64_t period, tokens;
};

}  // namespace repetition

namespace detail {

template <class Isa, class Token>
repetition::loop longest_loop(view<const Token> tokens, std::int64_t times,
                              view<std::int64_t> border) {
  const std::int64_t size = tokens.extent[0];
  const auto from_end = [&](std::int64_t i) { return tokens[size - 1 - i]; };
  repetition::loop found{};
  for (std::int64_t i = 0; i < size; ++i) {  // Knuth, Morris and Pratt's borders, from the end
    std::int64_t k = i == 0 ? 0 : border[i - 1];
    while (k > 0 && from_end(i) != from_end(k)) k = border[k - 1];
    if (i > 0 && from_end(i) == from_end(k)) ++k;
    border[i] = k;
    const std::int64_t period = i + 1 - k;
    if ((i + 1) / period >= times) found = {period, i + 1};
  }
  return found;
}

}  // namespace detail

/// The longest end of a response that is one piece `times` times or more, the last of them whole.
/// O(tokens).
/// \param tokens ids of any integer type. // [tokens]
/// \param times 2 or more.
/// \param workspace one entry a token; overwritten. // [tokens]
template <class Isa = native_isa, class Token>
[[gnu::always_inline]] inline repetition::loop find_loop(view<const Token> tokens,
                                                         std::int64_t times,
                                                         view<std::int64_t> workspace) {
  if (times < 2)
    hence::detail::refuse(hence::detail::message{} << "hence: times is " << times
                                                   << ", expected 2 or more");
  if (workspace.extent[0] < tokens.extent[0])
    hence::detail::refuse(hence::detail::message{} << "hence: workspace has " << workspace.extent[0]
                                                   << " entries, expected at least "
                                                   << tokens.extent[0]);
  return detail::longest_loop<Isa>(tokens, times, workspace);
}

/// \copydoc find_loop
template <class Isa = native_isa, detail::token_list Tokens>
[[gnu::always_inline]] inline repetition::loop find_loop(const Tokens& tokens, std::int64_t times,
                                                         view<std::int64_t> workspace) {
  return find_loop<Isa>(detail::token_view(tokens), times, workspace);
}

}  // namespace hence::inline v0::reward
