/// \file
/// Estimators of KL(pi || pi_ref) per token, u = log pi_ref - log pi, as value, gradient and limit
/// policies.
///
/// The gradient of k1 has mean zero and that of k3 is not the reverse KL's; only k2's is, on-policy
/// (OpenRLHF#1309, trl#4638, verl#2953), and that of k3 weighted by a differentiable ratio. So the
/// gradient is a policy of its own: `own`, `as_k2`, `as_k2_importance`, `ratio_weighted`. What
/// happens to large values is another (kl_limit.hpp). Schulman, "Approximating KL divergence"
/// (2020).
#pragma once

#include <hence/core/check.hpp>
#include <hence/core/math.hpp>

namespace hence::inline v0::kl {

/// The gradient of the value as written.
struct own {};
/// The gradient of k2, whatever the value: verl's "k1+", "k3+". No limit applies to it.
struct as_k2 {};
/// The gradient of g k2, g = sg(min(pi/pi_anchor, cap)) of the token itself: OpenRLHF's
/// unbiased_gradient. No limit but the cap applies to it.
template <class S = float> struct as_k2_importance {
  S cap;
};
template <class S> as_k2_importance(S) -> as_k2_importance<S>;
/// Value times the loss's ratio, with the gradient of the product: unbiased for the reverse KL off
/// policy too. DeepSeek-V3.2, arXiv:2512.02556; TRL, NeMo-RL. The metric is the value before it.
struct ratio_weighted {};

/// Large values stay as they are. TRL, Liger.
struct unlimited {
  HENCE_FN constexpr auto input(const auto& u) const { return u; }
  HENCE_FN constexpr auto output(const auto& v) const { return v; }
};

/// Refuses a coefficient that is NaN or infinite.
template <class S> [[gnu::always_inline]] inline void check_coef(const char* estimator, S coef) {
  if (!(coef - coef == S(0)))
    detail::refuse(detail::message() << "hence: " << estimator << " has coefficient "
                                     << static_cast<double>(coef) << ", expected a finite number");
}
/// Refuses an importance cap or a limit that makes no sense.
template <class Estimator>
[[gnu::always_inline]] inline void check_estimator(const char* name, const Estimator& e) {
  check_coef(name, e.coef);
  if constexpr (requires { e.gradient.cap; })
    if (!(e.gradient.cap > 0))
      detail::refuse(detail::message()
                     << "hence: " << name << " has importance cap "
                     << static_cast<double>(e.gradient.cap) << ", expected it above 0");
  if constexpr (requires { e.limit.check(); }) e.limit.check();
}

/// No KL term; the reference's log-probs are not asked for.
struct none {};

/// k1 = -u: unbiased, negative at times.
template <class S = float, class Gradient = own, class Limit = unlimited> struct k1 {
  static_assert(!std::integral<S>,
                "hence: a KL coefficient is a floating-point number: write 0.04f");
  S coef;
  Gradient gradient{};
  Limit limit{};
  HENCE_FN constexpr auto operator()(const auto& u) const { return -u; }
  [[gnu::always_inline]] void check() const { check_estimator("kl::k1", *this); }
};

/// k2 = u^2 / 2.
template <class S = float, class Gradient = own, class Limit = unlimited> struct k2 {
  static_assert(!std::integral<S>,
                "hence: a KL coefficient is a floating-point number: write 0.04f");
  S coef;
  Gradient gradient{};
  Limit limit{};
  HENCE_FN constexpr auto operator()(const auto& u) const { return u * u * S(0.5); }
  [[gnu::always_inline]] void check() const { check_estimator("kl::k2", *this); }
};

/// k3 = e^u - 1 - u: unbiased and never negative. DeepSeekMath, arXiv:2402.03300 eq. 4; DeepSeek-R1
/// eq. 2.
template <class S = float, class Gradient = own, class Limit = unlimited> struct k3 {
  static_assert(!std::integral<S>,
                "hence: a KL coefficient is a floating-point number: write 0.04f");
  S coef;
  Gradient gradient{};
  Limit limit{};
  HENCE_FN constexpr auto operator()(const auto& u) const { return hence::k3(u); }
  [[gnu::always_inline]] void check() const { check_estimator("kl::k3", *this); }
};

/// |u|, with gradient 0 at 0. verl's "abs".
template <class S = float, class Gradient = own, class Limit = unlimited> struct absolute {
  static_assert(!std::integral<S>,
                "hence: a KL coefficient is a floating-point number: write 0.04f");
  S coef;
  Gradient gradient{};
  Limit limit{};
  HENCE_FN constexpr auto operator()(const auto& u) const {
    using V = detail::plain_t<std::remove_cvref_t<decltype(u)>>;
    const V x = detach(u), slope = select(x > V(0), V(1), select(x < V(0), V(-1), V(0)));
    if constexpr (detail::dual_v<std::remove_cvref_t<decltype(u)>>)
      return chain(u, abs(x), slope);
    else
      return abs(x);
  }
  [[gnu::always_inline]] void check() const { check_estimator("kl::absolute", *this); }
};

template <class S> k1(S) -> k1<S, own>;
template <class S> k2(S) -> k2<S, own>;
template <class S> k3(S) -> k3<S, own>;
template <class S> absolute(S) -> absolute<S, own>;
template <class S, class G> k1(S, G) -> k1<S, G>;
template <class S, class G> k2(S, G) -> k2<S, G>;
template <class S, class G> k3(S, G) -> k3<S, G>;
template <class S, class G> absolute(S, G) -> absolute<S, G>;
template <class S, class G, class L> k1(S, G, L) -> k1<S, G, L>;
template <class S, class G, class L> k2(S, G, L) -> k2<S, G, L>;
template <class S, class G, class L> k3(S, G, L) -> k3<S, G, L>;
template <class S, class G, class L> absolute(S, G, L) -> absolute<S, G, L>;

/// Whether a gradient policy weighs with the capped ratio.
template <class G> constexpr bool is_importance = false;
template <class S> inline constexpr bool is_importance<as_k2_importance<S>> = true;
/// The gradient policy of an estimator.
template <class Estimator>
using gradient_of = std::remove_cvref_t<decltype(std::declval<const Estimator&>().gradient)>;
/// Whether the term multiplies the value by the loss's ratio.
template <class Estimator>
constexpr bool weighs_by_ratio = std::same_as<gradient_of<Estimator>, ratio_weighted>;
/// Whether the term needs log pi_anchor where the KL term alone is live.
template <class Estimator>
constexpr bool reads_anchor = weighs_by_ratio<Estimator> || is_importance<gradient_of<Estimator>>;

/// The estimate at u with the gradient that the estimator's policy names; `ratio_weighted` is left
/// to the caller.
/// \tparam Estimator one of the above, or a user's with the same members (`limit` may be missing).
/// \param estimator its value, gradient policy and limit; the coefficient is not applied.
/// \param u log pi_ref - log pi of the token, a number or a `dual`.
/// \param log_importance log pi - log pi_anchor of the token, constant.
template <class Estimator, class U, class V>
HENCE_FN constexpr auto estimate(const Estimator& estimator, const U& u, const V& log_importance) {
  using S = std::remove_cvref_t<decltype(estimator.coef)>;
  const auto value = [&] {
    if constexpr (requires { estimator.limit; })
      return estimator.limit.output(estimator(estimator.limit.input(u)));
    else
      return estimator(u);
  }();
  if constexpr (std::same_as<gradient_of<Estimator>, as_k2>)
    return with_gradient_of(value, k2<S>{S(0)}(u));
  else if constexpr (is_importance<gradient_of<Estimator>>)
    return with_gradient_of(value,
                            k2<S>{S(0)}(u)*lesser(exp(log_importance), V(estimator.gradient.cap)));
  else
    return value;
}

/// The same for the gradient policies that need no more than u.
template <class Estimator, class U>
HENCE_FN constexpr auto estimate(const Estimator& estimator, const U& u) {
  static_assert(!is_importance<gradient_of<Estimator>>,
                "hence: the gradient as_k2_importance needs the token's log importance");
  return estimate(estimator, u, detail::plain_t<U>(0));
}

}  // namespace hence::inline v0::kl
