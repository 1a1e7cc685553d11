/// \file
/// Rewards of a response's length and of how it ended. Lengths are in tokens, 0 or more; constants
/// that do not fit are refused with their names.
#pragma once

#include <hence/core/num.hpp>
#include <hence/core/view.hpp>

namespace hence::inline v0::reward::length {

namespace detail {

using hence::detail::message;

[[gnu::always_inline]] constexpr void check_tokens(std::int64_t tokens) {
  if (tokens < 0)
    hence::detail::refuse(message{} << "hence: tokens is " << tokens << ", expected 0 or more");
}
[[gnu::always_inline]] constexpr void check_finite(const char* name, double x) {
  if (!(x - x == 0))
    hence::detail::refuse(message{} << "hence: " << name << " is " << x
                                    << ", expected a finite number");
}
[[gnu::always_inline]] constexpr void check_band(std::int64_t tokens, std::int64_t longest,
                                                 std::int64_t cache) {
  check_tokens(tokens);
  if (cache < 0 || cache > longest)
    hence::detail::refuse(message{} << "hence: cache is " << cache
                                    << ", expected 0 to longest, which is " << longest);
}

}  // namespace detail

/// DAPO's soft overlong punishment: 0 up to longest - cache, ((longest - cache) - length) / cache
/// up to longest, -1 beyond. arXiv:2503.14476 eq. 13; there longest = 20480, cache = 4096. With
/// cache 0 the band is empty.
struct soft_overlong {
  std::int64_t longest, cache;  ///< 0 <= cache <= longest
  [[gnu::always_inline]] constexpr double operator()(std::int64_t tokens) const {
    detail::check_band(tokens, longest, cache);
    if (tokens <= longest - cache) return 0;
    if (tokens > longest) return -1;
    return static_cast<double>(longest - cache - tokens) / static_cast<double>(cache);
  }
};

/// OpenRLHF's: -factor min(exceed, cache) / cache, exceed = length - (longest - cache); 0 where
/// cache is 0.
struct open_rlhf_overlong {
  std::int64_t longest, cache;  ///< 0 <= cache <= longest
  double factor;
  [[gnu::always_inline]] constexpr double operator()(std::int64_t tokens) const {
    detail::check_band(tokens, longest, cache);
    detail::check_finite("factor", factor);
    const std::int64_t exceed = tokens - (longest - cache),
                       bounded = exceed < cache ? exceed : cache;
    if (bounded <= 0) return 0;
    return hence::detail::arithmetic<double>::mul(
        -static_cast<double>(bounded) / static_cast<double>(cache), factor);
  }
};

/// AReaL's: as OpenRLHF's without the bound below.
struct areal_overlong {
  std::int64_t longest, cache;  ///< 0 <= cache <= longest
  double factor;
  [[gnu::always_inline]] constexpr double operator()(std::int64_t tokens) const {
    detail::check_band(tokens, longest, cache);
    detail::check_finite("factor", factor);
    const std::int64_t exceed = tokens - (longest - cache);
    if (exceed <= 0 || cache == 0) return 0;
    return hence::detail::arithmetic<double>::mul(
        -static_cast<double>(exceed) / static_cast<double>(cache), factor);
  }
};

/// ProRL's stop-properly penalty as OpenRLHF has it: the reward of a truncated response times coef
/// if coef >= 0, coef itself if coef < 0. arXiv:2505.24864.
struct stop_properly {
  double coef;
  [[gnu::always_inline]] constexpr double operator()(double reward, bool truncated) const {
    detail::check_finite("coef", coef);
    if (!truncated) return reward;
    return coef < 0 ? coef : hence::detail::arithmetic<double>::mul(reward, coef);
  }
};

/// Which responses take part in the loss: 0 for truncated ones (DAPO's overlong filtering, eq. 13's
/// text), else 1. // [sequences], [sequences]
[[gnu::always_inline]] inline void truncation_mask(view<const std::uint8_t> truncated,
                                                   view<std::uint8_t> mask) {
  if (truncated.extent[0] != mask.extent[0])
    hence::detail::refuse(hence::detail::message{} << "hence: truncated has " << truncated.extent[0]
                                                   << " entries, mask has " << mask.extent[0]);
  for (std::int64_t i = 0; i < mask.extent[0]; ++i) mask[i] = truncated[i] == 0 ? 1 : 0;
}

/// cos(pi x) for any finite x, to 1e-15; no libm, the same bits everywhere. cos(pi (k + 1/2)) is 0.
template <class Isa = native_isa> constexpr double cos_pi(double x) {
  using V = num<double, Isa>;
  x = x < 0 ? -x : x;
  if (!(x < 0x1p52)) return x < 0x1p53 ? (static_cast<std::uint64_t>(x) & 1 ? -1 : 1) : 1;
  const auto half_turns = static_cast<std::uint64_t>(x + 0.5);
  double r = x - static_cast<double>(half_turns);  // exact, in [-1/2, 1/2]
  const bool odd = (half_turns & 1) != 0;
  r = r < 0 ? -r : r;
  const bool as_sine = r > 0.25;  // cos(pi r) = sin(pi (1/2 - r))
  const V t = V(3.141592653589793116) * V(as_sine ? 0.5 - r : r), y = t * t;
  // Taylor: below 3e-17 on [0, pi/4]
  V p = as_sine ? V(1.0 / 355687428096000.0) : V(1.0 / 20922789888000.0);
  const double sine[] = {
      -1.0 / 1307674368000.0, 1.0 / 6227020800.0, -1.0 / 39916800.0, 1.0 / 362880.0,
      -1.0 / 5040.0,          1.0 / 120.0,        -1.0 / 6.0,        1.0};
  const double cosine[] = {-1.0 / 87178291200.0,
                           1.0 / 479001600.0,
                           -1.0 / 3628800.0,
                           1.0 / 40320.0,
                           -1.0 / 720.0,
                           1.0 / 24.0,
                           -0.5,
                           1.0};
  for (int i = 0; i < 8; ++i) p = p * y + V(as_sine ? sine[i] : cosine[i]);
  if (as_sine) p = p * t;
  return odd ? -p.v : p.v;
}

/// The cosine reward of "Demystifying Long Chain-of-Thought Reasoning" (arXiv:2502.03373, 4.2):
/// from `at_zero` at length 0 to `at_longest` at the longest, CosFn(t, T, a, b) = b + (a - b)(1 +
/// cos(pi t / T)) / 2, with values of their own for correct and wrong responses, and a penalty for
/// one that reaches the longest.
struct cosine {
  /// Values at length 0 and at the longest.
  double correct_at_zero, correct_at_longest, wrong_at_zero, wrong_at_longest;
  double exceeded;       ///< the value of length >= longest
  std::int64_t longest;  ///< above 0
  [[gnu::always_inline]] constexpr double operator()(bool correct, std::int64_t tokens) const {
    check(tokens);
    return tokens >= longest ? exceeded : curve(correct, tokens);
  }

