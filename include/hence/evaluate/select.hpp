/// \file
/// Rejection sampling, R1's stage 3: "we only retain the correct ones", "filtered out
/// chain-of-thought with mixed languages, long paragraphs, and code blocks" (arXiv:2501.12948,
/// 2.3.3), without duplicates, the best of each prompt.
#pragma once

#include <hence/core/view.hpp>

namespace hence::inline v0::evaluate {

/// Why a sample is not kept; the first of these that is true.
enum class rejection : std::uint8_t {
  kept,
  wrong,
  unreadable,
  mixed_languages,
  repetitive,
  duplicate,  ///< an earlier kept candidate of the prompt has the same key
  not_among_best,
};
/// How many fates there are.
inline constexpr int rejections = 7;

/// What is known of the samples, filled by the reward headers or otherwise. Absent columns hold for
/// every sample. All // [samples]
struct candidates {
  view<const std::uint8_t> correct;       ///< nonzero: the answer is right
  view<const std::uint8_t> readable;      ///< nonzero: as the format wants it, no long paragraphs
  view<const std::uint8_t> one_language;  ///< nonzero: languages are not mixed
  view<const std::uint8_t> without_repetition;  ///< nonzero: nothing is said again and again
  view<const std::uint64_t> key;                ///< equal for duplicates, e.g. `reward::hash_text`
  view<const float> score;  ///< the best have the highest; a tie goes to the lower index
};

/// How many samples met each fate.
struct selection_counts {
  std::int64_t number[rejections];  ///< by `rejection`
  HENCE_FN constexpr std::int64_t of(rejection r) const { return number[static_cast<unsigned>(r)]; }
};

namespace detail {

/// One prompt's samples, [begin, end). O(samples x (best + duplicates' keys)).
template <class Isa>
void select_group(const candidates& c, std::int64_t begin, std::int64_t end, std::int64_t best,
                  view<rejection> out) {
  const auto holds = [](view<const std::uint8_t> column, std::int64_t i) {
    return !column.present() || column[i] != 0;
  };
  for (std::int64_t i = begin; i < end; ++i) {
    rejection r = rejection::not_among_best;
    if (!holds(c.correct, i))
      r = rejection::wrong;
    else if (!holds(c.readable, i))
      r = rejection::unreadable;
    else if (!holds(c.one_language, i))
      r = rejection::mixed_languages;
    else if (!holds(c.without_repetition, i))
      r = rejection::repetitive;
    out[i] = r;
  }
  const auto score = [&](std::int64_t i) { return c.score.present() ? c.score[i] : 0.0f; };
  for (std::int64_t n = 0; n < best; ++n) {
    std::int64_t first = -1;
    for (std::int64_t i = begin; i < end; ++i)
      if (out[i] == rejection::not_among_best && (first < 0 || score(i) > score(first))) first = i;
    if (first < 0) return;
    out[first] = rejection::kept;
    for (std::int64_t i = begin; c.key.present() && i < end; ++i)
      if (out[i] == rejection::not_among_best && c.key[i] == c.key[first])
        out[i] = rejection::duplicate;
  }
}

}  // namespace detail

/// Decides each sample's fate. Of duplicates the one with the highest score stays.
/// \param c what is known of the samples.
/// \param cu_groups samples of prompt g are [cu_groups[g], cu_groups[g + 1]) // [prompts + 1]
/// \param best at most so many of each prompt, above 0.
/// \param out // [samples]
template <class Isa = native_isa>
[[gnu::always_inline]] inline selection_counts select(const candidates& c,
                                                      view<const std::int64_t> cu_groups,
                                                      std::int64_t best, view<rejection> out) {
  using hence::detail::message;
  const std::int64_t samples = out.extent[0], last = cu_groups.extent[0] - 1;
  const auto check = [&](const char* name, bool present, std::int64_t size) {
    if (present && size != samples)
      hence::detail::refuse(message{} << "hence: " << name << " has " << size
                                      << " entries, out has " << samples);
  };
  check("correct", c.correct.present(), c.correct.extent[0]);
  check("readable", c.readable.present(), c.readable.extent[0]);
  check("one_language", c.one_language.present(), c.one_language.extent[0]);
  check("without_repetition", c.without_repetition.present(), c.without_repetition.extent[0]);
  check("key", c.key.present(), c.key.extent[0]);
  check("score", c.score.present(), c.score.extent[0]);
  if (best < 1)
    hence::detail::refuse(message{} << "hence: best is " << best << ", expected 1 or more");
  bool sound = last >= 0 && cu_groups[0] == 0 && cu_groups[last] == samples;
  for (std::int64_t g = 0; sound && g < last; ++g) sound = cu_groups[g] <= cu_groups[g + 1];
  if (!sound)
    hence::detail::refuse(message{} << "hence: cu_groups does not ascend from 0 to " << samples
                                    << ", the number of samples");
  for (std::int64_t i = 0; c.score.present() && i < samples; ++i)
    if (c.score[i] != c.score[i])
      hence::detail::refuse(message{} << "hence: score[" << i << "] is nan");
  for (std::int64_t g = 0; g < last; ++g)
    detail::select_group<Isa>(c, cu_groups[g], cu_groups[g + 1], best, out);
  selection_counts counts{};
  for (std::int64_t i = 0; i < samples; ++i) ++counts.number[static_cast<unsigned>(out[i])];
  return counts;
}

}  // namespace hence::inline v0::evaluate
