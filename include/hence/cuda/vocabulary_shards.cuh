/// \file
/// `cuda::shard_states`, `cuda::merge_shards`, `cuda::shard_gradient`: log-probs, entropies and the
/// gradient of the logits where each device holds some columns of the vocabulary
/// (logits/vocabulary_shards.hpp).
///
/// Each device calls `shard_states` on its columns; the states of all are gathered, `[shards,
/// rows]`, 40 bytes a row; `merge_shards` makes log-probs, entropies and the states of whole rows
/// of them; from these each device's `shard_gradient` writes its columns' gradient.
///
/// Grid: states and gradient as for cuda/token_logprob.cuh; the merge a thread a row, which goes
/// through the shards in their order.
///
/// Bytes: those of cuda/token_logprob.cuh for a shard's logits; the merge reads 40 a shard and row,
/// and a label.
///
/// Determinism: the bits of `cpu` and `reference<float>`, whatever the launch, the device that
/// merges, or which shards came from a CPU. They depend on where the vocabulary is cut. A NaN is a
/// NaN; its bits are not promised.
///
/// Proof: as for cuda/policy_loss.cuh, see docs/cuda.md. It has not run on a device yet.
#pragma once

#include <hence/cuda/token_logprob.cuh>
#include <hence/logits/vocabulary_shards.hpp>

