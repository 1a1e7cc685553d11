/// \file
/// What is refused of a call beside its inputs, before anything is written: the denominator, the
/// window, the workspace.
#pragma once

#include <hence/core/workspace.hpp>
#include <hence/policy/inputs.hpp>

namespace hence::inline v0::detail {

/// A denominator is of the loss's own number, where the loss has one.
template <class Loss, class A, class Scope>
[[gnu::always_inline]] inline void check_denominator(const Loss& loss,
                                                     const denominator<A, Scope>& d) {
  positive("denominator", d.value);
  if constexpr (requires { loss.aggregation.value; }) {
    if (loss.aggregation.value != d.value)
      refuse(message() << "hence: the loss divides by the constant " << loss.aggregation.value
                       << ", the denominator is " << d.value);
  } else if constexpr (std::same_as<A, aggregate::sequence_mean_token_mean_over> ||
                       std::same_as<A, aggregate::sequence_mean_token_sum_over>) {
    if (loss.aggregation.rows != d.value)
      refuse(message() << "hence: the loss counts " << loss.aggregation.rows
                       << " rows, the denominator is " << d.value);
  }
}

/// A window holds at least the rows that are computed now.
template <class A, class Scope>
[[gnu::always_inline]] inline void check_window(const denominator<A, Scope>& d, const layout& b,
                                                std::int64_t begin, std::int64_t end) {
  if constexpr (divisor_is_counted<A>) {
    const double own = divisor(A{}, count_rows(b, begin, end));
    if (own > d.value)
      refuse(message() << "hence: these rows alone count " << own << ", their denominator "
                       << d.value << "; over_window takes the counts of the whole window");
  }
}

/// A prompt is at least as large as each of its rows, and the rows are no more prompts than the
/// window.
template <class Loss, class T>
[[gnu::always_inline]] inline void check_prompt_sizes(const Loss&, const layout& b,
                                                      const policy_inputs<T>& in, double d,
                                                      std::int64_t begin, std::int64_t end) {
  using A = std::remove_cvref_t<decltype(std::declval<const Loss&>().aggregation)>;
  if constexpr (prompt_aggregation<A>) {
    std::int64_t shares = 0;
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t n = count_rows(b, i, i + 1).tokens, size = in.prompt_sizes[i];
      if (!(row_divisor<A>(n, size) > 0))
        refuse(message() << "hence: prompt_sizes[" << i << "] is " << size << ", and row " << i
                         << " alone has " << n
                         << " live tokens; count_prompts writes what this aggregation divides by");
      shares += prompt_share(n, row_divisor<A>(n, size));
    }
    check_prompt_shares("these rows alone", shares, d);
  }
}

template <class T>
void check_workspace_apart(const view<std::byte>& w, const layout& b, const policy_inputs<T>& in,
                           const std::type_identity_t<policy_gradients<T>>& gradient) {
  check_apart("workspace", w, "gradient", gradient.logp, b);
  check_apart("workspace", w, "gradient.entropy", gradient.entropy, b);
  check_apart_from_inputs("workspace", place_of(w, b), in, b);
}

}  // namespace hence::inline v0::detail
