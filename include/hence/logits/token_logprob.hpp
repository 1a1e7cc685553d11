/// \file
/// `token_logprob`: log-prob of each row's label, entropy and normaliser from logits in one pass,
/// and the gradient with respect to the logits.
///
///     auto rule = hence::softmax_rule{.temperature = 1.0, .negative = negative_labels::ignored};
///     status s = hence::token_logprob(cpu{}, rule, logits, labels,  // [rows, vocabulary], [rows]
///                                     {.logp = logp, .entropy = entropy});
///
/// logp = x_label/T - log sum_i e^(x_i/T), H = -sum_i p_i log p_i over the support: columns that
/// are kept and not -infinity. NaN or +infinity in a row's support, or no support: NaN in this row
/// and `status::non_finite`. A label out of range: NaN; outside the support: -infinity; both
/// `status::label`. Other rows stay right.
///
/// Error of fp32 results against exact ones for the given logits: logp 4e-7 + 1 ulp absolute and,
/// where it is close to 0, 4 ulp; entropy 1e-6, within [0, log V]; at any offset of the logits. A
/// soft-cap c adds c/T 2^-22 to either, since capped logits are fp32 numbers of that size.
/// Bits: a function of the row's values, the label and the rule; the same for `cpu`,
/// `reference<float>`, any pool, batch, stride and for storage types that hold the same values.
/// Reads the logits once; the gradient reads them and writes as much.
#pragma once

#include <hence/logits/token_checks.hpp>
#include <hence/logits/token_rows.hpp>

namespace hence::inline v0 {

/// Log-probs, entropies and states of all rows.
/// \param executor `cpu{}`, `cpu{pool}`, `reference<float>{}`, `reference<double>{}`.
/// \param rule temperature, meaning of a negative label, and soft-cap.
/// \param logits `[rows, vocabulary]` of float, bf16, f16 (double for `reference<double>`); the
/// columns of a row are contiguous, the row stride is free.
/// \param labels `[rows]`, int32 or int64.
/// \param out what to write; each `[rows]` or absent.
/// \param keep `[rows, vocabulary]`, nonzero = in the support; absent: all. Other columns may hold
/// anything.
template <class Executor, class T>
status token_logprob(const Executor& executor, const softmax_rule& rule, view<T, 2> logits,
                     const token_labels& labels,                           // [rows]
                     const token_results<typename Executor::scalar>& out,  // [rows] each
                     view<const std::uint8_t, 2> keep = {}) {              // [rows, vocabulary]
  if constexpr (detail::check_logits<Executor, T>()) {
    detail::check_token_arrays(rule, logits, labels, out, keep);
    using row = detail::token_row<Executor>;
    return detail::for_token_rows(
        executor, logits, [&](std::int64_t i) __attribute__((always_inline)) {
          return row::forward(rule, row::row_of(logits, i), logits.extent[1], labels[i],
                              row::row_of(keep, i), out, i);
        });
  } else {
    return status::ok;
  }
}

/// d sum(cot.logp logp + cot.entropy entropy) / d logits from the states of the forward pass.
/// \param executor, rule, logits, labels, keep as for `token_logprob`.
/// \param states `[rows]`, of `token_logprob` on the same logits, labels, rule and keep mask.
/// \param cot d loss / d logp and d loss / d entropy, each `[rows]` or absent: 0.
/// \param gradient `[rows, vocabulary]`; may be the logits themselves, or apart from them. Columns
/// outside the support and ignored rows get 0, rows with a bad label or a NaN get NaN.
template <class Executor, class T, class Out>
status token_logprob_gradient(
    const Executor& executor, const softmax_rule& rule, view<T, 2> logits,  // [rows, vocabulary]
    const token_labels& labels,                                             // [rows]
    view<const softmax_state> states,                                       // [rows]
    const token_cotangents<typename Executor::scalar>& cot,                 // [rows] each
    view<Out, 2> gradient,                                                  // [rows, vocabulary]
    view<const std::uint8_t, 2> keep = {}) {                                // [rows, vocabulary]
  if constexpr (detail::check_logits<Executor, T, Out>()) {
    detail::check_token_gradient(rule, logits, labels, states, cot, gradient, keep);
    using row = detail::token_row<Executor>;
    return detail::for_token_rows(
        executor, logits, [&](std::int64_t i) __attribute__((always_inline)) {
          return row::backward(rule, row::row_of(logits, i), logits.extent[1], labels[i],
                               row::row_of(keep, i), states[i], row::cotangent(cot.logp, i),
                               row::cotangent(cot.entropy, i), row::row_of(gradient, i));
        });
  } else {
    return status::ok;
  }
}

/// Both at once, where the cotangents are known beforehand: each row is read once from memory.
template <class Executor, class T, class Out>
status token_logprob_and_gradient(
    const Executor& executor, const softmax_rule& rule, view<T, 2> logits,  // [rows, vocabulary]
    const token_labels& labels,                                             // [rows]
    const token_cotangents<typename Executor::scalar>& cot,                 // [rows] each
    const token_results<typename Executor::scalar>& out,                    // [rows] each
    view<Out, 2> gradient,                                                  // [rows, vocabulary]
    view<const std::uint8_t, 2> keep = {}) {                                // [rows, vocabulary]
  if constexpr (detail::check_logits<Executor, T, Out>()) {
    detail::check_token_arrays(rule, logits, labels, out, keep);
    detail::check_gradient_arrays(logits, labels, cot, gradient, keep);
    detail::check_results_and_gradient(cot, out, gradient);
    using row = detail::token_row<Executor>;
    return detail::for_token_rows(
        executor, logits, [&](std::int64_t i) __attribute__((always_inline)) {
          softmax_state state;
          const auto* x = row::row_of(logits, i);
          const auto* kept = row::row_of(keep, i);
          const status s = row::forward(rule, x, logits.extent[1], labels[i], kept, out, i, &state);
          return s | row::backward(rule, x, logits.extent[1], labels[i], kept, state,
                                   row::cotangent(cot.logp, i), row::cotangent(cot.entropy, i),
                                   row::row_of(gradient, i));
        });
  } else {
    return status::ok;
  }
}

}  // namespace hence::inline v0
