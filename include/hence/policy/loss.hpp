/// \file
/// `loss_and_gradient`: a policy loss and its gradient with respect to the log-probs, on any
/// executor.
///
///     loss = (1/D) sum_i (1/d_i) sum_t [ surrogate(r_it, A_it) + coef kl(log pi_ref - log pi) ]
///
/// D is the denominator, d_i the aggregation's row divisor. Bits: the same for `reference<float>`,
/// `cpu`, any pool, any split into rows, padded or ragged, any row order; sums over tokens and rows
/// are exact (core/sum.hpp). Reads 12 to 16 bytes and writes 4 bytes per token. Dead positions are
/// not read and get gradient 0. A live NaN or infinity in an input makes the loss NaN and sets
/// `status::non_finite`; other tokens' gradients stay right at token level, other rows' at sequence
/// level. The poisoned token's own gradient is unspecified, it may be finite: look at the status.
#pragma once

// First and directly, so that a compiler's list of includes before an error in a rule is short.
#include <hence/core/num.hpp>
#include <hence/core/pack.hpp>

#include <hence/core/execute.hpp>
#include <hence/policy/call_checks.hpp>
#include <hence/policy/checks.hpp>
#include <hence/policy/concrete_rules.hpp>
#include <hence/policy/row_cpu.hpp>

#include <cstddef>  // byte
#include <new>      // placement

