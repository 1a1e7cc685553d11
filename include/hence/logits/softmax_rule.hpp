/// \file
/// How logits become probabilities, and what a row of logits leaves behind.
#pragma once

#include <hence/core/check.hpp>
#include <hence/core/math_wide.hpp>

namespace hence::inline v0 {

/// What a negative label means; frameworks disagree, so there is no default.
enum class negative_labels : std::uint8_t {
  unstated = 0,  ///< refused
  out_of_range,  ///< like a label beyond the vocabulary: NaN and `status::label`
  ignored,       ///< the row is not read; its outputs and gradients are 0 (-100 in PyTorch)
};

/// p = softmax(x / temperature), with x = cap tanh(x / cap) before it where there is a soft-cap.
struct softmax_rule {
  double temperature;        ///< above 0; entropies are those of the tempered distribution
  negative_labels negative;  ///< what a negative label means
  double soft_cap = 0;       ///< 0: none (Gemma 2, arXiv:2408.00118 section 2)
};

/// What the forward pass keeps of a row, so that the backward pass reads the logits once. With
/// z_i = (x_i - shift) log2(e)/T - reference, over the support without the label:
struct softmax_state {
  double others;     ///< sum of 2^z_i; NaN: the row has a NaN or no finite logit
  double moment;     ///< sum of 2^z_i z_i
  double reference;  ///< an integer near the largest x_i log2(e)/T
  double shift;      ///< 0, or the row's largest logit where logits leave the fast range;
                     ///< -infinity: no finite logit, as a shard of the vocabulary may have
  double label;      ///< the label's logit - shift; NaN: none
};

namespace detail {

/// The rule's numbers for an executor of scalar S. For float the factor is rounded to fp32 and what
/// it lost is made good at the row's end to first order, from the mean logit.
template <class S> struct softmax_numbers {
  S scale;             // log2(e)/T rounded to S
  double lost;         // log2(e)/T - scale
  double inverse;      // 1/T
  S cap, inverse_cap;  // 0: none
  bool ignores_negative;
};

template <class S> HENCE_FN softmax_numbers<S> numbers_of(const softmax_rule& r) {
  using N = num<double>;
  const double exact = (N(log2e) / N(r.temperature)).v;
  const S scale = static_cast<S>(exact);
  return {scale,
          (N(exact) - N(static_cast<double>(scale))).v,
          (N(1.0) / N(r.temperature)).v,
          static_cast<S>(r.soft_cap),
          r.soft_cap > 0 ? static_cast<S>((N(1.0) / N(r.soft_cap)).v) : S(0),
          r.negative == negative_labels::ignored};
}

/// The state of a row with a NaN or +infinity, and of one without a finite logit.
HENCE_FN constexpr softmax_state without_numbers() {
  const double nan = __builtin_nan("");
  return {nan, nan, nan, 0, nan};
}
HENCE_FN constexpr softmax_state without_support() {
  const double nan = __builtin_nan("");
  return {nan, nan, nan, -__builtin_inf(), nan};
}

template <class Isa = native_isa> void check_softmax_rule(const softmax_rule& r) {
  if (!(r.temperature >= 1e-20 && r.temperature <= 1e20))
    refuse(message() << "hence: softmax_rule.temperature is " << r.temperature
                     << ", expected a number above 0 (1e-20 to 1e20)");
  if (!(r.soft_cap == 0 || (r.soft_cap >= 1e-20 && r.soft_cap <= 1e20)))
    refuse(message() << "hence: softmax_rule.soft_cap is " << r.soft_cap
                     << ", expected a number above 0, or 0 for none");
  if (r.negative != negative_labels::out_of_range && r.negative != negative_labels::ignored)
    refuse(message()
           << "hence: softmax_rule.negative is unstated, expected negative_labels::ignored or "
              "negative_labels::out_of_range");
}

}  // namespace detail

}  // namespace hence::inline v0
