/// \file
/// Estimators of KL(pi || pi_ref) per token, u = log pi_ref - log pi, as value and gradient
/// policies.
///
/// The gradient of k1 has mean zero and that of k3 is not the reverse KL's; only k2's is, on-policy
/// (OpenRLHF#1309, trl#4638, verl#2953). So the gradient is a policy of its own: `own`, or `as_k2`.
/// Schulman, "Approximating KL divergence" (2020).
#pragma once

#include <hence/core/check.hpp>
#include <hence/core/math.hpp>

namespace hence::inline v0::kl {

/// The gradient of the value as written.
struct own {};
/// The gradient of k2, whatever the value: verl's "k1+", "k3+".
struct as_k2 {};

/// Refuses a coefficient that is NaN or infinite.
template <class S> [[gnu::always_inline]] inline void check_coef(const char* estimator, S coef) {
  if (!(coef - coef == S(0)))
    detail::refuse(detail::message() << "hence: " << estimator << " has coefficient "
                                     << static_cast<double>(coef) << ", expected a finite number");
}

/// No KL term; the reference's log-probs are not asked for.
struct none {};

/// k1 = -u: unbiased, negative at times.
template <class S = float, class Gradient = own> struct k1 {
  static_assert(!std::integral<S>,
                "hence: a KL coefficient is a floating-point number: write 0.04f");
  S coef;
  Gradient gradient{};
  HENCE_FN constexpr auto operator()(const auto& u) const { return -u; }
  [[gnu::always_inline]] void check() const { check_coef("kl::k1", coef); }
};

/// k2 = u^2 / 2.
template <class S = float, class Gradient = own> struct k2 {
  static_assert(!std::integral<S>,
                "hence: a KL coefficient is a floating-point number: write 0.04f");
  S coef;
  Gradient gradient{};
  HENCE_FN constexpr auto operator()(const auto& u) const { return u * u * S(0.5); }
  [[gnu::always_inline]] void check() const { check_coef("kl::k2", coef); }
};

/// k3 = e^u - 1 - u: unbiased and never negative. DeepSeekMath, arXiv:2402.03300 eq. 4; DeepSeek-R1
/// eq. 2.
template <class S = float, class Gradient = own> struct k3 {
  static_assert(!std::integral<S>,
                "hence: a KL coefficient is a floating-point number: write 0.04f");
  S coef;
  Gradient gradient{};
  HENCE_FN constexpr auto operator()(const auto& u) const { return hence::k3(u); }
  [[gnu::always_inline]] void check() const { check_coef("kl::k3", coef); }
};

template <class S> k1(S) -> k1<S, own>;
template <class S> k2(S) -> k2<S, own>;
template <class S> k3(S) -> k3<S, own>;
template <class S, class G> k1(S, G) -> k1<S, G>;
template <class S, class G> k2(S, G) -> k2<S, G>;
template <class S, class G> k3(S, G) -> k3<S, G>;

/// The estimate at u with the gradient that the estimator's policy names.
/// \tparam Estimator one of the above, or a user's with the same members.
template <class Estimator>
HENCE_FN constexpr auto estimate(const Estimator& estimator, const auto& u) {
  if constexpr (std::same_as<decltype(Estimator::gradient), as_k2>) {
    using S = decltype(Estimator::coef);
    return with_gradient_of(estimator(u), k2<S>{S(0)}(u));
  } else {
    return estimator(u);
  }
}

}  // namespace hence::inline v0::kl
