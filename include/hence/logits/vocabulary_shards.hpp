/// \file
/// Vocabulary-parallel log-probs: every rank holds some columns of the logits and sums them, and
/// the ranks' states merge into those of the whole rows.
///
///     shard_states(cpu{}, rule, shard, labels, first_column, mine);
///     all_gather(mine, all);                            // [shards, rows], 40 bytes a row
///     merge_shards(cpu{}, rule, all, labels, vocabulary,
///                  {.logp = logp, .entropy = entropy, .states = whole});
///     shard_gradient(cpu{}, rule, shard, labels, first_column, whole, cotangents, gradient);
///
/// Labels are those of the whole vocabulary, the same on every rank.
/// The merge goes through the shards in their order, in float64: its bits depend on where the
/// vocabulary is cut and on nothing else (neither on the rank that merges nor on the executor),
/// the one named exception to the rule that bits depend on the row alone. Error as `token_logprob`.
#pragma once

#include <hence/logits/token_logprob.hpp>

namespace hence::inline v0 {

namespace detail {

/// Adds a shard's sums to those of the shards before it; the larger reference stays.
/// \param scale log2(e) / T as the executor has it.
template <class N> HENCE_FN softmax_state merged(softmax_state a, softmax_state b, double scale) {
  if (b.shift == -__builtin_inf()) return a;
  if (a.shift == -__builtin_inf()) return b;
  if (!(a.others == a.others) || !(b.others == b.others)) return without_numbers();
  const N exponent_a = fma(N(a.shift), N(scale), N(a.reference)),
          exponent_b = fma(N(b.shift), N(scale), N(b.reference));
  if (exponent_b > exponent_a) {
    const softmax_state keep = a;
    a = b, b = keep;
  }
  // from b's frame to a's: z + d
  const N d = fma(N(b.shift) - N(a.shift), N(scale), N(b.reference) - N(a.reference));
  const N factor = wide_exp2(greater(N(-4000.0), d)), others = N(b.others) * factor;
  a.others = (N(a.others) + others).v;
  a.moment = (N(a.moment) + fma(N(b.moment), factor, others * d)).v;
  if (b.label == b.label) a.label = (N(b.label) + (N(b.shift) - N(a.shift))).v;
  return a;
}

template <class Isa = native_isa>
void check_shards(const view<const softmax_state, 2>& states, std::int64_t vocabulary) {
  if (states.extent[0] < 1 || states.extent[1] < 0 || (!states.present() && states.extent[1] > 0))
    refuse(message() << "hence: states has shape [" << states.extent[0] << ", " << states.extent[1]
                     << "], expected [shards, rows], 1 shard or more");
  if (vocabulary < 1)
    refuse(message() << "hence: vocabulary is " << vocabulary << ", expected 1 or more columns");
}

[[gnu::always_inline]] inline void check_first_column(std::int64_t first) {
  if (first < 0) refuse(message() << "hence: first_column is " << first << ", expected 0 or more");
}
template <class S, class T>
[[gnu::always_inline]] inline void check_shard_states(const softmax_rule& rule,
                                                      const view<T, 2>& logits,
                                                      const token_labels& labels,
                                                      std::int64_t first_column,
                                                      const view<softmax_state>& states,
                                                      const view<const std::uint8_t, 2>& keep) {
  const view<const T, 2> read = logits;
  check_token_arrays<const T, S>(rule, read, labels, {.states = states}, keep);
  check_first_column(first_column);
  if (!states.present() && logits.extent[0] > 0)
    refuse(message() << "hence: states is null, expected " << logits.extent[0] << " rows");
}
template <class S>
[[gnu::always_inline]] inline void check_merge(const softmax_rule& rule,
                                               const view<const softmax_state, 2>& states,
                                               const token_labels& labels, std::int64_t vocabulary,
                                               const token_results<S>& out) {
  check_softmax_rule(rule);
  check_shards(states, vocabulary);
  const std::int64_t rows = states.extent[1];
  check_rows("labels", labels.present(), labels.size(), 1, rows, false);
  check_rows("out.logp", out.logp, rows);
  check_rows("out.entropy", out.entropy, rows);
  check_rows("out.anchor", out.anchor, rows);
  check_rows("out.log_sum", out.log_sum, rows);
  check_rows("out.expected_logit", out.expected_logit, rows);
  check_rows("out.states", out.states, rows);
  const result_places<S> written(out);
  const named_place read[] = {place_of_rows("states", states), place_of_labels(labels)};
  check_written_apart(written.of, read);
}

/// What a shard's sums tell: one without a finite logit is no fault, another may have one.
HENCE_FN status condition_of_shard(const softmax_state& s) {
  return s.others != s.others && s.shift == 0 ? status::non_finite : status::ok;
}

/// Merges the states of row i and writes its numbers.
template <class Executor>
HENCE_FN status write_merged(const softmax_numbers<typename Executor::scalar>& n,
                             const view<const softmax_state, 2>& states, const label_place& label,
                             std::int64_t vocabulary,
                             const token_results<typename Executor::scalar>& out, std::int64_t i) {
  using row = token_row<Executor>;
  const auto scale = static_cast<double>(n.scale);
  softmax_state s{};
  status found = status::ok;
  if (label.is_ignored) {
    row::write_zeros(out, i);
  } else {
    s = without_support();
    for (std::int64_t shard = 0; shard < states.extent[0]; ++shard)
      s = merged<typename row::N>(s, states(shard, i), scale);
    s = with_bounded_label(s, scale);
    found = row::write_values(n, s, vocabulary, label.is_bad, out, i);
  }
  if (out.states.present()) out.states[i] = s;
  return found;
}

}  // namespace detail

/// One shard's sums of every row.
/// \param executor, rule, logits, keep as for `token_logprob`; `[rows, columns]` of this shard.
/// \param labels `[rows]` in the whole vocabulary.
/// \param first_column of this shard in the vocabulary.
/// \param states `[rows]`, to be gathered. \return `status::non_finite` if the shard has a NaN.
template <class Executor, class T>
status shard_states(const Executor& executor, const softmax_rule& rule, view<T, 2> logits,
                    const token_labels& labels, std::int64_t first_column,
                    view<softmax_state> states, view<const std::uint8_t, 2> keep = {}) {
  if constexpr (detail::check_logits<Executor, T>()) {
    using row = detail::token_row<Executor>;
    using S = typename Executor::scalar;
    detail::check_shard_states<S>(rule, logits, labels, first_column, states, keep);
    const auto n = detail::numbers_of<S>(rule);
    return detail::for_token_rows(
        executor, logits, [&](std::int64_t i) __attribute__((always_inline)) {
          states[i] = row::shard_sums(n, row::row_of(logits, i), logits.extent[1], labels[i],
                                      first_column, row::row_of(keep, i));
          return detail::condition_of_shard(states[i]);
        });
  } else {
    return status::ok;
  }
}

/// The numbers of whole rows from their shards' states.
/// \param rule that of `shard_states`; the same executor scalar.
/// \param states `[shards, rows]`, shards in the order of their columns.
/// \param labels `[rows]`. \param vocabulary columns of all shards.
/// \param out as for `token_logprob`; `states` are what `shard_gradient` takes.
/// \return `status::label` if a label is not in the vocabulary or not in the support;
/// `status::non_finite` if a shard has a NaN, or none a finite logit.
template <class Executor>
status merge_shards(const Executor&, const softmax_rule& rule, view<const softmax_state, 2> states,
                    const token_labels& labels, std::int64_t vocabulary,
                    const token_results<typename Executor::scalar>& out) {
  detail::check_merge(rule, states, labels, vocabulary, out);
  const auto n = detail::numbers_of<typename Executor::scalar>(rule);
  status found = status::ok;
  for (std::int64_t i = 0; i < states.extent[1]; ++i)
    found |= detail::write_merged<Executor>(
        n, states, detail::place_of(labels[i], vocabulary, n.ignores_negative), vocabulary, out, i);
  return found;
}

/// The gradient of one shard's columns from the merged states.
/// \param executor, rule as for `shard_states`. \param logits `[rows, columns]` of this shard.
/// \param labels `[rows]` in the whole vocabulary, the same on every shard.
/// \param first_column of this shard in the vocabulary.
/// \param states `[rows]`, of `merge_shards`. \param cot, gradient, keep as for
/// `token_logprob_gradient`; a row whose label is negative and ignored gets 0, one whose label no
/// shard has gets NaN, on every shard.
template <class Executor, class T, class Out>
status shard_gradient(const Executor& executor, const softmax_rule& rule, view<T, 2> logits,
                      const token_labels& labels, std::int64_t first_column,
                      view<const softmax_state> states,
                      const token_cotangents<typename Executor::scalar>& cot, view<Out, 2> gradient,
                      view<const std::uint8_t, 2> keep = {}) {
  if constexpr (detail::check_logits<Executor, T, Out>()) {
    using row = detail::token_row<Executor>;
    using S = typename Executor::scalar;
    detail::check_token_gradient(rule, logits, labels, states, cot, gradient, keep);
    detail::check_first_column(first_column);
    const auto n = detail::numbers_of<S>(rule);
    return detail::for_token_rows(
        executor, logits, [&](std::int64_t i) __attribute__((always_inline)) {
          return row::shard_backward(n, row::row_of(logits, i), logits.extent[1], labels[i],
                                     first_column, row::row_of(keep, i), states[i],
                                     row::cotangent(cot.logp, i), row::cotangent(cot.entropy, i),
                                     row::row_of(gradient, i));
        });
  } else {
    return status::ok;
  }
}

}  // namespace hence::inline v0
