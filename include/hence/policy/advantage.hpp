/// \file
/// `advantages`: one number per row from the rewards of its group, on any executor.
///
///     status s = hence::advantages(cpu{}, advantage::grpo(1, 1e-4, advantage::singleton_zero{}),
///                                  groups{.cu_groups = cu}, rewards, out);
///
/// Arithmetic is float64, rounded once to the executor's scalar. For finite rewards A is never NaN,
/// rewards up to the scalar's largest do not overflow, and a constant group gets exactly +0 for
/// every eps, 0 included, where its own mean is subtracted and the scale is one of hence's. |A| <=
/// (G-1)/sqrt(G) at ddof 1 and sqrt(G-1) at ddof 0, + 1 ulp of fp32. For fp32 rewards |A - exact|
/// <= 0.5 ulp + 2^-50 (max - min)/(sigma + eps).
///
/// Bits: the same for `reference<float>`, `cpu`, any pool, any order of the groups and of the rows
/// in a group. `reference<double>` is as free of order. Reads 4 bytes and writes 4 bytes per row.
///
/// A NaN or infinity makes its whole group NaN and sets `status::non_finite`; other groups stay
/// right. Of a rule that reads the batch (`gpg`, `scale_batch`, `scale_batch_centred`,
/// `baseline_batch`) it makes every row NaN. `drop_unscored` takes NaN for a missing score. The
/// same status tells of an advantage beyond the scalar's range, which is infinite. No row:
/// `status::empty`.
#pragma once

#include <hence/policy/advantage_batch.hpp>
#include <hence/policy/advantage_checks.hpp>
#if defined(__CUDACC__)
#  include <hence/policy/advantage_reference.hpp>  // hence::cpu is absent, see execute.hpp
#else
#  include <hence/policy/advantage_cpu.hpp>
#endif

namespace hence::inline v0 {

/// The row-range form, for a host's own threads: groups [begin, end), whose rows alone are written.
/// The parameters are those of `advantages`; or the statuses together.
template <class Executor, class Rule>
status advantages_groups(const Executor&, const Rule& rule, const groups& batch,
                         view<const typename Executor::scalar> rewards,  // [rows]
                         view<typename Executor::scalar> out,            // [rows]
                         std::int64_t begin, std::int64_t end) {
  status found = status::ok;
  if constexpr (detail::check_advantage_rule<Rule, typename Executor::scalar>()) {
    detail::check_advantage_range(batch.cu_groups, begin, end);
    detail::check_advantage_arrays(rule, batch.cu_groups, rewards, out);
    if (begin == end || batch.cu_groups[begin] == batch.cu_groups[end]) return status::empty;
    detail::with_concrete_parts(rule, [&](const auto& concrete) {
      static_assert(!detail::rule_reads_batch<std::remove_cvref_t<decltype(concrete)>>(),
                    "hence: this rule reads the rewards of the whole batch, so a range of groups "
                    "is not enough: call advantages");
      found = detail::run_groups<Executor>(concrete, {}, batch.cu_groups, rewards, out, begin, end);
    });
  }
  return found;  // no test: it runs; clang counts 0 behind an `if constexpr` that returns
}

/// The advantages of all groups.
/// \param executor `cpu{}`, `cpu{pool}`, `reference<float>{}`, `reference<double>{}`.
/// \param rule an `advantage::group_baseline`, e.g. from `advantage::grpo` or `advantage::dr_grpo`,
///   whose parts may be `std::variant`s of parts; or `advantage::pass_at_k` and its kind.
/// \param batch where each group's rows lie. Groups may be empty.
/// \param rewards `[rows]`, of any stride.
/// \param out `[rows]`, of any stride; apart from rewards. Every entry is written.
template <class Executor, class Rule>
status advantages(const Executor& executor, const Rule& rule, const groups& batch,
                  view<const typename Executor::scalar> rewards,  // [rows]
                  view<typename Executor::scalar> out) {          // [rows]
  using isa = detail::executor_isa<Executor>;
  status found = status::ok;
  if constexpr (detail::check_advantage_rule<Rule, typename Executor::scalar>()) {
    const offsets& cu = batch.cu_groups;
    detail::check_groups(cu);
    detail::check_advantage_arrays(rule, cu, rewards, out);
    const std::int64_t rows = cu[cu.rows()];
    if (rows == 0) return status::empty;
    detail::with_concrete_parts(rule, [&](const auto& concrete) {
      if constexpr (detail::rule_reads_batch<std::remove_cvref_t<decltype(concrete)>>()) {
        if (detail::spoil_batch<std::remove_cvref_t<decltype(concrete)>, isa>(rewards, out, rows)) {
          found = status::non_finite;
          return;
        }
      }
      const auto of_batch =
          detail::batch_for<typename Executor::scalar, isa>(concrete, cu, rewards);
      found = detail::over_groups(executor, cu, [&](std::int64_t begin, std::int64_t end) {
        return detail::run_groups<Executor>(concrete, of_batch, cu, rewards, out, begin, end);
      });
    });
  }
  return found;  // no test: it runs; clang counts 0 behind an `if constexpr` that returns
}

/// Chosen when the arrays are not of the executor's scalar.
template <class Executor, class Rule, class Rewards, class Out>
  requires(!detail::arrays_of<typename Executor::scalar, Rewards, Out> &&
           !requires(const Rule& r) { r.batch_eps; })
status advantages(const Executor&, const Rule&, const groups&, const Rewards&, Out&&) {
  static_assert(detail::always_false<Executor>::value,
                "hence: rewards and out are one-dimensional arrays of the executor's scalar: float "
                "for cpu and "
                "reference<float>, double for reference<double>; out is not constant");
  return status::ok;
}

/// Chosen when the arrays are not of the executor's scalar.
template <class Executor, class Rule, class Rewards, class Out>
  requires(!detail::arrays_of<typename Executor::scalar, Rewards, Out>)
status advantages_groups(const Executor& executor, const Rule& rule, const groups& batch,
                         const Rewards& rewards, Out&& out, std::int64_t, std::int64_t) {
  return advantages(executor, rule, batch, rewards, out);
}

}  // namespace hence::inline v0
