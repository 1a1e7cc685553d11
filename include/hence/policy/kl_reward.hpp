/// \file
/// KL in the reward instead of in the loss: -coef v per token, or its sum off the row's reward,
/// which is to be taken before the group's baseline.
///
/// v is the estimator's value with its limit; its gradient policy plays no part, and
/// `ratio_weighted` is refused, since it would change the value.
#pragma once

#include <hence/policy/row_reference.hpp>

namespace hence::inline v0 {

/// The KL that a reward has paid for, sum of v over the tokens of the KL mask: what `kl::adaptive`
/// is updated by, since the loss has no KL term then.
struct kl_paid {
  double sum = 0;           ///< without the coefficient; exact and rounded once for float
  std::int64_t tokens = 0;  ///< of the KL mask
  /// Per token, verl's and OpenRLHF's; 0 without tokens.
  HENCE_FN constexpr double mean() const {
    return tokens > 0 ? sum / static_cast<double>(tokens) : 0;
  }
};

namespace detail {

/// What both forms refuse.
template <class Kl, class T>
void check_kl_reward(const Kl& kl, const layout& b, const policy_inputs<T>& in) {
  static_assert(has_kl<Kl>,
                "hence: a KL in the reward is kl::k1, k2, k3 or absolute with a coefficient");
  static_assert(!kl::weighs_by_ratio<Kl>,
                "hence: a KL in the reward has no ratio to be weighted by; use kl::own");
  check_layout(b);
  check_part(kl);
  check_shape("logp", in.logp.values, b);
  check_logprobs("ref", in.ref, in.logp, b);
}

/// v of one token.
template <class V, class Kl> HENCE_FN V kl_value_of(const Kl& estimator, V logp, V ref) {
  const V u = ref - logp, zero_log(0);
  // own's value: no gradient is asked for
  const V v = value_of(kl::estimate(estimator, dual<V, zero, V>{u, {}, V(0)}, zero_log));
  return poisoned_by(u, v);
}

/// -coef v, and v counted if the caller wants to know.
template <class S> struct kl_payment {
  kl_paid* paid;
  sum_of<S> values = {};
  std::int64_t tokens = 0;
  template <class Kl> HENCE_FN num<S> of(const Kl& kl, S logp, S ref) {
    const num<S> v = kl_value_of(kl, num<S>(logp), num<S>(ref));
    if (paid != nullptr) values.add(v.v), ++tokens;
    return -(v * num<S>(kl.coef));
  }
  HENCE_FN void write() const {
    if (paid != nullptr) *paid = {static_cast<double>(values.value()), tokens};
  }
};

}  // namespace detail

/// out_t = -coef v_t at tokens of the KL mask, 0 elsewhere. OpenRLHF, verl. Runs in the caller's
/// thread; the same bits on every executor of the arrays' scalar.
/// \param kl an estimator of hence::kl with its coefficient and limit.
/// \param batch `ragged` or `padded`; its response and KL masks say which tokens count.
/// \param in `logp` of the policy that sampled, and `ref`.
/// \param out `[tokens]` or `[rows, width]`; apart from the inputs.
/// \param paid if not null, the KL of the call, for `kl::adaptive`.
/// \return `status::non_finite` if a value is not finite.
template <class Executor, class Kl, class Batch>
status kl_rewards(const Executor&, const Kl& kl, const Batch& batch,
                  const policy_inputs<typename Executor::scalar>& in,
                  per_token<typename Executor::scalar> out, kl_paid* paid = nullptr) {
  using S = typename Executor::scalar;
  const detail::layout b = batch;
  detail::check_kl_reward(kl, b, in);
  detail::check_shape("out", out, b);
  detail::check_apart_from_inputs("out", detail::place_of(out, b), in, b);
  detail::kl_payment<S> payment{paid};
  bool finite = true;
  for (std::int64_t i = 0; i < b.rows; ++i) {
    const detail::row_data<S> row = detail::row_of(in, b, {}, i);
    S* to = b.row(out, i);
    for (std::int64_t t = 0; t < row.length; ++t) {
      const bool live = row.mask.live(t) && row.mask.kl_live(t);
      const S x = live ? payment.of(kl, row.logp[t], row.ref[t]).v : S(0);
      finite &= x - x == S(0);
      to[t] = x;
    }
  }
  payment.write();
  return finite ? status::ok : status::non_finite;
}

/// rewards_i <- rewards_i - coef sum_t v_t, the sum exact for float. TRL's RLOO, ms-swift. Runs in
/// the caller's thread; the same bits on every executor of the arrays' scalar.
/// \param kl, batch, in as for `kl_rewards`.
/// \param paid as for `kl_rewards`.
/// \param rewards `[rows]`. A row whose sum is not finite becomes NaN or infinite, for the
/// advantage to report.
template <class Executor, class Kl, class Batch>
status subtract_kl(const Executor&, const Kl& kl, const Batch& batch,
                   const policy_inputs<typename Executor::scalar>& in,
                   view<typename Executor::scalar> rewards, kl_paid* paid = nullptr) {
  using S = typename Executor::scalar;
  const detail::layout b = batch;
  detail::check_kl_reward(kl, b, in);
  if (!rewards.present() && b.rows > 0)
    detail::refuse(detail::message() << "hence: rewards is null, expected " << b.rows << " rows");
  if (rewards.extent[0] != b.rows)
    detail::refuse(detail::message() << "hence: rewards has " << rewards.extent[0]
                                     << " entries, the batch has " << b.rows << " rows");
  detail::check_apart_from_inputs("rewards", detail::place_of(rewards, b), in, b);
  detail::kl_payment<S> payment{paid};
  bool finite = true;
  for (std::int64_t i = 0; i < b.rows; ++i) {
    const detail::row_data<S> row = detail::row_of(in, b, {}, i);
    sum_of<S> total;
    for (std::int64_t t = 0; t < row.length; ++t)
      if (row.mask.live(t) && row.mask.kl_live(t))
        total.add(payment.of(kl, row.logp[t], row.ref[t]).v);
    const auto sum = static_cast<S>(total.value());
    finite &= sum - sum == S(0);
    rewards[i] = (num<S>(rewards[i]) + num<S>(sum)).v;
  }
  payment.write();
  return finite ? status::ok : status::non_finite;
}

}  // namespace hence::inline v0
