/// \file
/// The formulas of a token's distillation loss, for every executor: log-probs, the divergence as a
/// dual number of log S, and the chain rule through the student's softmax:
/// d / d x_i = (phi_i - S_i sum phi) / T with phi_i = d f_i / d log S_i.
#pragma once

#include <hence/core/clamp.hpp>
#include <hence/logits/distill_arrays.hpp>
#include <hence/logits/softmax_finish.hpp>

namespace hence::inline v0 {

namespace detail {

/// log p_i = (x_i - pivot) / T - rest.
template <class S> struct row_distribution {
  S pivot, inverse, rest;
  bool is_number;
  template <class U> HENCE_FN U log_p(U x) const {
    const U l = fma(x - U(pivot), U(inverse), -U(rest));
    return select(l > U(S(-1e30)), l, U(S(-1e30)));
  }
};
/// \tparam W the executor's num<double>. \param s the row's sums, without a label.
template <class W, class S>
HENCE_FN row_distribution<S> distribution_of(const softmax_numbers<S>& n, const softmax_state& s) {
  const auto v = finished<W>(s, static_cast<double>(n.scale), n.lost);
  const auto pivot =
      static_cast<S>((W(s.reference) / W(static_cast<double>(n.scale)) + W(s.shift)).v);
  const W log_z = fma(W(s.shift), W(n.inverse), W(s.reference) * W(ln2)) + v.log_sum;
  const W rest = fma(W(static_cast<double>(pivot)), W(-n.inverse), log_z);
  return {pivot, static_cast<S>(n.inverse), static_cast<S>(rest.v), s.others == s.others};
}

/// A token's cotangent over the temperature.
template <class W, class S>
HENCE_FN S weight_of_token(const view<const S>& cotangent, double temperature, std::int64_t t) {
  const double cot = cotangent.present() ? static_cast<double>(cotangent[t]) : 1.0;
  return static_cast<S>((W(cot) / W(temperature)).v);
}

/// What logits x of the student and y of the teacher add to the divergence, and phi.
template <class Divergence, class U, class S>
HENCE_FN auto divergence_at(const Divergence& how, const row_distribution<S>& s,
                            const row_distribution<S>& q, const U& x, const U& y) {
  const dual<U, zero, one> log_s{s.log_p(x), {}, {}};
  return how(log_s, q.log_p(y));
}
/// The gradient at a logit x of the student. \param total the sum of phi.
template <class U, class S>
HENCE_FN U gradient_of_logit(const row_distribution<S>& s, const U& x, const U& phi, S total,
                             S weight) {
  const U p = exp(s.log_p(x));
  return fma(fma(p, -U(total), phi), U(weight), U(S(0)));
}

/// With a teacher's top k, from the log-probs of student and teacher.
/// \param least log-probs below count as this.
template <class Divergence, class N>
HENCE_FN auto shown_term(const Divergence& how, const N& log_s, const N& log_q, const N& least) {
  using S = typename N::scalar;
  return how(clamp(dual<N, zero, one>{log_s, {}, {}}, least, N(S(1e30))), greater(least, log_q));
}
/// What lies outside the k ids, which are distinct: log-probs of student and teacher, and the
/// student's share.
template <class S> struct remainder {
  S log_s, log_q;
  double share;
};
/// The student's share is a difference of sums of the same numbers, exact to 1e-15; the teacher's
/// is what its log-probs leave, which fp32 resolves to 2^-24. Neither is below that.
/// \param all, shown the student's sums over all columns and over the ids. \param taught the
/// teacher's.
template <class S, class W> HENCE_FN remainder<S> remainder_of(W all, W shown, W taught) {
  const W share = greater(all - shown, W(0x1p-50)), left = greater(W(1.0) - taught, W(0x1p-24));
  return {static_cast<S>(wide_log(share).v), static_cast<S>(wide_log(left).v), share.v};
}
template <class W, class S> HENCE_FN double probability_of(S log_p) {
  return wide_exp2(greater(W(-4000.0), W(static_cast<double>(log_p)) * W(log2e))).v;
}
/// phi of a token outside the ids, per its share of the student.
template <class W, class S> HENCE_FN S rest_slope_of(S phi, double share) {
  return static_cast<S>((W(static_cast<double>(phi)) / W(share)).v);
}
template <class S> HENCE_FN S bounded_log(double x) {
  return static_cast<S>(x < -1e30 ? -1e30 : x > 1e30 ? 1e30 : x);
}
/// The sum between the rule's bounds, a dual number of itself.
template <class N>
HENCE_FN auto clamped_sum(typename N::scalar sum, const distill_top_k_rule& rule) {
  using S = typename N::scalar;
  return clamp(dual<N, zero, one>{N(sum), {}, {}}, N(bounded_log<S>(rule.clamp_min)),
               N(bounded_log<S>(rule.clamp_max)));
}
/// The gradient at a logit x outside the ids. \param slope phi of the rest less the sum of phi.
template <class U, class S>
HENCE_FN U gradient_of_rest(const row_distribution<S>& s, const U& x, S slope, S weight) {
  return fma(exp(s.log_p(x)) * U(slope), U(weight), U(S(0)));
}
/// What an id's own phi makes of that.
template <class U, class S>
HENCE_FN U gradient_of_shown(const row_distribution<S>& s, const U& x, const U& phi, S rest_slope,
                             S weight, const U& of_rest) {
  return fma(fma(-exp(s.log_p(x)), U(rest_slope), phi), U(weight), of_rest);
}

}  // namespace detail

}  // namespace hence::inline v0
