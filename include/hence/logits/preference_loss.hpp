/// \file
/// `preference_loss`: DPO, IPO, SimPO and a user's own rule over pairs of responses, and KTO over
/// single ones: values, gradients, and TRL's metrics in the same pass.
///
///     response_logps(cpu{}, per_response::sum{}, batch, logp, sums);  // chosen and rejected
///     auto result = preference_loss(
///         cpu{}, preference::dpo{0.1f, 0.0f}, pairs,
///         {.per_pair = values, .chosen = d_chosen, .rejected = d_rejected});
///     response_gradient(cpu{}, per_response::sum{}, batch, d_sums, d_logp);
///
/// A loss is the sum of `per_pair` divided by what the caller names: the cotangent of a pair is
/// what it weighs in the loss, e.g. 1 / pairs. A pair of cotangent 0 is computed like any other.
/// Runs in the caller's thread; the same bits on every executor of the arrays' scalar, and for any
/// split of the pairs. Error about 4 ulp of the terms.
#pragma once

#include <hence/core/execute.hpp>
#include <hence/core/place.hpp>
#include <hence/core/sum.hpp>
#include <hence/core/view.hpp>
#include <hence/logits/preference.hpp>

namespace hence::inline v0 {

/// Log-probs of the responses, `[pairs]` each; the reference's are absent for a rule without one.
template <class S> struct preference_pairs {
  view<const S> chosen, rejected, ref_chosen{}, ref_rejected{};  ///< the policy's, the reference's
  view<const S> cotangent{};                                     ///< d loss / d per_pair; absent: 1
};
/// `[pairs]` each; any may be absent.
template <class S> struct preference_results {
  view<S> per_pair{};            ///< the rule's value, before the cotangent
  view<S> chosen{}, rejected{};  ///< d loss / d log-prob of the response
};
/// Single responses for KTO, `[responses]` each.
template <class S> struct preference_singles {
  view<const S> logp, ref;             ///< the policy's and the reference's log-probs
  view<const std::uint8_t> desirable;  ///< nonzero: a response to be liked
  view<const S> cotangent{};           ///< absent: 1
};

/// Implicit rewards beta (log pi - log ref), TRL's `rewards/chosen`, `rewards/rejected`,
/// `rewards/accuracies` and `rewards/margins`. Merges over batches and ranks to the bit.
template <class S> struct preference_metrics {
  std::int64_t chosen_count = 0, rejected_count = 0;  ///< responses of each kind
  std::int64_t correct = 0;  ///< pairs whose chosen response has the larger reward
  sum_of<S> chosen{}, rejected{};
  status found = status::ok;  ///< of all pairs together

  /// TRL's `rewards/chosen`; 0 without one.
  double mean_chosen() const { return mean(chosen, chosen_count); }
  /// TRL's `rewards/rejected`; 0 without one.
  double mean_rejected() const { return mean(rejected, rejected_count); }
  /// TRL's `rewards/margins`.
  double margin() const { return mean_chosen() - mean_rejected(); }
  /// Of pairs; 0 without one: singles have no order to be right about, and counted beside pairs
  /// they lower it.
  double accuracy() const {
    return chosen_count == 0 ? 0.0
                             : static_cast<double>(correct) / static_cast<double>(chosen_count);
  }
  preference_metrics& operator+=(const preference_metrics& other) {
    chosen_count += other.chosen_count, rejected_count += other.rejected_count;
    correct += other.correct;
    chosen += other.chosen, rejected += other.rejected;
    found |= other.found;
    return *this;
  }

 private:
  static double mean(const sum_of<S>& x, std::int64_t n) {
    return n == 0 ? 0.0 : static_cast<double>(x.value()) / static_cast<double>(n);
  }
};

namespace detail {

template <class T>
[[gnu::always_inline]] inline void check_entries(const char* name, const view<T>& x, std::int64_t n,
                                                 bool may_be_absent) {
  if (may_be_absent && !x.given()) return;
  if (n < 0)
    refuse(message() << "hence: " << name << " has " << n << " entries, expected 0 or more");
  if (!x.present() && n > 0)
    refuse(message() << "hence: " << name << " is null, expected " << n << " entries");
  if (x.extent[0] != n)
    refuse(message() << "hence: " << name << " has " << x.extent[0] << " entries, expected " << n);
  if (!std::is_const_v<T>) check_stride(name, x.stride[0], n);
}
/// Refuses an output over an input.
template <class S, class T>
[[gnu::always_inline]] inline void check_written(const char* name, const view<S>& written,
                                                 const char* other, const view<T>& read) {
  check_apart(name, range_of(written), other, range_of(read));
}

template <class Rule, class S>
void check_pairs(const Rule& rule, const preference_pairs<S>& in,
                 const preference_results<S>& out) {
  if constexpr (requires { rule.check(); }) rule.check();
  const std::int64_t n = in.chosen.extent[0];
  check_entries("in.chosen", in.chosen, n, false);
  check_entries("in.rejected", in.rejected, n, false);
  check_entries("in.cotangent", in.cotangent, n, true);
  check_entries("in.ref_chosen", in.ref_chosen, n, !Rule::reads_reference);
  check_entries("in.ref_rejected", in.ref_rejected, n, !Rule::reads_reference);
  const view<S> written[] = {out.per_pair, out.chosen, out.rejected};
  const char* const names[] = {"out.per_pair", "out.chosen", "out.rejected"};
  for (int i = 0; i < 3; ++i) {
    check_entries(names[i], written[i], n, true);
    check_written(names[i], written[i], "in.chosen", in.chosen);
    check_written(names[i], written[i], "in.rejected", in.rejected);
    check_written(names[i], written[i], "in.ref_chosen", in.ref_chosen);
    check_written(names[i], written[i], "in.ref_rejected", in.ref_rejected);
    check_written(names[i], written[i], "in.cotangent", in.cotangent);
    for (int j = 0; j < i; ++j) check_written(names[i], written[i], names[j], written[j]);
  }
}

}  // namespace detail

/// \param rule of hence::preference, or one like them: a call operator of z, `beta`,
/// `reads_reference`.
/// \param in log-probs of the responses, sums or means as the rule's paper says.
/// \param out values and gradients, each entry written once; a pair with a NaN gets NaN.
/// \return the metrics, whose `found` has `status::non_finite` if a value is not finite.
template <class Executor, class Rule>
preference_metrics<typename Executor::scalar> preference_loss(
    const Executor&, const Rule& rule, const preference_pairs<typename Executor::scalar>& in,
    const preference_results<typename Executor::scalar>& out) {
  using S = typename Executor::scalar;
  using V = num<S, detail::executor_isa<Executor>>;
  detail::check_pairs(rule, in, out);
  preference_metrics<S> metrics;
  for (std::int64_t i = 0; i < in.chosen.extent[0]; ++i) {
    V chosen = in.chosen[i], rejected = in.rejected[i];
    if constexpr (Rule::reads_reference) {
      chosen = chosen - V(in.ref_chosen[i]);
      rejected = rejected - V(in.ref_rejected[i]);
    }
    const dual<V, one, zero> z{chosen - rejected, {}, {}};
    const auto term = rule(z);
    const V weight = in.cotangent.present() ? V(in.cotangent[i]) : V(S(1));
    const V slope = detail::as_number<V>(detail::pooled_of(term)) * weight;
    const V value = detail::value_of(term);
    if (out.per_pair.present()) out.per_pair[i] = value.v;
    if (out.chosen.present()) out.chosen[i] = slope.v;
    if (out.rejected.present()) out.rejected[i] = (-slope).v;
    if (!((value - value) == V(S(0)))) metrics.found |= status::non_finite;
    ++metrics.chosen_count, ++metrics.rejected_count;
    metrics.correct += chosen > rejected;
    metrics.chosen.add((V(rule.beta) * chosen).v);
    metrics.rejected.add((V(rule.beta) * rejected).v);
  }
  return metrics;
}

/// KTO over single responses.
/// \param rule `preference::kto`. \param in the responses' log-probs and what they are.
/// \param z0 the batch's estimate of KL(pi || ref) from mismatched pairs, 0 or more: a constant,
/// the mean over all ranks where there are several.
/// \param out `per_pair` holds the values, `chosen` d loss / d logp; `rejected` stays absent.
template <class Executor, class N>
preference_metrics<typename Executor::scalar> preference_loss(
    const Executor&, const preference::kto<N>& rule, typename Executor::scalar z0,
    const preference_singles<typename Executor::scalar>& in,
    const preference_results<typename Executor::scalar>& out) {
  using S = typename Executor::scalar;
  using V = num<S, detail::executor_isa<Executor>>;
  rule.check();
  if (!(z0 >= S(0)) || z0 > S(1e30))
    detail::refuse(detail::message()
                   << "hence: z0 is " << static_cast<double>(z0) << ", expected 0 or more");
  const std::int64_t n = in.logp.extent[0];
  detail::check_entries("in.logp", in.logp, n, false);
  detail::check_entries("in.ref", in.ref, n, false);
  detail::check_entries("in.desirable", in.desirable, n, false);
  detail::check_entries("in.cotangent", in.cotangent, n, true);
  detail::check_entries("out.per_pair", out.per_pair, n, true);
  detail::check_entries("out.chosen", out.chosen, n, true);
  if (out.rejected.given())
    detail::refuse(detail::message() << "hence: out.rejected is given, and single responses have "
                                        "one gradient, out.chosen");
  detail::check_written("out.chosen", out.chosen, "out.per_pair", out.per_pair);
  for (const view<S>& written : {out.per_pair, out.chosen}) {
    detail::check_written("out", written, "in.logp", in.logp);
    detail::check_written("out", written, "in.ref", in.ref);
    detail::check_written("out", written, "in.desirable", in.desirable);
    detail::check_written("out", written, "in.cotangent", in.cotangent);
  }
  preference_metrics<S> metrics;
  for (std::int64_t i = 0; i < n; ++i) {
    const bool desirable = in.desirable[i] != 0;
    const dual<V, one, zero> z{V(in.logp[i]) - V(in.ref[i]), {}, {}};
    const auto term = rule(z, V(z0), V(desirable ? S(1) : S(-1)));
    const V weight = in.cotangent.present() ? V(in.cotangent[i]) : V(S(1));
    const V value = term.value;
    if (out.per_pair.present()) out.per_pair[i] = value.v;
    if (out.chosen.present()) out.chosen[i] = (term.pooled * weight).v;
    if (!((value - value) == V(S(0)))) metrics.found |= status::non_finite;
    ++(desirable ? metrics.chosen_count : metrics.rejected_count);
    (desirable ? metrics.chosen : metrics.rejected).add((V(rule.beta) * z.value).v);
  }
  return metrics;
}

}  // namespace hence::inline v0
