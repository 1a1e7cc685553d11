/// \file
/// On-policy distillation as an advantage: the student samples, the teacher scores the student's
/// own tokens, and any policy loss takes A_t = coef (log Q(y_t) - log S(y_t)), a constant.
///
///     teacher_advantages(cpu{}, {.coef = 1.0f}, batch, teacher_logp, logp, advantages);
///
/// Its mean over the student's samples is -coef KL(S || Q), the reverse divergence per token, and
/// with REINFORCE on it the gradient is that divergence's (Lu and Thinking Machines Lab, "On-policy
/// distillation", 2025; Agarwal et al., arXiv:2306.13649, the on-policy case of GKD). Each token
/// looks at itself only: there is no discount. The exact sum over the vocabulary instead of the
/// sampled token is `distill` with `divergence::reverse_kl`.
#pragma once

#include <hence/core/execute.hpp>
#include <hence/core/gemm/product.hpp>
#include <hence/core/place.hpp>

namespace hence::inline v0 {

/// How a log-ratio becomes an advantage. \tparam N the executor's scalar.
template <class N = float> struct teacher_rule {
  N coef;                      ///< of the log-ratio, any finite number
  N limit = __builtin_inff();  ///< |log Q - log S| is clamped to it, above 0; infinity: not
};

/// out_t = coef (teacher_t - student_t), or out_t + that; 0 (or as it was) at dead positions, which
/// are not read. One rounding for each operation; the same bits on every executor of the scalar.
/// Runs in the caller's thread.
/// \param rule the coefficient and the limit.
/// \param batch `ragged` or `padded` with its response mask.
/// \param teacher, student log-probs of the sampled tokens, `[tokens]` or `[rows, width]`, at the
/// temperature at which they were sampled.
/// \param out of the same shape. \param of_out `accumulate` adds to rewards' advantages (slime,
/// NeMo).
/// \return `status::non_finite` if a written number is not finite: a teacher that excludes the
/// token, without a limit.
template <class Executor, class Batch>
status teacher_advantages(const Executor&, const teacher_rule<typename Executor::scalar>& rule,
                          const Batch& batch, per_token<const typename Executor::scalar> teacher,
                          per_token<const typename Executor::scalar> student,
                          per_token<typename Executor::scalar> out,
                          update of_out = update::overwrite) {
  using S = typename Executor::scalar;
  using V = num<S, detail::executor_isa<Executor>>;
  const detail::layout b = batch;
  detail::check_layout(b);
  detail::check_shape("teacher", teacher, b);
  detail::check_shape("student", student, b);
  detail::check_shape("out", out, b);
  detail::check_apart("out", out, "teacher", teacher, b);
  detail::check_apart("out", out, "student", student, b);
  detail::check_apart_from_batch("out", detail::place_of(out, b), b);
  if (!(rule.coef - rule.coef == S(0)))
    detail::refuse(detail::message()
                   << "hence: teacher_rule.coef is " << static_cast<double>(rule.coef)
                   << ", expected a finite number");
  if (!(rule.limit > S(0)))
    detail::refuse(detail::message()
                   << "hence: teacher_rule.limit is " << static_cast<double>(rule.limit)
                   << ", expected a number above 0 (infinity: off)");
  bool finite = true;
  for (std::int64_t i = 0; i < b.rows; ++i) {
    const detail::row_masks mask = b.masks_of(i);
    const std::int64_t length = b.length(i);
    const S *q = b.row(teacher, i), *s = b.row(student, i);
    S* const to = b.row(out, i);
    for (std::int64_t t = 0; t < length; ++t) {
      if (!mask.live(t)) {
        if (of_out == update::overwrite) to[t] = S(0);
        continue;
      }
      const V apart = V(q[t]) - V(s[t]), limit(rule.limit);
      const V bounded = apart > limit ? limit : apart < -limit ? -limit : apart;  // NaN stays
      const V a = V(rule.coef) * bounded;
      to[t] = (of_out == update::accumulate ? V(to[t]) + a : a).v;
      finite &= to[t] - to[t] == S(0);
    }
  }
  return finite ? status::ok : status::non_finite;
}

}  // namespace hence::inline v0
