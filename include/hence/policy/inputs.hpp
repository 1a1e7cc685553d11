/// \file
/// What a policy loss reads, and the checks made once per call before anything is written.
#pragma once

#include <hence/core/logprob.hpp>
#include <hence/policy/result.hpp>
#include <hence/policy/term.hpp>

namespace hence::inline v0 {

/// The arrays of one batch. \tparam T the executor's scalar: `float`, or `double` for `reference<double>`.
template <class T = float> struct policy_inputs {
  logprobs<T> logp{};                     ///< log pi of the sampled tokens; the gradient is with respect to it
  logprobs<T> old{};                      ///< log pi_old: what the ratio is taken against
  logprobs<T> ref{};                      ///< log pi_ref; only with a KL term
  view<const T> advantages{};             ///< `[rows]`, one per sequence; or
  per_token<const T> token_advantages{};  ///< `[tokens]` or `[rows, width]`; exactly one of the two
  view<const T> scores{};                 ///< `[rows]`, raw rewards for rules that read `token::score`
};

namespace detail {

/// One row's slices of the arrays; absent arrays are null.
template <class T> struct row_data {
  const T *logp, *old, *ref, *token_advantages;
  T advantage, score;
  T* gradient;
  row_masks mask;
  std::int64_t length;
};

template <class T>
HENCE_FN row_data<T> row_of(const policy_inputs<T>& in, const layout& b, const per_token<T>& gradient, std::int64_t i) {
  return {b.row(in.logp.values, i), b.row(in.old.values, i), b.row(in.ref.values, i),
          b.row(in.token_advantages, i),
          // an absent advantage stays unread until the row proves to have a live token
          T(0), T(0), b.row(gradient, i), b.masks_of(i), b.length(i)};
}

template <class T> std::int64_t bytes_of(const per_token<T>& a, const layout& b) {
  if (!a.present() || b.tokens() == 0) return 0;
  const std::int64_t elements = b.is_padded ? (b.rows - 1) * a.row_stride + b.width : b.tokens();
  return elements * static_cast<std::int64_t>(sizeof(T));
}
template <class T, class U>
void check_apart(const char* name, const per_token<T>& gradient, const per_token<U>& input, const layout& b) {
  if (overlap(gradient.data, bytes_of(gradient, b), input.data, bytes_of(input, b)))
    refuse(message() << "hence: gradient overlaps " << name << "; they are separate arrays");
}
/// The same for an array of one dimension, whose stride may be anything.
template <class T, class U>
void check_apart(const char* name, const per_token<T>& gradient, const view<const U>& input, const layout& b) {
  if (!input.present() || input.extent[0] < 1) return;
  const U *first = input.data, *last = input.data + (input.extent[0] - 1) * input.stride[0];
  const U *low = last < first ? last : first, *high = last < first ? first : last;
  if (overlap(gradient.data, bytes_of(gradient, b), low, (high - low + 1) * static_cast<std::int64_t>(sizeof(U))))
    refuse(message() << "hence: gradient overlaps " << name << "; they are separate arrays");
}
template <class Isa = native_isa> void check_like(const char* name, const sampled& a, const sampled& b) {
  if (a.temperature != b.temperature)
    refuse(message() << "hence: logp was computed at temperature " << a.temperature << ", " << name << " at " << b.temperature
                     << "; their ratio means nothing");
  if (a.sampling_mask != b.sampling_mask)
    refuse(message() << "hence: logp and " << name << " were computed with different sampling masks ("
                     << static_cast<std::int64_t>(a.sampling_mask) << " and " << static_cast<std::int64_t>(b.sampling_mask) << ")");
}

template <class Loss, class T>
void check_inputs(const Loss& loss, const layout& b, const policy_inputs<T>& in, const per_token<T>& gradient) {
  check_layout(b);
  check_shape("logp", in.logp.values, b);
  check_shape("old", in.old.values, b);
  check_like("old", in.logp.how, in.old.how);
  if constexpr (has_kl<std::remove_cvref_t<decltype(loss.kl)>>) {
    check_shape("ref", in.ref.values, b);
    check_like("ref", in.logp.how, in.ref.how);
  }
  if (in.advantages.present() && in.token_advantages.present())
    refuse(message() << "hence: advantages [rows] and token_advantages are both given, expected one of them");
  if (in.token_advantages.present()) {
    check_shape("token_advantages", in.token_advantages, b);
  } else {
    if (!in.advantages.present() && b.rows > 0)
      refuse(message() << "hence: advantages is null, expected " << b.rows << " rows (or token_advantages)");
    if (in.advantages.extent[0] != b.rows)
      refuse(message() << "hence: advantages has " << in.advantages.extent[0] << " entries, the batch has " << b.rows << " rows");
  }
  if (in.scores.present() && in.scores.extent[0] != b.rows)
    refuse(message() << "hence: scores has " << in.scores.extent[0] << " entries, the batch has " << b.rows << " rows");
  check_shape("gradient", gradient, b);
  check_apart("logp", gradient, in.logp.values, b);
  check_apart("old", gradient, in.old.values, b);
  check_apart("ref", gradient, in.ref.values, b);
  check_apart("token_advantages", gradient, in.token_advantages, b);
  check_apart("mask.response", gradient, b.response, b);
  check_apart("mask.policy", gradient, b.policy, b);
  check_apart("mask.kl", gradient, b.kl, b);
  check_apart("mask.metric", gradient, b.metric, b);
  check_apart("advantages", gradient, in.advantages, b);
  check_apart("scores", gradient, in.scores, b);
}

}  // namespace detail

}  // namespace hence::inline v0
