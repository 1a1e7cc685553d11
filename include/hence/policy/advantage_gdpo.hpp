/// \file
/// GDPO: several rewards per row, each normalised within its group before they are added.
#pragma once

#include <hence/policy/advantage.hpp>

namespace hence::inline v0 {

namespace advantage {

/// S = sum_k weights_k (r_k - mu_k)/(sigma_k + eps) with GRPO's mean and deviation (ddof 1) of each
/// reward in the row's group, then A = (S - mean S)/(deviation of S + batch_eps) over the batch
/// (ddof 1); all 0 if S is constant but for rounding, that is within 2^-45 of the largest
/// sum_k |weights_k| |r_k - mu_k|/(sigma_k + eps). arXiv:2601.05242, eq. 4 to 6.
/// \tparam K rewards per row.
template <int K, class Singleton> struct gdpo {
  double weights[static_cast<unsigned>(K)];  ///< of the rewards, in their order
  double eps, batch_eps;
  Singleton singleton;  ///< of S; `singleton_raw` has sum weights_k r_k/(1 + eps)
};
template <unsigned long K, class O>
gdpo(const double (&)[K], double, double, O) -> gdpo<static_cast<int>(K), O>;

}  // namespace advantage

namespace detail {

template <class T> HENCE_FN view<const T> column_of(const view<const T, 2>& a, int k) {
  view<const T> column(&a(0, k), a.extent[0]);
  column.stride[0] = a.stride[0];
  return column;
}

/// The sums S of one group after the other, in float64.
template <class S, class Isa, int K, class Singleton> class gdpo_walk {
 public:
  using V = num<double, Isa>;

  gdpo_walk(const advantage::gdpo<K, Singleton>& rule, const offsets& cu,
            const view<const S, 2>& rewards)
      : rule_(rule), cu_(cu), rewards_(rewards) {}

  /// Calls f(row, sum, size) for the rows of groups [begin, end), size being the sum of the parts'
  /// magnitudes. The rewards are finite.
  template <class F> void groups(std::int64_t begin, std::int64_t end, F f) const {
    for (std::int64_t g = begin; g < end; ++g)
      if (cu_[g + 1] - cu_[g] == 1)
        single(cu_[g], f);
      else if (cu_[g + 1] > cu_[g])
        group(cu_[g], cu_[g + 1], f);
  }

 private:
  template <class F> void single(std::int64_t row, F f) const {
    V sum = 0.0, size = 0.0;
    for (int k = 0; k < K; ++k) {
      const V part = V(rule_.weights[k]) * (V(rewards_(row, k)) / (V(1.0) + V(rule_.eps)));
      sum = sum + part, size = size + abs(part);
    }
    f(row, rule_.singleton(sum), rule_.singleton(size));
  }
  template <class F> void group(std::int64_t begin, std::int64_t end, F f) const {
    const auto grpo = advantage::grpo(1, rule_.eps, advantage::singleton_zero{});
    measured_group<S, Isa> of[static_cast<unsigned>(K)];
    V factor[static_cast<unsigned>(K)];
    for (int k = 0; k < K; ++k) {
      V low, high;
      of[k] = measure_rows<S, Isa>(column_of(rewards_, k), begin, end, true, {}, low, high,
                                   [](std::int64_t) { return true; });
      factor[k] = V(rule_.weights[k]) * factor_of(grpo, of[k].moments);
    }
    for (std::int64_t i = begin; i < end; ++i) {
      V sum = 0.0, size = 0.0;
      for (int k = 0; k < K; ++k) {
        const V part = of[k].centred(V(rewards_(i, k))) * factor[k];
        sum = sum + part, size = size + abs(part);
      }
      f(i, sum, size);
    }
  }

  const advantage::gdpo<K, Singleton>& rule_;
  const offsets& cu_;
  const view<const S, 2>& rewards_;
};

template <class S, int K, class O, class Isa = native_isa>
void check_gdpo(const advantage::gdpo<K, O>& rule, const offsets& cu,
                const view<const S, 2>& rewards, const view<S>& out) {
  check_groups(cu);
  const std::int64_t rows = cu[cu.rows()];
  check_scale(advantage::scale_group{1, rule.eps});
  if (!(rule.batch_eps >= 0) || rule.batch_eps > 1.7e308)
    refuse(message() << "hence: gdpo.batch_eps is " << rule.batch_eps
                     << ", expected a finite number, 0 or more");
  for (int k = 0; k < K; ++k)
    if (rule.weights[k] - rule.weights[k] != 0)
      refuse(message() << "hence: gdpo.weights[" << std::int64_t{k} << "] is " << rule.weights[k]
                       << ", expected a finite number");
  if (rewards.extent[0] != rows || rewards.extent[1] != K)
    refuse(message() << "hence: rewards has shape [" << rewards.extent[0] << ", "
                     << rewards.extent[1] << "], expected [" << rows << ", " << std::int64_t{K}
                     << "]");
  if (!rewards.present() && rows > 0)
    refuse(message() << "hence: rewards is null, expected " << rows << " rows");
  for (int k = 0; k < K && rows > 0; ++k)
    check_advantage_arrays(advantage::dr_grpo(advantage::singleton_zero{}), cu,
                           column_of(rewards, k), out);
}

}  // namespace detail

/// The advantages of all rows, of several rewards each.
/// \param executor as for the other rules; the statistics of the batch are taken in the caller's
///   thread. Bits do not depend on it, on its pool or on the order of groups and rows.
/// \param rule weights, eps, batch_eps and what a group of one gets.
/// \param batch where each group's rows lie. Groups may be empty.
/// \param rewards `[rows, K]`, of any strides.
/// \param out `[rows]`, apart from rewards.
/// One reward that is not finite makes every advantage NaN.
template <class Executor, int K, class Singleton>
status advantages(const Executor& executor, const advantage::gdpo<K, Singleton>& rule,
                  const groups& batch, const view<const typename Executor::scalar, 2>& rewards,
                  view<typename Executor::scalar> out) {
  using S = typename Executor::scalar;
  using isa = detail::executor_isa<Executor>;
  using V = num<double, isa>;
  const offsets& cu = batch.cu_groups;
  detail::check_gdpo(rule, cu, rewards, out);
  const std::int64_t rows = cu[cu.rows()];
  if (rows == 0) return status::empty;
  bool finite = true, single = false;
  for (int k = 0; k < K; ++k)
    finite = finite && detail::all_finite<isa>(detail::column_of(rewards, k), 0, rows);
  for (std::int64_t g = 0; g < cu.rows(); ++g) single = single || cu[g + 1] - cu[g] == 1;
  const status condition = single ? Singleton::condition : status::ok;
  if (!finite) return detail::write_nan<isa>(out, 0, rows) | condition;
  const detail::gdpo_walk<S, isa, K, Singleton> walk(rule, cu, rewards);
  V low = 0.0, high = 0.0, largest = 0.0;
  bool first = true;
  walk.groups(0, cu.rows(), [&](std::int64_t, V x, V size) {
    low = first ? x : lesser(x, low);
    high = first ? x : greater(x, high);
    largest = greater(size, largest);
    first = false;
    finite = finite && (x - x == V(0.0));
  });
  if (!finite) {  // an overflow, or what `singleton_error` makes of a group of one
    const status found = detail::write_nan<isa>(out, 0, rows);
    return has(condition, status::singleton) ? condition : found;
  }
  if (high - low <= largest * V(0x1p-45)) {
    for (std::int64_t i = 0; i < rows; ++i) out[i] = S(0);
    return condition;
  }
  const V count = static_cast<double>(rows);
  const detail::measured_group<double, isa> sums(low, high, count, true, {}, [&](auto f) {
    walk.groups(0, cu.rows(), [&](std::int64_t, V x, V) { f(x); });
  });
  const V factor = detail::factor_of(
      advantage::grpo(1, rule.batch_eps, advantage::singleton_zero{}), sums.moments);
  return condition | detail::over_groups(executor, cu, [&](std::int64_t begin, std::int64_t end) {
           status found = status::ok;
           walk.groups(begin, end, [&](std::int64_t row, V x, V) {
             out[row] = static_cast<S>((sums.centred(x) * factor).v);
             if (out[row] - out[row] != 0) found = status::non_finite;
           });
           return found;
         });
}

}  // namespace hence::inline v0
