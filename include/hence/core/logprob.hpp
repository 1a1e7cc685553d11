/// \file
/// Log-probs that know what they were computed with, so that a ratio of unlike ones is refused.
#pragma once

#include <hence/core/batch.hpp>

namespace hence::inline v0 {

/// How log-probs were made; its temperature is above 0. Two are comparable only if both members are
/// equal: a rollout's log-probs at temperature 0.6 or after top-p, divided by a trainer's plain
/// ones, give a ratio that means nothing.
struct sampled {
  double temperature;  ///< logits were divided by it
  std::uint64_t sampling_mask =
      0;  ///< 0: full vocabulary; else an id of the kept sets (top-k, top-p, ...)
  [[gnu::always_inline]] friend constexpr bool operator==(const sampled& a, const sampled& b) {
    return a.temperature == b.temperature && a.sampling_mask == b.sampling_mask;
  }
};

/// Log-probs of the sampled tokens with their provenance. \tparam T `float`; `double` for
/// `reference<double>`.
template <class T = float> struct logprobs {
  per_token<const T> values{};  ///< `[tokens]` or `[rows, width]`
  sampled how{1.0};             ///< temperature and mask that the values were computed with

  HENCE_FN constexpr logprobs() {}
  HENCE_FN constexpr logprobs(per_token<const T> v, sampled s) : values(v), how(s) {}
  template <class C>
    requires std::constructible_from<per_token<const T>, C>
  [[gnu::always_inline]] constexpr logprobs(C&& c, sampled s) : values(c), how(s) {}
  template <class C>
    requires(!std::constructible_from<per_token<const T>, C>)
  [[gnu::always_inline]] constexpr logprobs(C&&, sampled) {
    static_assert(!std::same_as<C, C>,
                  "hence: log-probs are an array that outlives the call, of float for cpu and "
                  "reference<float>, of double "
                  "for reference<double>: a vector, span, Eigen object or view, not a bare pointer "
                  "or a temporary");
  }
  template <class C>
    requires std::constructible_from<per_token<const T>, C>
  [[gnu::always_inline]] constexpr logprobs(C&&) {
    static_assert(!std::same_as<C, C>,
                  "hence: log-probs say at which temperature they were computed: {logp, "
                  "{.temperature = 1.0}}");
  }
  HENCE_FN constexpr bool present() const { return values.present(); }
};

}  // namespace hence::inline v0
