/// \file
/// `cuda::distill`: a divergence between a student's and a teacher's distribution per token, from
/// full logits, and its gradient with respect to the student's logits.
///
/// Kernels: softmaxes of both (cuda/softmax.cuh), a block a row; the divergence, a block of 128
/// threads a token (cuda/distill_row.cuh); where a gradient is asked for, that, a block a piece of
/// a row. Blocks stride over tokens.
///
/// Bytes per logit: each is read twice, for the softmaxes and for the divergence; a gradient is
/// written with the slopes, read and written again, and reads the student's once more; in place of
/// the student's logits, both are read once more instead and it is written once.
///
/// Not tuned yet: behind the softmaxes loads are scalar; a divergence of 100 to 400 instructions a
/// logit is bound by issue rather than by memory.
///
/// Determinism: the bits of `cpu` and `reference<float>`, whatever the launch: terms and the order
/// of additions are theirs. A NaN is a NaN; its bits are not promised.
///
/// Proof: as for cuda/policy_loss.cuh, see docs/cuda.md. It has not run on a device yet.
#pragma once

#include <hence/cuda/distill_row.cuh>
#include <hence/logits/divergence.hpp>

namespace hence::inline v0::cuda {

namespace detail {

/// What the kernels read and write. \tparam T, Q storage of student and teacher.
template <class T, class Q> struct distill_call {
  view<const T, 2> student;
  view<const Q, 2> teacher;
  distill_inputs<float> in;
  distill_results<float> out;
  double temperature;
  bool in_place;  // slopes can not be kept in the gradient, since the logits are there
  distill_plan* plans;
};

/// \cond kernels: Doxygen 1.9 does not read __launch_bounds__
template <class Divergence, class T, class Q>
__global__ void __launch_bounds__(softmax_threads)
    distill_kernel(Divergence how, distill_call<T, Q> call, status* conditions) {
  using namespace hence::detail;
  using F = num<float>;
  __shared__ distill_scratch shared;
  block_column_sums sums(shared);
  status found = status::ok;
  const std::int64_t columns = call.student.extent[1];
  const auto& out = call.out;
  for (std::int64_t t = blockIdx.x; t < call.student.extent[0]; t += gridDim.x) {
    distill_plan& plan = call.plans[t];
    if (is_dead(call.in.mask, t)) {
      fill_token(plan, out, t, 0);
      continue;
    }
    const distribution s = plan.of[0], q = plan.of[1];
    const bool are_numbers = s.is_number && q.is_number;
    const T* const student = token_row::row_of(call.student, t);
    const Q* const teacher = token_row::row_of(call.teacher, t);
    float* const slopes = call.in_place ? nullptr : token_row::row_of(out.gradient, t);
    bool differs = false;
    sums.clear();
    for (std::int64_t i = 0; are_numbers && i < columns; i += distill_tile) {
      const std::int64_t rest = columns - i;
      sums.add(static_cast<int>(rest < distill_tile ? rest : distill_tile),
               [&](int c, float& value, float& slope) {
                 const F x = load_as<F>(student + i + c), y = load_as<F>(teacher + i + c);
                 if constexpr (Divergence::needs_equal_support)
                   differs |= (x.v > -__builtin_inff()) != (y.v > -__builtin_inff());
                 const auto f = divergence_at(how, s, q, x, y);
                 value = F(f.value).v, slope = F(f.own).v;
                 if (slopes != nullptr) slopes[i + c] = slope;
               });
    }
    const bool is_sound = __syncthreads_or(differs || !are_numbers) == 0;
    if (warp_id() != 0) continue;
    double value, total;
    sums.totals(value, total);
    if (threadIdx.x != 0) continue;
    const float nan = __builtin_nanf("");
    plan.fill_with(nan);
    plan.is_filled = is_sound ? 0 : 1;
    plan.slope = static_cast<float>(total);
    plan.weight = weight_of_token<token_row::N>(call.in.cotangent, call.temperature, t);
    if (out.per_token.present()) out.per_token[t] = is_sound ? static_cast<float>(value) : nan;
    if (!is_sound) found = status::non_finite;
  }
  add_to(*conditions, found);
}

template <class Divergence, class T, class Q>
__global__ void __launch_bounds__(softmax_threads)
    distill_gradient_kernel(Divergence how, distill_call<T, Q> call,
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
    const distribution s = plan.of[0], q = plan.of[1];
    const float total = plan.slope, weight = plan.weight;
    const T* const student = token_row::row_of(call.student, t);
    const Q* const teacher = token_row::row_of(call.teacher, t);
#pragma unroll 1
    for (std::int64_t i = begin + threadIdx.x; i < end; i += softmax_threads) {
      const F x = load_as<F>(student + i);
      const F phi = call.in_place ? F(divergence_at(how, s, q, x, load_as<F>(teacher + i)).own)
                                  : F(gradient[i]);
      gradient[i] = gradient_of_logit(s, x, phi, total, weight).v;
    }
  }
}
/// \endcond

}  // namespace detail

