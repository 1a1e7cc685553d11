/// \file
/// `cuda::token_logprob`: log-prob of each row's label, entropy and normaliser from logits in one
/// pass, and the gradient with respect to the logits.
///
///     logp = x_label/T - log sum_i e^(x_i/T),   H = -sum_i p_i log p_i over the support
///
/// Grid: forward one block of 128 threads a row, striding over the rows (cuda/softmax.cuh), so a
/// few long rows leave most of a device idle (cuda/token_logprob_split.cuh is for those); backward
/// one block a piece of a row, 8 neighbouring columns a thread and step.
///
/// Bytes per logit: forward reads its storage once, 1 more of a keep mask; a row that leaves the
/// fast range (|x log2(e)/T| >= 2^22, NaN, no support) is read three times. Backward reads the same
/// and writes the gradient's storage.
///
/// Determinism: the bits of `cpu` and `reference<float>`, whatever the launch: references, terms,
/// the order of additions and the row's end are theirs. A NaN is a NaN; its bits are not promised.
///
/// Proof: as for cuda/policy_loss.cuh, see docs/cuda.md. It has not run on a device yet.
#pragma once

#include <hence/cuda/launch.cuh>
#include <hence/cuda/memory_checks.cuh>
#include <hence/cuda/row_pieces.cuh>
#include <hence/cuda/softmax.cuh>
#include <hence/logits/token_checks.hpp>

namespace hence::inline v0::cuda {

/// Sizes of a launch. Results do not depend on them.
struct token_logprob_tuning {
  std::int64_t max_blocks = 65536;        ///< of one row, or one piece of a row, at a time
  std::int64_t columns_of_piece = 32768;  ///< of the gradient; a multiple of 1024

