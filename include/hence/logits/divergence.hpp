/// \file
/// Divergences between a student's distribution S and a teacher's Q, as what one token of the
/// vocabulary adds, given log S and log Q. The derivative comes from dual numbers. An impossible
/// token arrives with a log-probability of -1e30, so that 0 log 0 is 0 without a branch.
#pragma once

#include <hence/core/check.hpp>
#include <hence/core/math.hpp>

namespace hence::inline v0::divergence {

/// KL(Q || S), the forward divergence: sum Q (log Q - log S). Hinton et al., arXiv:1503.02531.
struct forward_kl {
  static constexpr bool needs_equal_support = true;
  HENCE_FN auto operator()(const auto& log_s, const auto& log_q) const {
    return exp(log_q) * (log_q - log_s);
  }
};

/// KL(S || Q), the reverse divergence: sum S (log S - log Q). MiniLLM, arXiv:2306.08543 eq. 1.
struct reverse_kl {
  static constexpr bool needs_equal_support = true;
  HENCE_FN auto operator()(const auto& log_s, const auto& log_q) const {
    return exp(log_s) * (log_s - log_q);
  }
};

/// forward * KL(Q || S) + (1 - forward) * KL(S || Q).
template <class N = float> struct mixed_kl {
  N forward;
  static constexpr bool needs_equal_support = true;
  HENCE_FN auto operator()(const auto& log_s, const auto& log_q) const {
    using V = std::remove_cvref_t<decltype(log_q)>;
    return V(forward) * forward_kl{}(log_s, log_q) +
           (V(N(1)) - V(forward)) * reverse_kl{}(log_s, log_q);
  }
  [[gnu::always_inline]] void check() const {
    if (!(forward >= N(0) && forward <= N(1)))
      detail::refuse(detail::message() << "hence: mixed_kl.forward is "
                                       << static_cast<double>(forward) << ", expected 0 to 1");
  }
};
template <class N> mixed_kl(N) -> mixed_kl<N>;

/// Generalised Jensen-Shannon divergence, 0 < beta < 1: beta KL(Q || M) + (1 - beta) KL(S || M),
/// M = (1 - beta) S + beta Q. GKD, arXiv:2306.13649 eq. 1. With d = log Q - log S, log S - log M =
/// -log1p(beta (e^d - 1)), which neither cancels where S = Q nor overflows where d <= 0; for d > 0
/// the same from Q's side.
template <class N = float> struct generalized_jsd {
  N beta;
  static constexpr bool needs_equal_support = false;
  HENCE_FN auto operator()(const auto& log_s, const auto& log_q) const {
    using V = std::remove_cvref_t<decltype(log_q)>;
    const V b = beta, a = V(N(1)) - b, zero = V(N(0));
    const auto d = log_q - log_s;
    const auto is_less = d <= zero;
    const auto below = log1p(b * expm1(select(is_less, d, zero)));
    const auto above = log1p(a * expm1(select(is_less, zero, -d)));
    return b * exp(log_q) * select(is_less, d - below, -above) +
           a * exp(log_s) * select(is_less, -below, -d - above);
  }
  [[gnu::always_inline]] void check() const {
    if (!(beta > N(0) && beta < N(1)))
      detail::refuse(detail::message()
                     << "hence: generalized_jsd.beta is " << static_cast<double>(beta)
                     << ", expected a number between 0 and 1 (forward_kl is 0, reverse_kl 1)");
  }
};
template <class N> generalized_jsd(N) -> generalized_jsd<N>;

}  // namespace hence::inline v0::divergence
