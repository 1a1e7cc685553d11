/// \file
/// `cuda::distill_top_k`: a divergence from the k tokens that a teacher shows, per token, and its
/// gradient with respect to the student's logits.
///
/// Kernels: the student's softmax (cuda/softmax.cuh), a block a row; the divergence, a block of 128
/// threads a token, whose first 16 lanes add what the k ids give; where a gradient is asked for,
/// that, a block a piece of a row.
///
/// Bytes per logit: read once for the softmax, once more for `tail::one_token`, once more for a
/// gradient, which is written once; what the ids name is small beside it. Ids are compared with
/// each other, k^2/2 reads from cache: k is meant to be some hundred at most.
///
/// Determinism: the bits of `cpu` and `reference<float>`, whatever the launch. A NaN is a NaN; its
/// bits are not promised.
///
/// Proof: as for cuda/policy_loss.cuh, see docs/cuda.md. It has not run on a device yet.
#pragma once

#include <hence/cuda/distill.cuh>

namespace hence::inline v0::cuda {

namespace detail {

/// What the kernels read and write. \tparam T storage of the student's logits.
template <class T> struct top_k_call {
  view<const T, 2> student;
  view<const std::int64_t, 2> ids;
  view<const float, 2> teacher_logp;
  distill_inputs<float> in;
  distill_results<float> out;
  distill_top_k_rule rule;
  distill_plan* plans;
};

/// A token's row and the ids that the teacher shows. Threads hold it alike.
template <class T> struct shown_row {
  distribution s;
  const T* student;
  const std::int64_t* ids;
  const float* teacher_logp;
  std::int64_t columns, k;
  num<float> least;

  __device__ __forceinline__ shown_row(const top_k_call<T>& call, std::int64_t t)
      : s(call.plans[t].of[0]),
        student(token_row::row_of(call.student, t)),
        ids(token_row::row_of(call.ids, t)),
        teacher_logp(token_row::row_of(call.teacher_logp, t)),
        columns(call.student.extent[1]),
        k(call.ids.extent[1]),
        least(hence::detail::bounded_log<float>(call.rule.log_prob_min)) {}

  __device__ __forceinline__ num<float> logit(std::int64_t i) const {
    return hence::detail::load_as<num<float>>(student + i);
  }
  template <class Divergence>
  __device__ __forceinline__ auto term(const Divergence& how, num<float> x, std::int64_t j) const {
    return hence::detail::shown_term(how, s.log_p(x), num<float>(teacher_logp[j]), least);
  }
  /// What is wrong with the ids or the row, in this thread's share.
  template <bool NeedsEqualSupport> __device__ __forceinline__ status fault() const {
    status found = s.is_number ? status::ok : status::non_finite;
#pragma unroll 1
    for (std::int64_t j = threadIdx.x; j < k; j += softmax_threads) {
      const std::int64_t id = ids[j];
      const bool is_inside = id >= 0 && id < columns;
      bool is_twice = false;
#pragma unroll 1
      for (std::int64_t i = 0; i < j; ++i) is_twice |= ids[i] == id;
      if (!is_inside || is_twice) found |= status::label;
      const float log_q = teacher_logp[j];
      bool is_sound = log_q < __builtin_inff();  // no NaN
      if (NeedsEqualSupport && is_inside && !(least > num<float>(-1e30f)))
        is_sound &= (logit(id).v > -__builtin_inff()) == (log_q > -__builtin_inff());
      if (!is_sound) found |= status::non_finite;
    }
    return found;
  }
};

/// \cond kernels: Doxygen 1.9 does not read __launch_bounds__
template <class Divergence, class Tail, class T>
__global__ void __launch_bounds__(softmax_threads)
    distill_top_k_kernel(Divergence how, top_k_call<T> call, status* conditions) {
  using namespace hence::detail;
  using F = num<float>;
  using N = token_row::N;
  __shared__ distill_scratch shared;
  block_column_sums all(shared), some(shared);
  status found = status::ok;
  const auto& out = call.out;
  for (std::int64_t t = blockIdx.x; t < call.student.extent[0]; t += gridDim.x) {
    distill_plan& plan = call.plans[t];
    if (is_dead(call.in.mask, t)) {
      fill_token(plan, out, t, 0);
      continue;
    }
    const shown_row<T> row(call, t);
    const status fault = row.template fault<Divergence::needs_equal_support>();
    const bool is_bad_id = __syncthreads_or(has(fault, status::label)) != 0;
    const bool is_unsound = __syncthreads_or(fault != status::ok) != 0;
    if (is_unsound) {
      fill_token(plan, out, t, __builtin_nanf(""));
      if (threadIdx.x == 0) found |= is_bad_id ? status::label : status::non_finite;
      continue;
    }
    remainder<float> rest{};
    if constexpr (std::same_as<Tail, tail::one_token>) {
      all.clear();
      for (std::int64_t i = 0; i < row.columns; i += distill_tile) {
        const std::int64_t left = row.columns - i;
        all.add(static_cast<int>(left < distill_tile ? left : distill_tile),
                [&](int c, float& value, float& slope) {
                  value = exp(row.s.log_p(row.logit(i + c))).v, slope = 0;
                });
      }
    }
    if (warp_id() != 0) continue;
    const bool adds_values = lane_id() < chain_count;  // the other half adds slopes
    const int first = lane_id() % chain_count;
    if constexpr (std::same_as<Tail, tail::one_token>) {
      some.clear();
#pragma unroll 1
      for (std::int64_t j = first; j < row.k; j += chain_count)
        some.add_one(adds_values ? static_cast<double>(exp(row.s.log_p(row.logit(row.ids[j]))).v)
                                 : probability_of<N>(row.teacher_logp[j]));
      double whole, none, mine, taught;
      all.totals(whole, none), some.totals(mine, taught);
      rest = remainder_of<float>(N(whole), N(mine), N(taught));
    }
    some.clear();
#pragma unroll 1
    for (std::int64_t j = first; j < row.k; j += chain_count) {
      const auto f = row.term(how, row.logit(row.ids[j]), j);
      some.add_one(static_cast<double>(adds_values ? F(f.value).v : F(f.own).v));
    }
    float rest_slope = 0;
    if constexpr (std::same_as<Tail, tail::one_token>) {
      const auto f = shown_term(how, F(rest.log_s), F(rest.log_q), row.least);
      if (first == row.k % chain_count)
        some.add_one(static_cast<double>(adds_values ? F(f.value).v : F(f.own).v));
      rest_slope = rest_slope_of<N>(F(f.own).v, rest.share);
    }
    double value, slopes;
    some.totals(value, slopes);
    if (threadIdx.x != 0) continue;
    const auto clamped = clamped_sum<F>(static_cast<float>(value), call.rule);
    if (out.per_token.present()) out.per_token[t] = clamped.value.v;
    plan.fill_with(0), plan.is_filled = 0;
    plan.rest_slope = rest_slope;
    plan.slope = (F(rest_slope) - F(static_cast<float>(slopes))).v;
    plan.weight =
        (F(weight_of_token<N>(call.in.cotangent, call.rule.temperature, t)) * F(clamped.own)).v;
  }
  add_to(*conditions, found);
}

template <class Divergence, class T>
__global__ void __launch_bounds__(softmax_threads)
    distill_top_k_gradient_kernel(Divergence how, top_k_call<T> call,
                                  std::int64_t columns_of_piece) {
  using namespace hence::detail;
  using F = num<float>;
  const row_pieces pieces{call.student.extent[0], call.student.extent[1], columns_of_piece};
  for (std::int64_t p = blockIdx.x; p < pieces.count(); p += gridDim.x) {
    const auto [t, begin, end] = pieces[p];
    const distill_plan& plan = call.plans[t];
    float* const gradient = token_row::row_of(call.out.gradient, t);
    if (plan.is_filled != 0) {
      fill_piece(gradient, begin, end, plan.fill);
      continue;
    }
    const shown_row<T> row(call, t);
#pragma unroll 1
    for (std::int64_t i = begin + threadIdx.x; i < end; i += softmax_threads)
      gradient[i] = gradient_of_rest(row.s, row.logit(i), plan.slope, plan.weight).v;
    __syncthreads();  // what the ids add to is written
#pragma unroll 1
    for (std::int64_t j = threadIdx.x; j < row.k; j += softmax_threads) {
      const std::int64_t id = row.ids[j];
      if (id < begin || id >= end) continue;
      const F x = row.logit(id);
      gradient[id] = gradient_of_shown(row.s, x, F(row.term(how, x, j).own), plan.rest_slope,
                                       plan.weight, F(gradient[id]))
                         .v;
    }
  }
}
/// \endcond

}  // namespace detail

/// Queues the divergence from the teacher's top k of every token and its gradient on a stream: a
/// memset of `conditions` and two or three kernels; the rest as for `distill`.
/// \param s the stream. \param how, rest, rule, student, ids, teacher_logp, in, out as for
///   `hence::distill_top_k`.
/// \param workspace, conditions, where as for `distill`. \tparam Tuning the launch.
template <token_logprob_tuning Tuning = token_logprob_tuning{}, class Divergence, class Tail,
          class T>
void distill_top_k(stream s, const Divergence& how, Tail rest, const distill_top_k_rule& rule,
                   view<T, 2> student,                 // [tokens, vocabulary]
                   view<const std::int64_t, 2> ids,    // [tokens, k]
                   view<const float, 2> teacher_logp,  // [tokens, k]
                   const distill_inputs<float>& in,    // [tokens] each
                   const distill_results<float>& out, std::span<std::byte> workspace,
                   status* conditions,
                   const std::source_location& where = std::source_location::current()) {
  using namespace hence::detail;
  static_assert(cuda::detail::is_launchable<Tuning>());
  static_assert(is_tail<Tail>(),
                "hence: tokens outside the teacher's top k are tail::ignored or tail::one_token");
  (void)rest;
  if constexpr (check_logits<reference<float>, T>()) {
    using stored = std::remove_const_t<T>;
    check_distill_top_k(how, rule, student, ids, teacher_logp, in, out);
    const std::int64_t tokens = student.extent[0];
    cuda::detail::check_workspace(workspace, distill_workspace_bytes(tokens), 16, conditions,
                                  {range_of(out.per_token), range_of(out.gradient)},
                                  {range_of(student), range_of(ids), range_of(teacher_logp),
                                   range_of(in.mask), range_of(in.cotangent)});
    check(cudaMemsetAsync(conditions, 0, sizeof(status), s), "cudaMemsetAsync", where);
    if (tokens == 0) return;
    const cuda::detail::top_k_call<stored> call{
        student,
        ids,
        teacher_logp,
        in,
        out,
        rule,
        reinterpret_cast<cuda::detail::distill_plan*>(workspace.data())};
    cuda::detail::launch_softmaxes<Tuning>(s, {.temperature = rule.temperature}, call.student,
                                           view<const stored, 2>(), in.mask, call.plans, where);
    launch("distill_top_k_kernel", cuda::detail::distill_top_k_kernel<Divergence, Tail, stored>,
           at_most(tokens, Tuning.max_blocks), cuda::detail::softmax_threads, s, where, how, call,
           conditions);
    if (!out.gradient.present()) return;
    const cuda::detail::row_pieces pieces{tokens, student.extent[1], Tuning.columns_of_piece};
    launch("distill_top_k_gradient_kernel",
           cuda::detail::distill_top_k_gradient_kernel<Divergence, stored>,
           at_most(pieces.count(), Tuning.max_blocks), cuda::detail::softmax_threads, s, where, how,
           call, pieces.size);
  }
}

}  // namespace hence::inline v0::cuda