  template <class Stream> friend Stream& operator<<(Stream& out, const token_logprob_tuning& t) {
    out << "token_logprob_tuning{.max_blocks = " << t.max_blocks
        << ", .columns_of_piece = " << t.columns_of_piece << "}";
    return out;
  }
};

namespace detail {

using token_numbers = hence::detail::softmax_numbers<float>;
using token_row = hence::detail::token_row<reference<float>>;

/// What the kernels read. \tparam T storage of the logits.
template <class T> struct token_call {
  token_numbers numbers;
  view<const T, 2> logits;
  token_labels labels;
  view<const std::uint8_t, 2> keep;
  std::int64_t before = 0, after = 0;  // columns of the vocabulary that lie elsewhere

  __device__ __forceinline__ device_row<T> row(std::int64_t i) const {
    const std::uint8_t* kept = token_row::row_of(keep, i);
    return {token_row::row_of(logits, i),
            logits.extent[1],
            kept,
            numbers.cap,
            numbers.inverse_cap,
            0.0f,
            numbers.cap > 0 || kept != nullptr};
  }
  /// Where a label lies, from the first of these columns on; it may lie outside of them.
  __device__ __forceinline__ hence::detail::label_place label(std::int64_t i) const {
    auto place = hence::detail::place_of(labels[i], before + logits.extent[1] + after,
                                         numbers.ignores_negative);
    place.column -= place.column < 0 ? 0 : before;
    return place;
  }
};

/// Writes what is asked for of a row, in one thread. \param s its sums; of an ignored row nothing.
template <class T>
__device__ __forceinline__ status write_row(const token_call<T>& call,
                                            const token_results<float>& out, std::int64_t i,
                                            const hence::detail::label_place& label,
                                            softmax_state s) {
  status found = status::ok;
  if (label.is_ignored) {
    token_row::write_zeros(out, i);
  } else {
    s = hence::detail::with_bounded_label(s, static_cast<double>(call.numbers.scale));
    found = token_row::write_values(call.numbers, s, call.logits.extent[1], label.is_bad, out, i);
  }
  if (out.states.present()) out.states[i] = s;
  return found;
}

/// The gradient of a call's rows, a block a piece.
/// \tparam Call says what row i and its label are. \param shared in shared memory.
template <class Call, class Out>
__device__ __forceinline__ void write_token_gradient(
    const Call& call, const view<const softmax_state>& states, const token_cotangents<float>& cot,
    const view<Out, 2>& gradient, std::int64_t columns_of_piece, status* conditions,
    token_row::row_plan& shared) {
  using namespace hence::detail;
  using F = num<float>;
  status found = status::ok;
  const F scale(call.numbers.scale);
  const row_pieces pieces{call.logits.extent[0], call.logits.extent[1], columns_of_piece};
  for (std::int64_t p = blockIdx.x; p < pieces.count(); p += gridDim.x) {
    const auto [i, begin, end] = pieces[p];
    const label_place label = call.label(i);
    const softmax_state s = states[i];
    __syncthreads();  // the last plan has been read
    if (threadIdx.x == 0)
      shared = token_row::plan_of(call.numbers, label, s, token_row::cotangent(cot.logp, i),
                                  token_row::cotangent(cot.entropy, i));
    __syncthreads();
    found |= shared.found;
    auto row = call.row(i);
    row.shift = static_cast<float>(s.shift);
    row.is_mapped = row.is_mapped || s.shift != 0;
    const bool is_filled = shared.is_filled;
    const F reference(static_cast<float>(s.reference)), fill(shared.fill);
    const F c0(static_cast<float>(shared.factors.c0)), c1(static_cast<float>(shared.factors.c1));
    const F at_label(static_cast<float>(shared.factors.at_label));
    Out* const to = token_row::row_of(gradient, i);
    for (std::int64_t c = begin + threadIdx.x * group_size; c < end;
         c += softmax_threads * group_size) {
      Out g[group_size];
      if (is_filled) {
#pragma unroll
        for (int j = 0; j < group_size; ++j) g[j] = Out(fill.v);
      } else {
        const auto x = row.load(c);
        x.map(g, [&](const auto& one, int j) {
          return Out((c + j == label.column ? gradient_at_label(one, 0, at_label)
                                            : gradient_at(one, 0, scale, reference, c0, c1))
                         .v);
        });
      }
      store_eight(to, c, end, g);
    }
  }
  if (threadIdx.x == 0) add_to(*conditions, found);
}

/// \cond kernels: Doxygen 1.9 does not read __launch_bounds__
template <class T>
__global__ void __launch_bounds__(softmax_threads, 4)
    token_logprob_kernel(token_call<T> call, token_results<float> out, status* conditions) {
  __shared__ softmax_scratch shared;
  status found = status::ok;
  for (std::int64_t i = blockIdx.x; i < call.logits.extent[0]; i += gridDim.x) {
    const auto label = call.label(i);
    softmax_state s{};
    if (!label.is_ignored) s = sum_any_row(call.row(i), label.column, call.numbers.scale, shared);
    if (threadIdx.x == 0) found |= write_row(call, out, i, label, s);
  }
  if (conditions != nullptr) add_to(*conditions, found);
}

template <class T, class Out>
__global__ void __launch_bounds__(softmax_threads)
    token_gradient_kernel(token_call<T> call, view<const softmax_state> states,
                          token_cotangents<float> cot, view<Out, 2> gradient,
                          std::int64_t columns_of_piece, status* conditions) {
  __shared__ token_row::row_plan shared;
  write_token_gradient(call, states, cot, gradient, columns_of_piece, conditions, shared);
}
/// \endcond

template <class T>
token_call<std::remove_const_t<T>> token_call_of(const softmax_rule& rule, const view<T, 2>& logits,
                                                 const token_labels& labels,
                                                 const view<const std::uint8_t, 2>& keep) {
  return {hence::detail::numbers_of<float>(rule), logits, labels, keep};
}
template <token_logprob_tuning Tuning> constexpr bool is_launchable() {
  static_assert(Tuning.max_blocks > 0 && Tuning.max_blocks <= 0x7fffffff,
                "hence: a grid has 1 to 2^31 - 1 blocks");
  static_assert(Tuning.columns_of_piece > 0 && Tuning.columns_of_piece % 1024 == 0,
                "hence: columns_of_piece is a multiple of 1024");
  return true;
}
/// Queues the gradient of a call's rows, if there are any. \tparam Call as of its kernel.
template <token_logprob_tuning Tuning, class Kernel, class Call, class Out>
void launch_gradient(const char* name, Kernel kernel, stream s, const std::source_location& where,
                     const Call& call, const view<const softmax_state>& states,
                     const token_cotangents<float>& cot, const view<Out, 2>& gradient,
                     status* conditions) {
  const row_pieces pieces{call.logits.extent[0], call.logits.extent[1], Tuning.columns_of_piece};
  if (pieces.count() > 0)
    launch(name, kernel, at_most(pieces.count(), Tuning.max_blocks), softmax_threads, s, where,
           call, states, cot, gradient, pieces.size, conditions);
}

}  // namespace detail

/// Queues log-probs, entropies and states of all rows on a stream: a memset of `conditions` and one
/// kernel. Never synchronises, never allocates, needs no workspace; capturable in a CUDA graph.
/// Every array lies in device memory; only shapes are looked at on the host. Throws
/// `std::invalid_argument` for those and `cuda_error` for CUDA's own. Without rows nothing is
/// launched.
/// \param s the stream. \param rule, logits, labels, out, keep as for `hence::token_logprob`.
/// \param conditions one status in device memory, overwritten with what `hence::token_logprob`
///   returns. \param where the caller, for errors. \tparam Tuning the launch.
template <token_logprob_tuning Tuning = token_logprob_tuning{}, class T>
void token_logprob(stream s, const softmax_rule& rule, view<T, 2> logits,      // [rows, vocabulary]
                   const token_labels& labels,                                 // [rows]
                   const token_results<float>& out,                            // [rows] each
                   status* conditions, view<const std::uint8_t, 2> keep = {},  // [rows, vocabulary]
                   const std::source_location& where = std::source_location::current()) {
  using namespace hence::detail;
  static_assert(cuda::detail::is_launchable<Tuning>());
  if constexpr (check_logits<reference<float>, T>()) {
    using stored = std::remove_const_t<T>;
    check_token_arrays(rule, logits, labels, out, keep);
    cuda::detail::check_conditions(
        conditions,
        {range_of(out.logp), range_of(out.entropy), range_of(out.anchor), range_of(out.log_sum),
         range_of(out.expected_logit), range_of(out.states)},
        {range_of(logits), labels.bytes(), range_of(keep)});
    check(cudaMemsetAsync(conditions, 0, sizeof(status), s), "cudaMemsetAsync", where);
    const std::int64_t rows = logits.extent[0];
    if (rows == 0) return;
    launch("token_logprob_kernel", cuda::detail::token_logprob_kernel<stored>,
           at_most(rows, Tuning.max_blocks), cuda::detail::softmax_threads, s, where,
           cuda::detail::token_call_of(rule, logits, labels, keep), out, conditions);
  }
}

/// Queues d sum(cot.logp logp + cot.entropy entropy) / d logits on a stream, from the states of the
/// forward pass: a memset of `conditions` and one kernel; the rest as for `token_logprob`.
/// \param s the stream. \param rule, logits, labels, states, cot, gradient, keep as for
///   `hence::token_logprob_gradient`; the gradient may be the logits themselves.
/// \param conditions, where as for `token_logprob`. \tparam Tuning the launch.
template <token_logprob_tuning Tuning = token_logprob_tuning{}, class T, class Out>
void token_logprob_gradient(stream s, const softmax_rule& rule,
                            view<T, 2> logits,                   // [rows, vocabulary]
                            const token_labels& labels,          // [rows]
                            view<const softmax_state> states,    // [rows]
                            const token_cotangents<float>& cot,  // [rows] each
                            view<Out, 2> gradient,               // [rows, vocabulary]
                            status* conditions,
                            view<const std::uint8_t, 2> keep = {},  // [rows, vocabulary]
                            const std::source_location& where = std::source_location::current()) {
  using namespace hence::detail;
  static_assert(cuda::detail::is_launchable<Tuning>());
  if constexpr (check_logits<reference<float>, T, Out>()) {
    using stored = std::remove_const_t<T>;
    check_token_gradient(rule, logits, labels, states, cot, gradient, keep);
    cuda::detail::check_conditions(conditions, {range_of(gradient)},
                                   {range_of(logits), labels.bytes(), range_of(states),
                                    range_of(cot.logp), range_of(cot.entropy), range_of(keep)});
    check(cudaMemsetAsync(conditions, 0, sizeof(status), s), "cudaMemsetAsync", where);
    cuda::detail::launch_gradient<Tuning>(
        "token_gradient_kernel", cuda::detail::token_gradient_kernel<stored, Out>, s, where,
        cuda::detail::token_call_of(rule, logits, labels, keep), states, cot, gradient, conditions);
  }
}

}  // namespace hence::inline v0::cuda