 protected:
  /// Refuses what has no curve.
  [[gnu::always_inline]] constexpr void check(std::int64_t tokens) const {
    detail::check_tokens(tokens);
    if (longest < 1)
      hence::detail::refuse(detail::message{} << "hence: longest is " << longest
                                              << ", expected 1 or more");
    detail::check_finite("correct_at_zero", correct_at_zero);
    detail::check_finite("correct_at_longest", correct_at_longest);
    detail::check_finite("wrong_at_zero", wrong_at_zero);
    detail::check_finite("wrong_at_longest", wrong_at_longest);
    detail::check_finite("exceeded", exceeded);
  }
  /// The cosine, wherever it is asked.
  template <class Isa = native_isa>
  constexpr double curve(bool correct, std::int64_t tokens) const {
    using V = num<double, Isa>;
    const V from = correct ? correct_at_zero : wrong_at_zero;
    const V to = correct ? correct_at_longest : wrong_at_longest;
    const V swing = cos_pi<Isa>(static_cast<double>(tokens) / static_cast<double>(longest));
    return (to + V(0.5) * (from - to) * (V(1.0) + swing)).v;
  }
};

/// open-r1's `cosine_scaled_reward`: the same curve without the penalty, and beyond the longest it
/// rises again. Its lengths are in characters.
struct open_r1_cosine : cosine {
  [[gnu::always_inline]] constexpr double operator()(bool correct, std::int64_t length) const {
    check(length);
    return curve(correct, length);
  }
};

}  // namespace hence::inline v0::reward::length
