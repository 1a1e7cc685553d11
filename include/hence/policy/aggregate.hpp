/// \file
/// Aggregation: what the sum over tokens is divided by. A loss returns sums; the denominator is a
/// separate, typed argument that knows its aggregation and its scope.
#pragma once

#include <hence/core/layout.hpp>
#include <hence/core/num.hpp>

namespace hence::inline v0 {

namespace aggregate {

/// sum of x over all live tokens / max(N, 1). DAPO, arXiv:2503.14476 eq. 8; verl "token-mean".
struct token_mean {
  static constexpr bool divides_rows = false;
  static HENCE_FN constexpr double row_divisor(std::int64_t) { return 1.0; }
};

/// Which rows a sequence mean counts: all of them (TRL, Liger), or those with a live token (verl,
/// OpenRLHF).
struct all_rows {};
struct non_empty_rows {};

/// (1/R) sum over rows of (sum of x over the row / max(n_i, 1)). GRPO, arXiv:2402.03300 eq. 3.
/// \tparam Rows `all_rows` or `non_empty_rows`: what R counts, at least 1.
template <class Rows = all_rows> struct sequence_mean_token_mean {
  static_assert(std::same_as<Rows, all_rows> || std::same_as<Rows, non_empty_rows>,
                "hence: a sequence mean counts aggregate::all_rows or aggregate::non_empty_rows");
  Rows rows{};
  static constexpr bool divides_rows = true;
  static HENCE_FN constexpr double row_divisor(std::int64_t n) {
    return n > 0 ? static_cast<double>(n) : 1.0;
  }
};
sequence_mean_token_mean() -> sequence_mean_token_mean<all_rows>;
template <class R> sequence_mean_token_mean(R) -> sequence_mean_token_mean<R>;

/// As `sequence_mean_token_mean`, with R a number that the caller knows, e.g. prompts per step
/// times G.
struct sequence_mean_token_mean_over {
  double rows;
  static constexpr bool divides_rows = true;
  static HENCE_FN constexpr double row_divisor(std::int64_t n) {
    return n > 0 ? static_cast<double>(n) : 1.0;
  }
};

/// (1/R) sum over rows of the sum of x over the row. LUSPO, arXiv:2602.05261; verl
/// "seq-mean-token-sum".
/// \tparam Rows `all_rows` or `non_empty_rows`: what R counts, at least 1.
template <class Rows = all_rows> struct sequence_mean_token_sum {
  static_assert(std::same_as<Rows, all_rows> || std::same_as<Rows, non_empty_rows>,
                "hence: a sequence mean counts aggregate::all_rows or aggregate::non_empty_rows");
  Rows rows{};
  static constexpr bool divides_rows = false;
  static HENCE_FN constexpr double row_divisor(std::int64_t) { return 1.0; }
};
sequence_mean_token_sum() -> sequence_mean_token_sum<all_rows>;
template <class R> sequence_mean_token_sum(R) -> sequence_mean_token_sum<R>;

/// As `sequence_mean_token_sum`, with R a number that the caller knows.
struct sequence_mean_token_sum_over {
  double rows;
  static constexpr bool divides_rows = false;
  static HENCE_FN constexpr double row_divisor(std::int64_t) { return 1.0; }
};

/// sum of x / value, e.g. rows times the longest completion. Dr. GRPO, arXiv:2503.20783.
struct constant {
  double value;
  static constexpr bool divides_rows = false;
  static HENCE_FN constexpr double row_divisor(std::int64_t) { return 1.0; }
};

}  // namespace aggregate

/// How far the counts of a denominator reach.
namespace scope {
struct call {};    ///< the batch of this one call
struct window {};  ///< all micro-batches of one optimizer step
struct ranks {};   ///< all micro-batches on all ranks
}  // namespace scope

/// The number that a sum of an `Aggregation` is divided by. Make one with `over_window` or
/// `over_all_ranks`, or pass `over_this_call`.
template <class Aggregation, class Scope> struct denominator {
  double value;  ///< what the sum is divided by
};

/// The denominator is counted from this call's own batch. Right only if one call is the whole step.
struct over_this_call_t {};
/// The argument: this call's own counts divide.
inline constexpr over_this_call_t over_this_call{};

namespace detail {

HENCE_FN double at_least_one(std::int64_t n) { return n > 1 ? static_cast<double>(n) : 1.0; }
[[gnu::always_inline]] inline double positive(const char* name, double x) {
  if (!(x > 0) || x > 1.7e308)
    refuse(message() << "hence: " << name << " is " << x << ", expected a positive number");
  return x;
}
HENCE_FN double divisor(aggregate::token_mean, const counts& c) { return at_least_one(c.tokens); }
template <class Rows>
HENCE_FN double divisor(aggregate::sequence_mean_token_mean<Rows>, const counts& c) {
  return at_least_one(std::same_as<Rows, aggregate::all_rows> ? c.rows : c.non_empty_rows);
}
[[gnu::always_inline]] inline double divisor(aggregate::sequence_mean_token_mean_over a,
                                             const counts&) {
  return positive("sequence_mean_token_mean_over.rows", a.rows);
}
template <class Rows>
HENCE_FN double divisor(aggregate::sequence_mean_token_sum<Rows>, const counts& c) {
  return at_least_one(std::same_as<Rows, aggregate::all_rows> ? c.rows : c.non_empty_rows);
}
[[gnu::always_inline]] inline double divisor(aggregate::sequence_mean_token_sum_over a,
                                             const counts&) {
  return positive("sequence_mean_token_sum_over.rows", a.rows);
}
[[gnu::always_inline]] inline double divisor(aggregate::constant a, const counts&) {
  return positive("constant.value", a.value);
}

/// An aggregation whose row divisor needs the row's prompt: `row_divisor(tokens of the row, size of
/// the prompt)`. See aggregate_prompt.hpp.
template <class A>
concept prompt_aggregation = requires {
  { A::row_divisor(std::int64_t{}, std::int64_t{}) } -> std::same_as<double>;
};
/// \param n live tokens of the row. \param size of its prompt; not looked at by the others.
template <class A> HENCE_FN constexpr double row_divisor(std::int64_t n, std::int64_t size) {
  if constexpr (prompt_aggregation<A>)
    return A::row_divisor(n, size);
  else
    return A::row_divisor(n);
}

/// What share of its prompt a row of n live tokens is, in units of 2^-32: whole numbers, so that
/// they add up in any order. The rows of one prompt together are 2^32 but for rounding.
HENCE_FN std::int64_t prompt_share(std::int64_t n, double row_divisor) {
  using V = num<double>;
  // read from the bits: a device's conversion would not round to nearest
  constexpr double whole = 0x1.8p52;
  const V share = V(static_cast<double>(n)) / V(row_divisor) * V(0x1p32) + V(whole);
  if (!(row_divisor > 0)) return 0;  // NaN where the prompt cannot be
  return __builtin_bit_cast(std::int64_t, share.v) - __builtin_bit_cast(std::int64_t, whole);
}
/// Refuses rows that are more prompts than their denominator counts.
[[gnu::always_inline]] inline void check_prompt_shares(const char* what, std::int64_t shares,
                                                       double d) {
  const double prompts = static_cast<double>(shares) * 0x1p-32;
  if (d > 0 && prompts > d * (1 + 1e-6))
    refuse(message() << "hence: " << what << " hold " << prompts << " prompts, their denominator "
                     << d << "; over_window takes what count_prompts returns for the whole window");
}

/// Whether the divisor depends on the batch's `counts`.
template <class A> constexpr bool divisor_is_counted = !prompt_aggregation<A>;
template <>
inline constexpr bool divisor_is_counted<aggregate::sequence_mean_token_mean_over> = false;
template <>
inline constexpr bool divisor_is_counted<aggregate::sequence_mean_token_sum_over> = false;
template <> inline constexpr bool divisor_is_counted<aggregate::constant> = false;

template <class A>
concept aggregation_of_rows = requires(A a, counts c) {
  { divisor(a, c) } -> std::same_as<double>;
  { A::row_divisor(std::int64_t{}) } -> std::same_as<double>;
};
template <class A>
concept aggregation = aggregation_of_rows<A> || prompt_aggregation<A>;

}  // namespace detail

/// The denominator of one optimizer step: `c` is the sum of the micro-batches' counts.
template <detail::aggregation_of_rows A>
[[gnu::always_inline]] inline denominator<A, scope::window> over_window(A a, const counts& c) {
  return {detail::divisor(a, c)};
}
/// The denominator of one optimizer step over all ranks: `c` is summed over micro-batches and
/// ranks. Gradients then add up over ranks; a data-parallel wrapper that averages them needs a
/// factor of its size.
template <detail::aggregation_of_rows A>
[[gnu::always_inline]] inline denominator<A, scope::ranks> over_all_ranks(A a, const counts& c) {
  return {detail::divisor(a, c)};
}

}  // namespace hence::inline v0
