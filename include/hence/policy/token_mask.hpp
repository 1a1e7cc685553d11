/// \file
/// Two-pass token masks: tokens chosen over the whole batch before the loss is taken. Each writes a
/// mask of a role, so the denominator, which counts response tokens, stays.
///
/// The choice is a function of the data, the seed and the tokens' places: no host generator, ties
/// by index, the same on every executor. All means are exact sums.
#pragma once

#include <hence/core/random.hpp>
#include <hence/policy/clip.hpp>
#include <hence/policy/row_reference.hpp>
#include <hence/policy/select_tokens.hpp>

namespace hence::inline v0 {

/// Where the random choice of `clip_cov_mask` comes from: Philox at (token, step, sequence).
struct token_draws {
  std::uint64_t seed = 0;  ///< of the run
  std::uint32_t step = 0;
  std::uint64_t first_sequence = 0;  ///< identity of the batch's first row; the next ones follow
};

namespace detail {

/// A token's place in the batch.
struct token_place {
  std::int64_t row, token, live;  ///< live: how many policy tokens of its row come before it
};

/// Calls f(row, place) for every policy token of the batch.
template <class S, class F>
void for_each_policy_token(const layout& b, const policy_inputs<S>& in, F&& f) {
  for (std::int64_t i = 0; i < b.rows; ++i) {
    row_data<S> row = row_of(in, b, {}, i);
    std::int64_t live = 0;
    for (std::int64_t t = 0; t < row.length; ++t) {
      if (!row.mask.live(t) || !row.mask.policy_live(t)) continue;
      if (live == 0 && in.advantages.present()) row.advantage = in.advantages[i];
      f(row, token_place{i, t, live++});
    }
  }
}

/// Fills a mask with the policy tokens, or with nothing.
template <class S>
void fill_mask(const layout& b, const policy_inputs<S>& in, const per_token<std::uint8_t>& out,
               bool with_policy_tokens) {
  for (std::int64_t i = 0; i < b.rows; ++i)
    for (std::int64_t t = 0; t < b.length(i); ++t) b.row(out, i)[t] = 0;
  if (!with_policy_tokens) return;
  for_each_policy_token(
      b, in, [&](const row_data<S>&, const token_place& p) { b.row(out, p.row)[p.token] = 1; });
}

/// The centred product (A - mean A)(log pi - mean log pi) over the batch's policy tokens.
template <class S> class covariance {
 public:
  covariance(const layout& b, const policy_inputs<S>& in) {
    sum_of<S> logps, advantages;
    for_each_policy_token(b, in, [&](const row_data<S>& row, const token_place& p) {
      logps.add(row.logp[p.token]), advantages.add(advantage(row, p)), ++tokens_;
    });
    logp_ = row_mean<S>(logps.value(), tokens_);
    advantage_ = row_mean<S>(advantages.value(), tokens_);
  }
  HENCE_FN num<S> of(const row_data<S>& row, const token_place& p) const {
    return (num<S>(advantage(row, p)) - advantage_) * (num<S>(row.logp[p.token]) - logp_);
  }
  std::int64_t tokens() const { return tokens_; }
  /// Infinities and NaN reach the means.
  bool is_finite() const {
    return logp_.v - logp_.v == S(0) && advantage_.v - advantage_.v == S(0);
  }
  /// max(floor(share N), 1); 0 of nothing, and where the share is 0.
  std::int64_t share_of(double share) const {
    const auto n = static_cast<std::int64_t>(share * static_cast<double>(tokens_));
    return tokens_ == 0 || !(share > 0) ? 0 : n > 1 ? n : 1;
  }
  static HENCE_FN S advantage(const row_data<S>& row, const token_place& p) {
    return row.token_advantages ? row.token_advantages[p.token] : row.advantage;
  }

 private:
  std::int64_t tokens_ = 0;
  num<S> logp_{}, advantage_{};
};

template <class Isa = native_isa> void check_share(const char* name, double share) {
  if (!(share >= 0 && share <= 1))
    refuse(message() << "hence: " << name << " has share " << share << ", expected 0 to 1");
}
template <class S>
void check_token_mask(const layout& b, const policy_inputs<S>& in,
                      const per_token<std::uint8_t>& out) {
  check_layout(b);
  check_shape("out", out, b);
  check_apart_from_inputs("out", place_of(out, b), in, b);
}
template <class S> void check_advantages_given(const layout& b, const policy_inputs<S>& in) {
  check_shape("logp", in.logp.values, b);
  if (in.token_advantages.present() == in.advantages.present() && b.tokens() > 0)
    refuse(message() << "hence: expected advantages [rows] or token_advantages, one of them");
  if (in.token_advantages.present())
    check_shape("token_advantages", in.token_advantages, b);
  else if (in.advantages.present() && in.advantages.extent[0] != b.rows)
    refuse(message() << "hence: advantages has " << in.advantages.extent[0]
                     << " entries, the batch has " << b.rows << " rows");
}

}  // namespace detail

/// Which tokens clip-cov draws from: all policy tokens, as arXiv:2505.22617 writes it.
struct eligible_all {
  static constexpr bool reads_old = false;
  void check() const {}
  template <class S> HENCE_FN bool operator()(const detail::row_data<S>&, std::int64_t, S) const {
    return true;
  }
};
/// Which tokens clip-cov draws from: those that the two-sided clip has not cut already, as the
/// paper's authors' code and verl do it. Cut is r > high where A > 0 and r < low where A < 0,
/// r = pi/pi_old, unclamped.
struct eligible_unclipped {
  double low, high;  ///< bounds of the ratio: those of the loss's `clip::two_sided`
  static constexpr bool reads_old = true;
  void check() const { clip::check_bounds("eligible_unclipped", low, high); }
  /// Whether policy token t of the row, of advantage a, may be drawn.
  template <class S>
  HENCE_FN bool operator()(const detail::row_data<S>& row, std::int64_t t, S a) const {
    const S r = exp(num<S>(row.logp[t]) - num<S>(row.old[t])).v;
    return !(a > 0 && r > static_cast<S>(high)) && !(a < 0 && r < static_cast<S>(low));
  }
};

/// clip-cov: of the eligible tokens with low < cov < high a random max(floor(share N), 1) of N
/// policy tokens, none where the share is 0, lose their policy term. arXiv:2505.22617; verl: share
/// 2e-4, low 1, high 5.
/// \tparam Eligible `eligible_all` or `eligible_unclipped`: the paper and its code differ.
template <class Eligible> struct clip_cov {
  static_assert(std::same_as<Eligible, eligible_all> || std::same_as<Eligible, eligible_unclipped>,
                "hence: clip_cov draws from eligible_all{} or eligible_unclipped{low, high}");
  double share, low, high;
  Eligible eligible;
};
template <class E> clip_cov(double, double, double, E) -> clip_cov<E>;
/// kl-cov: the max(floor(share N), 1) tokens with the largest cov, none where the share is 0.
/// arXiv:2505.22617; there they keep -r A, so the loss has `clip::none`, and get the penalty
/// |log pi - log pi_old|: `kl::absolute` with old as reference.
struct kl_cov {
  double share;
};
/// The ceil(share N) tokens with the largest entropy keep their policy term. arXiv:2506.01939: 0.2.
struct top_entropy {
  double share;
};

/// Writes the policy mask that `clip_cov` leaves, to be used as `mask.policy`.
/// \param rule share of all policy tokens, bounds of the covariance, which tokens are eligible.
/// \param batch `ragged` or `padded`; policy tokens are those of its response and policy masks.
/// \param in `logp` and the advantages; for `eligible_unclipped` `old` too.
/// \param draws seed, step and first sequence, where the random choice is drawn.
/// \param out `[tokens]` or `[rows, width]`, apart from all.
/// \return `status::non_finite` if an input is not finite: then no token is taken.
template <class Executor, class Eligible, class Batch>
status token_mask(const Executor&, const clip_cov<Eligible>& rule, const Batch& batch,
                  const policy_inputs<typename Executor::scalar>& in, const token_draws& draws,
                  per_token<std::uint8_t> out) {
  using S = typename Executor::scalar;
  const detail::layout b = batch;
  detail::check_token_mask(b, in, out);
  detail::check_advantages_given(b, in);
  detail::check_share("clip_cov", rule.share);
  if (!(rule.low <= rule.high))
    detail::refuse(detail::message() << "hence: clip_cov has bounds [" << rule.low << ", "
                                     << rule.high << "], expected low <= high");
  rule.eligible.check();
  if constexpr (Eligible::reads_old) detail::check_logprobs("old", in.old, in.logp, b);
  detail::fill_mask(b, in, out, true);
  const detail::covariance<S> cov(b, in);
  bool finite = cov.is_finite();
  if constexpr (Eligible::reads_old)
    detail::for_each_policy_token(
        b, in, [&](const detail::row_data<S>& row, const detail::token_place& p) {
          const S old = row.old[p.token];
          finite &= old - old == S(0);
        });
  if (!finite) return status::non_finite;
  const S low = static_cast<S>(rule.low), high = static_cast<S>(rule.high);
  std::int64_t eligible = 0;
  const auto visit = [&](auto&& f) {
    detail::for_each_policy_token(
        b, in, [&](const detail::row_data<S>& row, const detail::token_place& p) {
          const num<S> c = cov.of(row, p);
          if (!(c > num<S>(low)) || !(c < num<S>(high))) return;
          if (!rule.eligible(row, p.token, cov.advantage(row, p))) return;
          const draw at{static_cast<std::uint32_t>(p.live), draws.step,
                        draws.first_sequence + static_cast<std::uint64_t>(p.row)};
          f(philox(draws.seed, at).word[0], p);
        });
  };
  visit([&](std::uint32_t, const detail::token_place&) { ++eligible; });
  const std::int64_t most = cov.share_of(rule.share);
  detail::mark_largest<std::uint32_t>(
      most < eligible ? most : eligible, visit,
      [&](const detail::token_place& p) { b.row(out, p.row)[p.token] = 0; });
  return cov.tokens() > 0 ? status::ok : status::empty;
}

/// Writes the KL mask of `kl_cov`, to be used as `mask.kl`: 1 at the chosen tokens.
template <class Executor, class Batch>
status token_mask(const Executor&, const kl_cov& rule, const Batch& batch,
                  const policy_inputs<typename Executor::scalar>& in, per_token<std::uint8_t> out) {
  using S = typename Executor::scalar;
  const detail::layout b = batch;
  detail::check_token_mask(b, in, out);
  detail::check_advantages_given(b, in);
  detail::check_share("kl_cov", rule.share);
  detail::fill_mask(b, in, out, false);
  const detail::covariance<S> cov(b, in);
  if (!cov.is_finite()) return status::non_finite;
  const auto visit = [&](auto&& f) {
    detail::for_each_policy_token(
        b, in, [&](const detail::row_data<S>& row, const detail::token_place& p) {
          f(detail::order_key(cov.of(row, p)), p);
        });
  };
  detail::mark_largest<decltype(detail::order_key(num<S>()))>(
      cov.share_of(rule.share), visit,
      [&](const detail::token_place& p) { b.row(out, p.row)[p.token] = 1; });
  return cov.tokens() > 0 ? status::ok : status::empty;
}

/// Writes the policy mask of `top_entropy`, to be used as `mask.policy`.
/// \param rule share of all policy tokens.
/// \param batch as for `clip_cov`.
/// \param in `entropy` alone.
/// \param out `[tokens]` or `[rows, width]`, apart from all.
/// \return `status::non_finite` if an entropy is not finite: then every policy token stays.
template <class Executor, class Batch>
status token_mask(const Executor&, const top_entropy& rule, const Batch& batch,
                  const policy_inputs<typename Executor::scalar>& in, per_token<std::uint8_t> out) {
  using S = typename Executor::scalar;
  const detail::layout b = batch;
  detail::check_token_mask(b, in, out);
  detail::check_shape("entropy", in.entropy, b);
  detail::check_share("top_entropy", rule.share);
  std::int64_t tokens = 0;
  bool finite = true;
  const auto visit = [&](auto&& f) {
    detail::for_each_policy_token(
        b, in, [&](const detail::row_data<S>& row, const detail::token_place& p) {
          f(detail::order_key(num<S>(row.entropy[p.token])), p);
        });
  };
  detail::for_each_policy_token(b, in,
                                [&](const detail::row_data<S>& row, const detail::token_place& p) {
                                  const S h = row.entropy[p.token];
                                  finite &= h - h == S(0), ++tokens;
                                });
  detail::fill_mask(b, in, out, !finite);
  if (!finite) return status::non_finite;
  const double wanted = rule.share * static_cast<double>(tokens);
  auto k = static_cast<std::int64_t>(wanted);
  k += static_cast<double>(k) < wanted;
  detail::mark_largest<decltype(detail::order_key(num<S>()))>(
      k, visit, [&](const detail::token_place& p) { b.row(out, p.row)[p.token] = 1; });
  return tokens > 0 ? status::ok : status::empty;
}

}  // namespace hence::inline v0
