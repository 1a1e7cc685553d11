/// \file
/// From a row's sums to its numbers, in float64: log-prob, entropy, normaliser, and the factors of
/// the gradient.
///
/// With S the sum of 2^z over the row, E that of 2^z z, p = 2^z/S:
/// log p_label = ln(2) z_label - log S, H = log S - ln(2) E/S (entropy), E[x]/T = ln(2) (E/S + K).
#pragma once

#include <hence/logits/softmax_rule.hpp>

namespace hence::inline v0::detail {

/// A row's numbers, in N = num<double>.
template <class N> struct softmax_values {
  N logp;       ///< of the label; NaN without one
  N entropy;    ///< H
  N log_sum;    ///< log Z less the reference and the shift
  N mean;       ///< E/S
  N expected;   ///< E[x]/T less the reference and the shift
  N total;      ///< S
  N at_label;   ///< p of the label
  N elsewhere;  ///< 1 - p of the label, without cancellation
  N surprise;   ///< log p_label + H, without cancellation where the label is nearly certain
};

/// \param scale, lost log2(e)/T as fp32 and the rest: the sums were made with `scale`; what the
/// rest changes in a log-prob is lost (x_label - E[x]) ln(2) to first order.
template <class N>
HENCE_FN softmax_values<N> finished(const softmax_state& s, double scale, double lost) {
  const N others(s.others), moment(s.moment), label(s.label), none(__builtin_nan(""));
  const bool has_label = s.label == s.label, possible = s.label > -__builtin_inf();
  softmax_values<N> r;
  const N z = has_label && possible ? fma(label, N(scale), -N(s.reference)) : N(-4000.0);
  const N weight = has_label && possible ? wide_exp2(z) : N(0.0);
  const N bounded = lesser(N(1000.0), greater(N(-1000.0), z));
  r.total = others + weight;
  const N sum_of_z = fma(weight, bounded, moment);
  r.mean = sum_of_z / r.total;
  const N log_total = wide_log(r.total), mean_logit = (r.mean + N(s.reference)) / N(scale);
  const N made_good = N(lost) * N(ln2) * mean_logit;
  r.log_sum = log_total + made_good;
  r.expected = fma(r.mean, N(ln2), made_good);
  r.at_label = weight / r.total;
  r.elsewhere = others / r.total;
  r.surprise = N(ln2) * (fma(bounded, others, -moment) / r.total);
  if (weight >= N(2.5) * others) {  // no cancellation near certainty
    const N mean_of_others = others > 0 ? (moment / others + N(s.reference)) / N(scale) : label;
    const N correction = fma(N(lost) * (mean_of_others - label), N(ln2), N(1.0));
    const N rest = wide_log1p(others / weight * correction);
    r.logp = N(0.0) - rest;
    r.entropy = r.surprise + rest;
  } else {
    r.logp = fma(fma(label - mean_logit, N(lost), z), N(ln2), -log_total);
    r.entropy = fma(r.mean, N(-ln2), log_total);
    if (!possible) r.logp = N(-__builtin_inf());
  }
  if (!has_label) r.logp = none;
  if (r.entropy < 0) r.entropy = N(0.0);
  return r;
}

/// The largest float that is not above log(n): entropies never exceed it.
template <class N> HENCE_FN float largest_entropy(std::int64_t n) {
  const N log_n = wide_log(N(static_cast<double>(n)));
  const auto x = static_cast<float>(log_n.v);
  if (!(static_cast<double>(x) > log_n.v)) return x;
  return __builtin_bit_cast(float, __builtin_bit_cast(std::int32_t, x) - 1);
}

/// The factors of d (g logp + h H)/d x: away from the label w (c0 + c1 z), see `gradient_term`.
struct gradient_factors {
  double c0, c1, at_label;
};
template <class N>
HENCE_FN gradient_factors factors_of(const softmax_values<N>& v, double g, double h,
                                     double inverse_temperature) {
  const N by_total = N(inverse_temperature) / v.total, entropy_cot = N(h) * N(ln2);
  const N at_label = N(g) * v.elsewhere - N(h) * (v.at_label * v.surprise);
  return {(fma(entropy_cot, v.mean, -N(g)) * by_total).v, (-entropy_cot * by_total).v,
          (at_label * N(inverse_temperature)).v};
}

}  // namespace hence::inline v0::detail
