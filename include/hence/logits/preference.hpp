/// \file
/// Preference losses as functions of the margin, and nothing else: the gradient comes from the dual
/// number, the loop is in preference_loss.hpp.
///
/// For a pair, z = (log pi(w) - log ref(w)) - (log pi(l) - log ref(l)), w the chosen and l the
/// rejected response; a rule without a reference (SimPO) sees log pi(w) - log pi(l). For KTO, which
/// has no pairs, z = log pi - log ref of one response. Whether a response's log-prob is the sum
/// over its tokens or the mean is the caller's choice (`per_response`), named by each paper below.
#pragma once

#include <hence/core/check.hpp>
#include <hence/core/math.hpp>

namespace hence::inline v0 {

namespace detail {

[[gnu::always_inline]] inline void check_positive(const char* name, double x) {
  if (!(x > 0) || x > 1e30)
    refuse(message() << "hence: " << name << " is " << x << ", expected a positive number");
}

}  // namespace detail

namespace preference {

/// (1 - e) softplus(-beta z) + e softplus(beta z), that is -log sigmoid(beta z) at e = 0. Sums of
/// log-probs. Rafailov et al., arXiv:2305.18290 eq. 7; e is the share of labels taken as flipped,
/// "conservative DPO", Mitchell (2023), TRL's label_smoothing.
template <class N = float> struct dpo {
  N beta;
  N flipped;
  static constexpr bool reads_reference = true;
  HENCE_FN auto operator()(const auto& z) const {
    using V = detail::plain_t<std::remove_cvref_t<decltype(z)>>;
    const V e = flipped;
    const auto x = z * V(beta);
    return softplus(-x) * (V(N(1)) - e) + softplus(x) * e;
  }
  [[gnu::always_inline]] void check() const {
    detail::check_positive("dpo.beta", static_cast<double>(beta));
    if (!(flipped >= N(0) && flipped < N(0.5)))
      detail::refuse(detail::message() << "hence: dpo.flipped is " << static_cast<double>(flipped)
                                       << ", expected a share from 0 to below 0.5");
  }
};
template <class N> dpo(N, N) -> dpo<N>;

/// (z - 1 / (2 beta))^2. Azar et al., arXiv:2310.12036 eq. 17, with sums of log-probs; TRL takes
/// their means, with which beta keeps its meaning across lengths.
template <class N = float> struct ipo {
  N beta;
  static constexpr bool reads_reference = true;
  HENCE_FN auto operator()(const auto& z) const {
    using V = detail::plain_t<std::remove_cvref_t<decltype(z)>>;
    const auto d = z - V(N(0.5)) / V(beta);
    return d * d;
  }
  [[gnu::always_inline]] void check() const {
    detail::check_positive("ipo.beta", static_cast<double>(beta));
  }
};
template <class N> ipo(N) -> ipo<N>;

/// softplus(margin - beta z). Means of log-probs, no reference. Meng et al., arXiv:2405.14734
/// eq. 6, where the margin is called gamma; TRL's gamma_beta_ratio is margin / beta.
template <class N = float> struct simpo {
  N beta;
  N margin;
  static constexpr bool reads_reference = false;
  HENCE_FN auto operator()(const auto& z) const {
    using V = detail::plain_t<std::remove_cvref_t<decltype(z)>>;
    return softplus(V(margin) - z * V(beta));
  }
  [[gnu::always_inline]] void check() const {
    detail::check_positive("simpo.beta", static_cast<double>(beta));
    if (!(margin >= N(0)) || margin > N(1e30))
      detail::refuse(detail::message() << "hence: simpo.margin is " << static_cast<double>(margin)
                                       << ", expected 0 or more");
  }
};
template <class N> simpo(N, N) -> simpo<N>;

/// weight (1 - sigmoid(beta (z - z0))) for a desirable response, with z0 - z for an undesirable
/// one; z0 is the batch's estimate of KL(pi || ref), not below 0, a constant. Sums of log-probs.
/// Ethayarajh et al., arXiv:2402.01306 eq. 8 (the constant lambda_y of its loss is left out, as in
/// TRL).
template <class N = float> struct kto {
  N beta;
  N desirable, undesirable;  ///< weights; the paper's lambda_D and lambda_U
  static constexpr bool reads_reference = true;
  /// \param z the response's log-ratio to the reference. \param z0 the batch's estimate.
  /// \param sign 1 for a desirable response, -1 for another.
  HENCE_FN auto operator()(const auto& z, const auto& z0, const auto& sign) const {
    using V = std::remove_cvref_t<decltype(z0)>;
    const V weight = select(sign > V(N(0)), V(desirable), V(undesirable));
    // 1 - sigmoid(x) = sigmoid(-x), which does not cancel
    return sigmoid((V(z0) - z) * (sign * V(beta))) * weight;
  }
  [[gnu::always_inline]] void check() const {
    detail::check_positive("kto.beta", static_cast<double>(beta));
    detail::check_positive("kto.desirable", static_cast<double>(desirable));
    detail::check_positive("kto.undesirable", static_cast<double>(undesirable));
  }
};
template <class N> kto(N, N, N) -> kto<N>;

}  // namespace preference

}  // namespace hence::inline v0
