/// \file
/// `distill`: a divergence between a student's and a teacher's distribution per token, and its
/// gradient with respect to the student's logits; from the teacher's full logits or its top k.
///
///     status s = hence::distill(cpu{}, divergence::generalized_jsd{0.5f}, {.temperature = 1.0},
///                               student, teacher, {.mask = mask, .cotangent = per_token_weight},
///                               {.per_token = values, .gradient = d_student});
///
/// Distributions are softmaxes of logits / temperature; there is no factor temperature^2. Losses
/// are sums of `per_token` divided by what the caller names: the cotangent of a token is what it
/// weighs in the loss, e.g. 1 / (live tokens). Dead tokens are not read: 0 and gradient 0.
///
/// A row with a NaN, +infinity or no finite logit, and for a divergence that needs equal supports
/// a row whose supports differ: NaN, and `status::non_finite`. Bits: a function of the row, the
/// same for `cpu` with any pool and for `reference<float>`. Error about 1e-6 of the largest term.
#pragma once

#include <hence/logits/distill_rows.hpp>

namespace hence::inline v0 {

/// \param executor `cpu{}`, `cpu{pool}`, `reference<S>{}`.
/// \param how a functor of hence::divergence, or one like them.
/// \param rule the temperature of both distributions.
/// \param student, teacher `[tokens, vocabulary]` of float, bf16 or f16 (double for
/// `reference<double>`), rows of any stride.
/// \param in mask and cotangents, each `[tokens]` or absent: all live, weight 1.
/// \param out `per_token` `[tokens]`, `gradient` `[tokens, vocabulary]`, each may be absent. The
/// gradient may be the student's logits; it is apart from the teacher's.
template <class Executor, class Divergence, class T, class Q>
status distill(const Executor& executor, const Divergence& how, const distill_rule& rule,
               view<T, 2> student, view<Q, 2> teacher,               // [tokens, vocabulary]
               const distill_inputs<typename Executor::scalar>& in,  // [tokens] each
               const distill_results<typename Executor::scalar>& out) {
  if constexpr (detail::check_logits<Executor, T>() && detail::check_logits<Executor, Q>()) {
    detail::check_distill_full(how, rule, student, teacher, in, out);
    const detail::distiller<Executor> rows{rule, in, out};
    return detail::for_token_rows(executor, student, [&](std::int64_t t) {
      if (rows.is_dead(t)) return rows.clear(t, student.extent[1]);
      return rows.full(how, student.data + t * student.stride[0],
                       teacher.data + t * teacher.stride[0], student.extent[1], t);
    });
  } else {
    return status::ok;
  }
}

/// A divergence from the k tokens that the teacher shows, its largest; s of the student is
/// normalised over the whole vocabulary. Log-probs of both are first raised to `log_prob_min`, the
/// sum is clamped to [clamp_min, clamp_max].
/// \param executor, how as for `distill`.
/// \param rest `tail::ignored{}` or `tail::one_token{}`: what becomes of the other tokens.
/// \param rule the student's temperature and the bounds.
/// \param student logits `[tokens, vocabulary]`, as for `distill`.
/// \param ids `[tokens, k]`; out of range, or twice in a row: NaN and `status::label`.
/// \param teacher_logp `[tokens, k]`, the teacher's log-probs of the ids. NaN or +infinity, and for
/// a divergence that needs equal supports -infinity on one side alone (unless `log_prob_min` raises
/// it): NaN and `status::non_finite`.
/// \param in as for `distill`.
/// \param out as for `distill`, but the gradient is apart from the student's logits.
template <class Executor, class Divergence, class Tail, class T>
status distill_top_k(const Executor& executor, const Divergence& how, Tail rest,
                     const distill_top_k_rule& rule, view<T, 2> student,     // [tokens, vocabulary]
                     view<const std::int64_t, 2> ids,                        // [tokens, k]
                     view<const typename Executor::scalar, 2> teacher_logp,  // [tokens, k]
                     const distill_inputs<typename Executor::scalar>& in,    // [tokens] each
                     const distill_results<typename Executor::scalar>& out) {
  if constexpr (detail::check_logits<Executor, T>()) {
    static_assert(detail::is_tail<Tail>(),
                  "hence: tokens outside the teacher's top k are tail::ignored or tail::one_token");
    detail::check_distill_top_k(how, rule, student, ids, teacher_logp, in, out);
    const distill_rule temperature{.temperature = rule.temperature};
    const detail::distiller<Executor> rows{temperature, in, out};
    return detail::for_token_rows(executor, student, [&](std::int64_t t) {
      if (rows.is_dead(t)) return rows.clear(t, student.extent[1]);
      return rows.top_k(how, rest, rule, student.data + t * student.stride[0], student.extent[1],
                        ids.data + t * ids.stride[0],
                        teacher_logp.data + t * teacher_logp.stride[0], ids.extent[1], t);
    });
  } else {
    return status::ok;
  }
}

/// sum over the k given ids of e^q (q - s): forward KL, `tail::ignored`.
template <class Executor, class T>
status distill_top_k(const Executor& executor, const distill_top_k_rule& rule,
                     view<T, 2> student,                                     // [tokens, vocabulary]
                     view<const std::int64_t, 2> ids,                        // [tokens, k]
                     view<const typename Executor::scalar, 2> teacher_logp,  // [tokens, k]
                     const distill_inputs<typename Executor::scalar>& in,    // [tokens] each
                     const distill_results<typename Executor::scalar>& out) {
  return distill_top_k(executor, divergence::forward_kl{}, tail::ignored{}, rule, student, ids,
                       teacher_logp, in, out);
}

}  // namespace hence::inline v0
