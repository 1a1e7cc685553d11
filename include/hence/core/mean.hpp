/// \file
/// From an exact sum to a mean: one division in at least float64, one rounding to S.
#pragma once

#include <hence/core/num.hpp>

namespace hence::inline v0::detail {

/// max(n, 1) in the type that a sum of S is divided in: at least double.
template <class S> HENCE_FN constexpr auto mean_divisor(std::int64_t n) {
  using W = std::conditional_t<std::same_as<S, float>, double, S>;
  return static_cast<W>(n > 1 ? n : 1);
}
/// A row's sum as a mean over n tokens.
template <class S, class W> HENCE_FN S row_mean(W sum, std::int64_t n) {
  return static_cast<S>(arithmetic<W>::div(sum, mean_divisor<S>(n)));
}
/// A row's sum, or its mean over n tokens.
template <class S, class W> HENCE_FN S pooled_value(bool averages, W sum, std::int64_t n) {
  return averages ? row_mean<S>(sum, n) : static_cast<S>(sum);
}

}  // namespace hence::inline v0::detail