/// Bytes of workspace, 16-byte aligned, in device memory, of `distill` and `distill_top_k`.
constexpr std::int64_t distill_workspace_bytes(std::int64_t tokens) {
  return tokens * static_cast<std::int64_t>(sizeof(detail::distill_plan));
}

/// Queues the divergence of every token and its gradient on a stream: a memset of `conditions` and
/// two to four kernels. Never synchronises, never allocates; capturable in a CUDA graph. Every
/// array lies in device memory; only shapes are looked at on the host. Throws
/// `std::invalid_argument` for those and `cuda_error` for CUDA's own. Without tokens nothing is
/// launched.
/// \param s the stream. \param how, rule, student, teacher, in, out as for `hence::distill`.
/// \param workspace `distill_workspace_bytes`.
/// \param conditions one status in device memory, overwritten with what `hence::distill` returns.
/// \param where the caller, for errors. \tparam Tuning the launch.
template <token_logprob_tuning Tuning = token_logprob_tuning{}, class Divergence, class T, class Q>
void distill(stream s, const Divergence& how, const distill_rule& rule, view<T, 2> student,
             view<Q, 2> teacher,               // [tokens, vocabulary]
             const distill_inputs<float>& in,  // [tokens] each
             const distill_results<float>& out, std::span<std::byte> workspace, status* conditions,
             const std::source_location& where = std::source_location::current()) {
  using namespace hence::detail;
  static_assert(cuda::detail::is_launchable<Tuning>());
  if constexpr (check_logits<reference<float>, T>() && check_logits<reference<float>, Q>()) {
    using from = std::remove_const_t<T>;
    using to = std::remove_const_t<Q>;
    check_distill_full(how, rule, student, teacher, in, out);
    const std::int64_t tokens = student.extent[0];
    cuda::detail::check_workspace(
        workspace, distill_workspace_bytes(tokens), 16, conditions,
        {range_of(out.per_token), range_of(out.gradient)},
        {range_of(student), range_of(teacher), range_of(in.mask), range_of(in.cotangent)});
    check(cudaMemsetAsync(conditions, 0, sizeof(status), s), "cudaMemsetAsync", where);
    if (tokens == 0) return;
    const cuda::detail::distill_call<from, to> call{
        student,
        teacher,
        in,
        out,
        rule.temperature,
        static_cast<const void*>(out.gradient.data) == static_cast<const void*>(student.data),
        reinterpret_cast<cuda::detail::distill_plan*>(workspace.data())};
    cuda::detail::launch_softmaxes<Tuning>(s, rule, call.student, call.teacher, in.mask, call.plans,
                                           where);
    launch("distill_kernel", cuda::detail::distill_kernel<Divergence, from, to>,
           at_most(tokens, Tuning.max_blocks), cuda::detail::softmax_threads, s, where, how, call,
           conditions);
    if (!out.gradient.present()) return;
    const cuda::detail::row_pieces pieces{tokens, student.extent[1], Tuning.columns_of_piece};
    launch("distill_gradient_kernel", cuda::detail::distill_gradient_kernel<Divergence, from, to>,
           at_most(pieces.count(), Tuning.max_blocks), cuda::detail::softmax_threads, s, where, how,
           call, pieces.size);
  }
}

}  // namespace hence::inline v0::cuda
