/// \file
/// What a correction settles for a row, for the passes beside the loss: by scalar loops, with the
/// loss's own text and bits.
#pragma once

#include <hence/policy/row_reference.hpp>

namespace hence::inline v0::detail {

/// The row's E (0 where the correction is of tokens) and vetoes, and how many tokens they are of.
template <class V> struct row_correction {
  V e, vetoes;
  std::int64_t tokens;
};

/// \param row whose `old` and `rollout` are read at the live tokens with a policy term.
template <class S, class Correction>
row_correction<num<S>> correction_of_row(const Correction& correction, const row_data<S>& row) {
  using V = num<S>;
  row_correction<V> out{V(S(0)), V(S(0)), 0};
  for (std::int64_t t = 0; t < row.length; ++t)
    out.tokens += row.mask.live(t) && row.mask.policy_live(t);
  const reference_sums<S, native_isa> sum{row};
  if constexpr (Correction::pooled)
    out.e = pooled_value<S>(
        correction.averages,
        sum(row.old, row.rollout, [&](V x, V y) { return correction.summand(x - y); }), out.tokens);
  if constexpr (requires { requires Correction::vetoes; })
    out.vetoes = static_cast<S>(
        sum(row.old, row.rollout, [&](V x, V y) { return correction.outlier(x - y); }));
  return out;
}

/// The correction that leaves rho as it is.
struct rho_of_tokens {
  static constexpr bool pooled = false, averages = false;
  template <class V> HENCE_FN constexpr V weight(V e) const { return exp(e); }
};

}  // namespace hence::inline v0::detail
