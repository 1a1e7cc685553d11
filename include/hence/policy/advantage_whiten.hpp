/// \file
/// Whitening: (x - mean) / deviation over all live tokens of the batch, the mean and
/// var = sum (x - mean)^2 / (N - ddof) of those tokens. Exactly 0 where all of them are equal,
/// where there is none and where N <= ddof.
#pragma once

#include <hence/policy/advantage_scale.hpp>

namespace hence::inline v0::advantage {

/// x itself.
struct whiten_none {
  static constexpr bool is_whitening = true, reads_batch = false;
};
/// (x - mean) / sqrt(var + eps): verl, SkyRL and ROLL with ddof 1 and eps 1e-8.
struct whiten_add {
  std::int64_t ddof;
  double eps;
  static constexpr bool is_whitening = true, reads_batch = true;
  static constexpr const char* name = "whiten_add";
  template <class V> HENCE_FN V operator()(V variance, V smallest) const {
    return hence::detail::inverse_or_zero(sqrt(variance + smallest));
  }
};
/// (x - mean) / sqrt(max(var, eps)): OpenRLHF with ddof 0 and eps 1e-8.
struct whiten_floor {
  std::int64_t ddof;
  double eps;
  static constexpr bool is_whitening = true, reads_batch = true;
  static constexpr const char* name = "whiten_floor";
  template <class V> HENCE_FN V operator()(V variance, V smallest) const {
    return hence::detail::inverse_or_zero(sqrt(greater(variance, smallest)));
  }
};

}  // namespace hence::inline v0::advantage