namespace hence::inline v0 {

/// Asks for the metrics of the pass, as the argument after the gradient; they cost about half as
/// much again.
struct with_metrics_t {};
/// The argument: metrics of the same pass.
inline constexpr with_metrics_t with_metrics{};
struct without_metrics_t {};

namespace detail {

template <class S, class Choice>
using metrics_for =
    std::conditional_t<std::same_as<Choice, with_metrics_t>, policy_metrics<S>, no_metrics>;

template <class S> HENCE_FN bool is_finite(const sum_of<S>& s) {
  const auto v = s.value();
  return v - v == 0;
}

/// An aggregation as numbers, so that the loops over rows are compiled once for all aggregations.
struct row_aggregation {
  bool divides_rows, is_of_prompts;
  double (*row_divisor)(std::int64_t, std::int64_t);
};
template <class A, class Isa = native_isa>
double row_divisor_of(std::int64_t n, std::int64_t prompt_size) {
  return row_divisor<A>(n, prompt_size);
}
template <class Loss> HENCE_FN auto with_row_aggregation(const Loss& loss) {
  using A = std::remove_cvref_t<decltype(loss.aggregation)>;
  const row_aggregation rows{A::divides_rows, prompt_aggregation<A>, &row_divisor_of<A>};
  return policy_loss{loss.ratio,      loss.surrogate, loss.kl,     rows,
                     loss.correction, loss.gate,      loss.entropy};
}

/// Rows [begin, end) on one thread. \param loss `with_row_aggregation`, its rules concrete.
template <class Executor, class Loss, class Metrics>
void run_rows(const Executor&, const Loss& loss, const layout& b,
              const policy_inputs<typename Executor::scalar>& in, double divisor,
              const policy_gradients<typename Executor::scalar>& gradient, std::int64_t begin,
              std::int64_t end, sums<typename Executor::scalar, Metrics>& out) {
  using S = typename Executor::scalar;
  using W = decltype(mean_divisor<S>(0));
  using engine = row_engine<Executor>;
  typename engine::scratch scratch;
  for (std::int64_t i = begin; i < end; ++i) {
    const counts n = count_rows(b, i, i + 1);
    out.counts += n;
    row_data<S> row = row_of(in, b, gradient, i);
    row.anchor = loss.ratio.anchor.of(row);
    if (n.tokens == 0) {
      for (std::int64_t t = 0; t < row.length; ++t) row.gradient[t] = S(0);
      if constexpr (facts<Loss>::with_entropy)
        for (std::int64_t t = 0; t < row.length; ++t) row.entropy_gradient[t] = S(0);
      continue;
    }
    if (in.advantages.present() && n.policy_tokens > 0) row.advantage = in.advantages[i];
    row.score = in.scores.present() ? in.scores[i] : static_cast<S>(__builtin_nanf(""));
    const std::int64_t prompt_size = in.prompt_sizes.present() ? in.prompt_sizes[i] : 0;
    const double own_divisor = loss.aggregation.row_divisor(n.tokens, prompt_size);
    if (loss.aggregation.is_of_prompts) out.prompt_shares += prompt_share(n.tokens, own_divisor);
    const W row_divisor = static_cast<W>(own_divisor);
    const S scale = gradient_scale<S>(static_cast<W>(divisor), row_divisor);
    if (loss.aggregation.divides_rows) {
      sum_of<S> row_sum;
      engine::run(loss, row, n, scale, row_sum, out.metrics, scratch);
      out.numerator.add(row_sum.value() / row_divisor);
    } else {
      engine::run(loss, row, n, scale, out.numerator, out.metrics, scratch);
    }
  }
  if (!is_finite<S>(out.numerator)) out.conditions |= status::non_finite;
}

/// Chunks that a call is cut into: by its shape alone, enough for any pool.
inline std::int64_t chunks_of(const layout& b) {
  std::int64_t n = b.tokens() / 8192;
  n = n < 256 ? n : 256;
  n = n < b.rows ? n : b.rows;
  return n > 1 ? n : 1;
}

}  // namespace detail

/// Bytes of workspace that `loss_and_gradient` needs for this batch, to be aligned to 64.
template <class Executor, class Loss, class Batch, class Choice = without_metrics_t>
std::int64_t workspace_bytes(const Executor&, const Loss&, const Batch& batch, Choice = {}) {
  if constexpr (!Executor::is_parallel)
    return 0;
  else {
    using sums_t = detail::sums<typename Executor::scalar,
                                detail::metrics_for<typename Executor::scalar, Choice>>;
    const detail::layout b = batch;
    detail::check_layout(b);
    return detail::chunks_of(b) * static_cast<std::int64_t>(sizeof(sums_t));
  }
}

/// The row-range form, for a host's own threads: rows [begin, end) of the batch, whose gradient
/// alone is written. Add the results up; they and the gradient are those of one call, to the bit.
/// \param executor, loss, batch, in, gradient as in `loss_and_gradient`.
/// \param d from `over_window` or `over_all_ranks`: a range cannot count the whole call.
/// \param begin, end the rows.
template <class Executor, class Loss, class Batch, class D, class Choice = without_metrics_t>
auto loss_and_gradient_rows(
    const Executor& executor, const Loss& loss, const Batch& batch,
    const policy_inputs<typename Executor::scalar>& in, const D& d,
    policy_gradients<typename Executor::scalar> gradient,  // [tokens] or [rows, width]
    std::int64_t begin, std::int64_t end, Choice = {}) {
  static_assert(
      !std::same_as<D, over_this_call_t>,
      "hence: a range of rows cannot count its whole call; make the denominator with over_window");
  using S = typename Executor::scalar;
  using metrics_t = detail::metrics_for<S, Choice>;
  constexpr bool sound = detail::check_composition<Loss, S, D>();
  using scope_t = typename detail::denominator_traits<D>::scope;
  using aggregation_t = detail::aggregation_of<Loss>;
  if constexpr (sound && !std::same_as<D, over_this_call_t>) {
    const detail::layout b = batch;
    detail::check_inputs(loss, b, in, gradient);
    detail::check_denominator(loss, d);
    if (begin < 0 || end < begin || end > b.rows)
      detail::refuse(detail::message() << "hence: rows [" << begin << ", " << end
                                       << ") are not within the batch's " << b.rows);
    detail::check_window(d, b, begin, end);
    detail::check_prompt_sizes(loss, b, in, d.value, begin, end);
    detail::sums<S, metrics_t> sums;
    detail::with_concrete_rules(detail::with_row_aggregation(loss), [&](const auto& concrete) {
      detail::run_rows(executor, concrete, b, in, d.value, gradient, begin, end, sums);
    });
    return loss_result<S, aggregation_t, scope_t, metrics_t>(sums, {d.value});
  } else {
    return loss_result<S, aggregation_t, scope_t, metrics_t>();
  }
}

/// The loss of a batch and its gradient, dense in the batch's layout; dead positions get 0.
/// \param executor `cpu{}`, `cpu{pool}`, `reference<float>{}`, `reference<double>{}`.
/// \param loss a `policy_loss`, e.g. from `recipe::`; its rules may be `std::variant`s of rules.
/// \param batch `ragged` or `padded`.
/// \param in the arrays, in the batch's layout.
/// \param d `over_this_call`, `over_window(...)` or `over_all_ranks(...)`.
/// \param gradient `[tokens]` or `[rows, width]`, or a `policy_gradients`; every entry is written.
/// \param choice `with_metrics` for the metrics of the same pass.
/// \param workspace none, or `workspace_bytes(...)` bytes aligned to 64.
template <class Executor, class Loss, class Batch, class D, class Choice = without_metrics_t>
auto loss_and_gradient(const Executor& executor, const Loss& loss, const Batch& batch,
                       const policy_inputs<typename Executor::scalar>& in, const D& d,
                       policy_gradients<typename Executor::scalar> gradient, Choice choice = {},
                       view<std::byte> workspace = {}) {
  using S = typename Executor::scalar;
  using metrics_t = detail::metrics_for<S, Choice>;
  using sums_t = detail::sums<S, metrics_t>;
  constexpr bool sound = detail::check_composition<Loss, S, D>();
  using scope_t = typename detail::denominator_traits<D>::scope;
  using result_t = loss_result<S, detail::aggregation_of<Loss>, scope_t, metrics_t>;
  if constexpr (sound) {
    const detail::layout b = batch;
    detail::check_inputs(loss, b, in, gradient);
    const std::int64_t bytes = workspace_bytes(executor, loss, batch, choice);
    detail::check_workspace(workspace, bytes);
    detail::check_workspace_apart(workspace, b, in, gradient);
    double divisor;
    if constexpr (std::same_as<D, over_this_call_t>) {
      divisor = detail::divisor(loss.aggregation, detail::count_rows(b, 0, b.rows));
    } else {
      detail::check_denominator(loss, d);
      detail::check_window(d, b, 0, b.rows);
      divisor = d.value;
      detail::check_prompt_sizes(loss, b, in, divisor, 0, b.rows);
    }
    sums_t total;
    detail::with_concrete_rules(detail::with_row_aggregation(loss), [&](const auto& concrete) {
      const std::int64_t chunks = Executor::is_parallel ? detail::chunks_of(b) : 1;
      if (chunks == 1)
        return detail::run_rows(executor, concrete, b, in, divisor, gradient, 0, b.rows, total);
      if constexpr (Executor::is_parallel) {
        const detail::call_memory memory(workspace, bytes);
        auto* parts = reinterpret_cast<sums_t*>(memory.part(0, bytes));
        for (std::int64_t c = 0; c < chunks; ++c) new (parts + c) sums_t;
        executor.pool->parallel_for(chunks, [&](std::int64_t c) {
          detail::run_rows(executor, concrete, b, in, divisor, gradient, b.chunk_begin(c, chunks),
                           b.chunk_begin(c + 1, chunks), parts[c]);
        });
        for (std::int64_t c = 0; c < chunks; ++c) total += parts[c];
      }
    });
    return result_t(total, {divisor});
  } else {
    return result_t();
  }
}

}  // namespace hence::inline v0