namespace hence::inline v0::cuda {

namespace detail {

/// A shard's rows and their labels in the whole vocabulary. \tparam T storage of the logits.
template <class T> struct shard_call : token_call<T> {
  std::int64_t first_column;

  __device__ __forceinline__ hence::detail::label_place label(std::int64_t i) const {
    return hence::detail::place_in_shard(this->labels[i], first_column, this->logits.extent[1],
                                         this->numbers.ignores_negative);
  }
};

/// \cond kernels: Doxygen 1.9 does not read __launch_bounds__
template <class T>
__global__ void __launch_bounds__(softmax_threads, 4)
    shard_states_kernel(shard_call<T> call, view<softmax_state> states, status* conditions) {
  __shared__ softmax_scratch shared;
  status found = status::ok;
  for (std::int64_t i = blockIdx.x; i < call.logits.extent[0]; i += gridDim.x) {
    const auto label = call.label(i);
    softmax_state s{};
    if (!label.is_ignored) s = sum_any_row(call.row(i), label.column, call.numbers.scale, shared);
    if (threadIdx.x != 0) continue;
    states[i] = s;
    found |= hence::detail::condition_of_shard(s);
  }
  add_to(*conditions, found);
}

/// Not a template but for its place in a header.
template <class Executor>
__global__ void __launch_bounds__(softmax_threads)
    merge_shards_kernel(token_numbers numbers, view<const softmax_state, 2> states,
                        token_labels labels, std::int64_t vocabulary, token_results<float> out,
                        status* conditions) {
  using namespace hence::detail;
  status found = status::ok;
  const std::int64_t step = std::int64_t{gridDim.x} * softmax_threads;
  for (std::int64_t i = std::int64_t{blockIdx.x} * softmax_threads + threadIdx.x;
       i < states.extent[1]; i += step)
    found |= write_merged<Executor>(numbers, states,
                                    place_of(labels[i], vocabulary, numbers.ignores_negative),
                                    vocabulary, out, i);
  add_to(*conditions, found);
}

template <class T, class Out>
__global__ void __launch_bounds__(softmax_threads)
    shard_gradient_kernel(shard_call<T> call, view<const softmax_state> states,
                          token_cotangents<float> cot, view<Out, 2> gradient,
                          std::int64_t columns_of_piece, status* conditions) {
  __shared__ token_row::row_plan shared;
  write_token_gradient(call, states, cot, gradient, columns_of_piece, conditions, shared);
}
/// \endcond

}  // namespace detail

/// Queues one shard's sums of every row on a stream: a memset of `conditions` and one kernel. Never
/// synchronises, never allocates, needs no workspace; capturable in a CUDA graph. Every array lies
/// in device memory; only shapes are looked at on the host. Throws `std::invalid_argument` for
/// those and `cuda_error` for CUDA's own. Without rows nothing is launched.
/// \param s the stream. \param rule, logits, labels, first_column, states, keep as for
///   `hence::shard_states`.
/// \param conditions one status in device memory, overwritten with what `hence::shard_states`
///   returns. \param where the caller, for errors. \tparam Tuning the launch.
template <token_logprob_tuning Tuning = token_logprob_tuning{}, class T>
void shard_states(stream s, const softmax_rule& rule, view<T, 2> logits,      // [rows, columns]
                  const token_labels& labels,                                 // [rows]
                  std::int64_t first_column, view<softmax_state> states,      // [rows]
                  status* conditions, view<const std::uint8_t, 2> keep = {},  // [rows, columns]
                  const std::source_location& where = std::source_location::current()) {
  using namespace hence::detail;
  static_assert(cuda::detail::is_launchable<Tuning>());
  if constexpr (check_logits<reference<float>, T>()) {
    using stored = std::remove_const_t<T>;
    check_shard_states<float>(rule, logits, labels, first_column, states, keep);
    cuda::detail::check_conditions(conditions, {range_of(states)},
                                   {range_of(logits), labels.bytes(), range_of(keep)});
    check(cudaMemsetAsync(conditions, 0, sizeof(status), s), "cudaMemsetAsync", where);
    const std::int64_t rows = logits.extent[0];
    if (rows == 0) return;
    const cuda::detail::shard_call<stored> call{
        cuda::detail::token_call_of(rule, logits, labels, keep), first_column};
    launch("shard_states_kernel", cuda::detail::shard_states_kernel<stored>,
           at_most(rows, Tuning.max_blocks), cuda::detail::softmax_threads, s, where, call, states,
           conditions);
  }
}

/// Queues the numbers of whole rows from their shards' states: a memset of `conditions` and one
/// kernel; the rest as for `shard_states`.
/// \param s the stream. \param rule, states, labels, vocabulary, out as for `hence::merge_shards`.
/// \param conditions, where as for `shard_states`. \tparam Tuning the launch.
template <token_logprob_tuning Tuning = token_logprob_tuning{}>
void merge_shards(stream s, const softmax_rule& rule,
                  view<const softmax_state, 2> states,                  // [shards, rows]
                  const token_labels& labels, std::int64_t vocabulary,  // [rows]
                  const token_results<float>& out, status* conditions,  // [rows] each
                  const std::source_location& where = std::source_location::current()) {
  using namespace hence::detail;
  static_assert(cuda::detail::is_launchable<Tuning>());
  check_merge(rule, states, labels, vocabulary, out);
  cuda::detail::check_conditions(
      conditions,
      {range_of(out.logp), range_of(out.entropy), range_of(out.anchor), range_of(out.log_sum),
       range_of(out.expected_logit), range_of(out.states)},
      {range_of(states), labels.bytes()});
  check(cudaMemsetAsync(conditions, 0, sizeof(status), s), "cudaMemsetAsync", where);
  const std::int64_t rows = states.extent[1];
  if (rows == 0) return;
  const std::int64_t blocks =
      (rows + cuda::detail::softmax_threads - 1) / cuda::detail::softmax_threads;
  launch("merge_shards_kernel", cuda::detail::merge_shards_kernel<reference<float>>,
         at_most(blocks, Tuning.max_blocks), cuda::detail::softmax_threads, s, where,
         numbers_of<float>(rule), states, labels, vocabulary, out, conditions);
}

/// Queues the gradient of one shard's columns from the merged states: a memset of `conditions` and
/// one kernel; the rest as for `shard_states`.
/// \param s the stream. \param rule, logits, labels, first_column, states, cot, gradient, keep as
///   for `hence::shard_gradient`; the gradient may be the logits themselves.
/// \param conditions, where as for `shard_states`. \tparam Tuning the launch.
template <token_logprob_tuning Tuning = token_logprob_tuning{}, class T, class Out>
void shard_gradient(stream s, const softmax_rule& rule, view<T, 2> logits,  // [rows, columns]
                    const token_labels& labels, std::int64_t first_column,  // [rows]
                    view<const softmax_state> states,                       // [rows]
                    const token_cotangents<float>& cot,                     // [rows] each
                    view<Out, 2> gradient, status* conditions,              // [rows, columns]
                    view<const std::uint8_t, 2> keep = {},                  // [rows, columns]
                    const std::source_location& where = std::source_location::current()) {
  using namespace hence::detail;
  static_assert(cuda::detail::is_launchable<Tuning>());
  if constexpr (check_logits<reference<float>, T, Out>()) {
    using stored = std::remove_const_t<T>;
    check_token_gradient(rule, logits, labels, states, cot, gradient, keep);
    check_first_column(first_column);
    cuda::detail::check_conditions(conditions, {range_of(gradient)},
                                   {range_of(logits), labels.bytes(), range_of(states),
                                    range_of(cot.logp), range_of(cot.entropy), range_of(keep)});
    check(cudaMemsetAsync(conditions, 0, sizeof(status), s), "cudaMemsetAsync", where);
    const cuda::detail::shard_call<stored> call{
        cuda::detail::token_call_of(rule, logits, labels, keep), first_column};
    cuda::detail::launch_gradient<Tuning>("shard_gradient_kernel",
                                          cuda::detail::shard_gradient_kernel<stored, Out>, s,
                                          where, call, states, cot, gradient, conditions);
  }
}

}  // namespace hence::inline v0::cuda
