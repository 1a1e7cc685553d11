/// \file
/// Prompt means: every prompt weighs the same, however many tokens its responses have. A call sees
/// rows and not prompts, so the sizes of the prompts are counted first, over the whole window; a
/// micro-batch may then hold any part of a prompt.
///
///     const auto prompts = count_prompts(loss.aggregation, batch, groups{.cu_groups = cu}, sizes);
///     const auto window = over_window(loss.aggregation, prompts);
///     loss_and_gradient(cpu{}, loss, batch, in, window, gradient);  // in.prompt_sizes = sizes
#pragma once

#include <hence/policy/inputs.hpp>

namespace hence::inline v0 {

namespace aggregate {

/// Which prompts a prompt mean counts: all of them (SkyRL's `prompt_mean`), or those with a live
/// token.
struct all_prompts {};
struct non_empty_prompts {};

/// (1/P) sum over prompts of (sum of x over the prompt's rows / max(live tokens of them, 1)).
/// ScaleRL, arXiv:2510.13786, 3.2; SkyRL "prompt_mean"; slime with its rollouts as the groups.
/// \tparam Prompts `all_prompts` or `non_empty_prompts`: what P counts, at least 1.
template <class Prompts> struct prompt_mean_token_mean {
  static_assert(std::same_as<Prompts, all_prompts> || std::same_as<Prompts, non_empty_prompts>,
                "hence: a prompt mean counts aggregate::all_prompts or non_empty_prompts");
  Prompts prompts;
  static constexpr bool divides_rows = true;
  /// \param n live tokens of the row. \param size those of its prompt. NaN if it has fewer.
  static HENCE_FN constexpr double row_divisor(std::int64_t n, std::int64_t size) {
    if (n <= 0) return 1.0;
    return size >= n ? static_cast<double>(size) : static_cast<double>(__builtin_nanf(""));
  }
  /// What a prompt's size counts.
  static HENCE_FN constexpr std::int64_t size_of(const counts& prompt) { return prompt.tokens; }
};
template <class P> prompt_mean_token_mean(P) -> prompt_mean_token_mean<P>;

/// (1/P) sum over prompts of (1/G) sum over the prompt's G rows of (sum of x / max(n_i, 1)): GRPO,
/// arXiv:2402.03300 eq. 3, read for groups of different sizes. Of equal groups it is
/// `sequence_mean_token_mean`.
/// \tparam Prompts what P counts. \tparam Rows `all_rows` or `non_empty_rows`: what G counts.
template <class Prompts, class Rows> struct prompt_mean_sequence_mean {
  static_assert(std::same_as<Prompts, all_prompts> || std::same_as<Prompts, non_empty_prompts>,
                "hence: a prompt mean counts aggregate::all_prompts or non_empty_prompts");
  static_assert(std::same_as<Rows, all_rows> || std::same_as<Rows, non_empty_rows>,
                "hence: a sequence mean counts aggregate::all_rows or aggregate::non_empty_rows");
  Prompts prompts;
  Rows rows;
  static constexpr bool divides_rows = true;
  /// \param n live tokens of the row. \param size rows of its prompt. NaN if it has none.
  static HENCE_FN constexpr double row_divisor(std::int64_t n, std::int64_t size) {
    using V = num<double>;  // on a device a product that names its rounding
    if (n <= 0) return 1.0;
    return size > 0 ? (V(static_cast<double>(n)) * V(static_cast<double>(size))).v
                    : static_cast<double>(__builtin_nanf(""));
  }
  /// What a prompt's size counts.
  static HENCE_FN constexpr std::int64_t size_of(const counts& prompt) {
    return std::same_as<Rows, all_rows> ? prompt.rows : prompt.non_empty_rows;
  }
};
template <class P, class R> prompt_mean_sequence_mean(P, R) -> prompt_mean_sequence_mean<P, R>;

}  // namespace aggregate

/// How many prompts there are; adds up over batches that share no prompt, and over ranks.
struct prompt_counts {
  std::int64_t prompts = 0;            ///< all of them
  std::int64_t non_empty_prompts = 0;  ///< those with a live response token

  // written out, since an implicit one would be shared by differently compiled translation units
  HENCE_FN constexpr prompt_counts() {}
  HENCE_FN constexpr prompt_counts(std::int64_t all, std::int64_t non_empty)
      : prompts(all), non_empty_prompts(non_empty) {}
  HENCE_FN constexpr prompt_counts& operator+=(const prompt_counts& o) {
    prompts += o.prompts, non_empty_prompts += o.non_empty_prompts;
    return *this;
  }
  friend HENCE_FN constexpr prompt_counts operator+(prompt_counts a, const prompt_counts& b) {
    return a += b;
  }
};

namespace detail {

/// P, at least 1.
template <prompt_aggregation A> HENCE_FN double divisor(A, const prompt_counts& c) {
  using prompts = std::remove_cvref_t<decltype(A::prompts)>;
  return at_least_one(std::same_as<prompts, aggregate::all_prompts> ? c.prompts
                                                                    : c.non_empty_prompts);
}

/// Refuses groups that are not the batch's rows.
inline void check_prompts(const layout& b, const offsets& cu) {
  check_offsets("cu_groups", cu);
  if (cu[cu.rows()] != b.rows)
    refuse(message() << "hence: cu_groups describes " << cu[cu.rows()] << " rows, the batch has "
                     << b.rows);
}

}  // namespace detail

/// Counts the prompts of a window, and writes for each row how large its prompt is in the sense of
/// the aggregation: what `policy_inputs::prompt_sizes` takes, to be cut up with the rows.
/// \param a the loss's aggregation, a prompt mean.
/// \param batch `ragged` or `padded`: the window, or a part of it that holds its prompts whole.
/// \param prompts where each prompt's rows lie.
/// \param sizes `[rows]`; apart from the masks and the offsets. Every entry is written.
template <detail::prompt_aggregation A, class Batch>
prompt_counts count_prompts(A a, const Batch& batch, const groups& prompts,
                            view<std::int64_t> sizes) {
  const detail::layout b = batch;
  const offsets& cu = prompts.cu_groups;
  detail::check_layout(b);
  detail::check_prompts(b, cu);
  if (sizes.extent[0] != b.rows)
    detail::refuse(detail::message() << "hence: sizes has " << sizes.extent[0]
                                     << " entries, the batch has " << b.rows << " rows");
  detail::check_apart_from_inputs("sizes", detail::place_of(sizes, b), policy_inputs<float>{}, b);
  prompt_counts found;
  for (std::int64_t g = 0; g < cu.rows(); ++g) {
    const counts c = detail::count_rows(b, cu[g], cu[g + 1]);
    found += prompt_counts(1, c.tokens > 0);
    for (std::int64_t i = cu[g]; i < cu[g + 1]; ++i) sizes[i] = a.size_of(c);
  }
  return found;
}

/// The denominator of one optimizer step: `c` counts the prompts of the whole window.
template <detail::prompt_aggregation A>
[[gnu::always_inline]] inline denominator<A, scope::window> over_window(A a,
                                                                        const prompt_counts& c) {
  return {detail::divisor(a, c)};
}
/// The same over all ranks: `c` is summed over ranks that share no prompt.
template <detail::prompt_aggregation A>
[[gnu::always_inline]] inline denominator<A, scope::ranks> over_all_ranks(A a,
                                                                          const prompt_counts& c) {
  return {detail::divisor(a, c)};
}
/// Refused in one sentence: the counts of tokens and rows do not say how many prompts there are.
template <detail::prompt_aggregation A>
denominator<A, scope::window> over_window(A, const counts&) {
  static_assert(!detail::prompt_aggregation<A>,
                "hence: counts know no prompts; a prompt mean's denominator is made from what "
                "count_prompts returns");
  return {};
}
/// Refused in one sentence, as that of `over_window`.
template <detail::prompt_aggregation A>
denominator<A, scope::ranks> over_all_ranks(A, const counts&) {
  static_assert(!detail::prompt_aggregation<A>,
                "hence: counts know no prompts; a prompt mean's denominator is made from what "
                "count_prompts returns");
  return {};
}

}  // namespace hence::inline v0
