/// \file
/// `cuda::linear_logprob`: log-probs and entropies of labels from hidden states and the head, and
/// the gradients of both; the logits of one tile of tokens exist at a time, in the workspace.
///
///     logits = hidden weight^T + bias, then as cuda/token_logprob.cuh
///
/// Kernels: a tile's logits by cuda/ordered.cuh, its rows by cuda/token_logprob.cuh; backward the
/// logits again, their gradient in place, and two products more. The hidden states of ignored
/// tokens are not read.
///
/// Bytes: the head once for every 64 tokens of a tile, backward twice so, and 8 more an element of
/// its gradient for every tile after the first: the more tokens the workspace holds, the fewer. The
/// logits are written and read once forward; backward they are written twice and read
/// 1 + 2 ceil(width/64) times, once more for a bias.
/// The products are fp32 chains, whose bits are a CPU's; for speed there is a library's product
/// (cuda/linear_logprob_cublaslt.cuh).
///
/// Determinism: the bits of `hence::linear_logprob` with `gemm::ordered`, whatever the workspace
/// and the launch. A NaN is a NaN.
///
/// Proof: as for cuda/policy_loss.cuh, see docs/cuda.md. It has not run on a device yet.
#pragma once

#include <hence/cuda/ordered.cuh>
#include <hence/cuda/token_logprob.cuh>
#include <hence/logits/linear_arrays.hpp>

#include <span>

namespace hence::inline v0::cuda {

namespace detail {

/// A row of logits begins on a 16-byte boundary.
constexpr std::int64_t logits_stride(std::int64_t vocabulary) { return (vocabulary + 3) / 4 * 4; }

template <class T> view<T> part_of(view<T> v, std::int64_t begin, std::int64_t count) {
  if (v.present()) v.data += begin * v.stride[0], v.extent[0] = count;
  return v;
}

/// \cond kernels: Doxygen 1.9 does not read __launch_bounds__
/// d bias += column sums of G over the live tokens, in their order.
/// \tparam T storage of G.
template <class T>
__global__ void __launch_bounds__(product_threads)
    bias_gradient_kernel(view<const T, 2> g, ignored_tokens tokens, view<float> out, bool begins) {
  using F = num<float>;
  for (std::int64_t v = blockIdx.x * product_threads + threadIdx.x; v < g.extent[1];
       v += gridDim.x * product_threads) {
    F sum = begins ? 0.0f : out[v];
    for (std::int64_t t = 0; t < g.extent[0]; ++t)
      if (!tokens(t)) sum = sum + F(static_cast<float>(g.data[t * g.stride[0] + v]));
    out[v] = sum.v;
  }
}
/// \endcond

/// The head's gradient of no tokens, without a kernel; each may be absent.
inline void clear_head(stream s, const view<float, 2>& to_weight, const view<float>& to_bias,
                       const std::source_location& where) {
  const auto size = [](std::int64_t n) { return static_cast<std::size_t>(n); };
  if (to_weight.present())
    check(cudaMemset2DAsync(to_weight.data, size(to_weight.stride[0]) * 4, 0,
                            size(to_weight.extent[1]) * 4, size(to_weight.extent[0]), s),
          "cudaMemset2DAsync", where);
  if (to_bias.present())
    check(cudaMemset2DAsync(to_bias.data, size(to_bias.stride[0]) * 4, 0, 4,
                            size(to_bias.extent[0]), s),
          "cudaMemset2DAsync", where);
}

/// A call as the host cuts it into tiles of tokens. \tparam H, W storage of hidden states and head.
template <class H, class W> struct linear_call {
  stream s;
  const softmax_rule& rule;
  view<const H, 2> hidden;
  view<const W, 2> weight;
  view<const float> bias;
  token_labels labels;
  std::span<std::byte> workspace;
  status* conditions;
  const std::source_location& where;

  std::int64_t tile() const {
    return static_cast<std::int64_t>(workspace.size()) / (4 * logits_stride(weight.extent[0]));
  }
  void check_memory(byte_ranges written, byte_ranges read) const {
    check_workspace(workspace, 4 * logits_stride(weight.extent[0]), 16, conditions, written, read);
  }
  /// Calls f(begin, count) for every tile, after a memset of the conditions.
  template <class F> void for_tiles(F&& f) const {
    check(cudaMemsetAsync(conditions, 0, sizeof(status), s), "cudaMemsetAsync", where);
    const std::int64_t tokens = hidden.extent[0];
    for (std::int64_t begin = 0; begin < tokens; begin += tile())
      f(begin, at_most(tokens - begin, tile()));
  }
  ignored_tokens ignored(std::int64_t begin, std::int64_t count) const {
    return {labels.part(begin, count), rule.negative == negative_labels::ignored};
  }
  view<float, 2> logits(std::int64_t count) const {
    return {reinterpret_cast<float*>(workspace.data()), count, weight.extent[0],
            logits_stride(weight.extent[0])};
  }
  view<const H, 2> states_of(std::int64_t begin, std::int64_t count) const {
    return rows_of(hidden, begin, count);
  }
  /// Logits of a tile.
  void multiply(std::int64_t begin, std::int64_t count) const {
    launch_product(s,
                   product_call<H, W>{states_of(begin, count), transposed(weight), logits(count),
                                      true, bias, ignored(begin, count)},
                   where);
  }
  token_call<float> rows_of_tile(std::int64_t begin, std::int64_t count) const {
    return {hence::detail::numbers_of<float>(rule), logits(count), labels.part(begin, count), {}};
  }
};

template <class H, class W, class S>
linear_call<std::remove_const_t<H>, std::remove_const_t<W>> linear_call_of(
    stream s, const softmax_rule& rule, const view<H, 2>& hidden, const linear_head<W, S>& head,
    const token_labels& labels, std::span<std::byte> workspace, status* conditions,
    const std::source_location& where) {
  static_assert(hence::detail::stored_logit<std::remove_const_t<H>> &&
                    hence::detail::stored_logit<std::remove_const_t<W>>,
                "hence: hidden states and the head are stored as float, hence::bf16 or hence::f16");
  hence::detail::check_softmax_rule(rule);
  hence::detail::check_linear_head(hidden, head, labels);
  return {s, rule, hidden, head.weight, head.bias, labels, workspace, conditions, where};
}

}  // namespace detail

/// Bytes of workspace, 16-byte aligned, in device memory, for `tile` tokens at a time, 1 or more.
constexpr std::int64_t linear_logprob_workspace_bytes(std::int64_t tile, std::int64_t vocabulary) {
  return 4 * tile * detail::logits_stride(vocabulary);
}

/// Queues log-probs, entropies and states on a stream: a memset of `conditions`, then two kernels a
/// tile of tokens. Never synchronises, never allocates; capturable in a CUDA graph. Every array
/// lies in device memory; only shapes are looked at on the host. Throws `std::invalid_argument` for
/// those and `cuda_error` for CUDA's own. Without tokens nothing is launched.
/// \param s the stream. \param rule, hidden, head, labels, out as for `hence::linear_logprob`; what
///   is stored may be float, bf16 or f16. \param workspace `linear_logprob_workspace_bytes`.
/// \param conditions one status in device memory, overwritten with what `hence::linear_logprob`
///   returns. \param where the caller, for errors.
template <class H, class W>
void linear_logprob(stream s, const softmax_rule& rule, view<H, 2> hidden,   // [tokens, width]
                    const linear_head<W>& head, const token_labels& labels,  // [tokens]
                    const token_results<float>& out,                         // [tokens] each
                    std::span<std::byte> workspace, status* conditions,
                    const std::source_location& where = std::source_location::current()) {
  using namespace hence::detail;
  using cuda::detail::part_of;
  const auto call =
      cuda::detail::linear_call_of(s, rule, hidden, head, labels, workspace, conditions, where);
  check_linear_results(out, hidden.extent[0]);
  check_linear_places<H, W, float>(hidden, head, labels, {}, {}, out, {}, {});
  call.check_memory({range_of(out.logp), range_of(out.entropy), range_of(out.anchor),
                     range_of(out.log_sum), range_of(out.expected_logit), range_of(out.states)},
                    {range_of(hidden), range_of(head.weight), range_of(head.bias), labels.bytes()});
  call.for_tiles([&](std::int64_t begin, std::int64_t count) {
    call.multiply(begin, count);
    token_results<float> part;
    part.logp = part_of(out.logp, begin, count);
    part.entropy = part_of(out.entropy, begin, count);
    part.anchor = part_of(out.anchor, begin, count);
    part.log_sum = part_of(out.log_sum, begin, count);
    part.expected_logit = part_of(out.expected_logit, begin, count);
    part.states = part_of(out.states, begin, count);
    constexpr std::int64_t most = token_logprob_tuning{}.max_blocks;
    launch("token_logprob_kernel", cuda::detail::token_logprob_kernel<float>, at_most(count, most),
           cuda::detail::softmax_threads, s, where, call.rows_of_tile(begin, count), part,
           conditions);
  });
}

/// Queues the gradients of sum(cot.logp logp + cot.entropy entropy) from the states of the forward
/// pass: a memset of `conditions`, then two to five kernels a tile; the rest as for
/// `linear_logprob`. Without tokens what is overwritten of the head becomes 0, without a kernel.
/// \param s the stream. \param rule, hidden, head, labels, states, cot, gradients as for
///   `hence::linear_logprob_gradient`. \param workspace, conditions, where as for `linear_logprob`.
template <class H, class W>
void linear_logprob_gradient(stream s, const softmax_rule& rule,
                             view<H, 2> hidden,  // [tokens, width]
                             const linear_head<W>& head, const token_labels& labels,  // [tokens]
                             view<const softmax_state> states,                        // [tokens]
                             const token_cotangents<float>& cot,
                             const linear_gradients<float>& gradients,
                             std::span<std::byte> workspace, status* conditions,
                             const std::source_location& where = std::source_location::current()) {
  using namespace hence::detail;
  using cuda::detail::launch_product, cuda::detail::part_of, cuda::detail::product_call;
  const auto call =
      cuda::detail::linear_call_of(s, rule, hidden, head, labels, workspace, conditions, where);
  check_linear_states(states, hidden.extent[0]);
  check_linear_gradients(hidden, head, cot, gradients);
  check_linear_places<H, W, float>(hidden, head, labels, states, cot, {}, gradients, {});
  const auto& [to_hidden, to_weight, to_bias, of_hidden, of_head] = gradients;
  call.check_memory({range_of(to_hidden), range_of(to_weight), range_of(to_bias)},
                    {range_of(hidden), range_of(head.weight), range_of(head.bias), labels.bytes(),
                     range_of(states), range_of(cot.logp), range_of(cot.entropy)});
  const bool replaces = of_head == update::overwrite;
  const std::int64_t columns = head.weight.extent[0];
  if (hidden.extent[0] == 0 && replaces) cuda::detail::clear_head(s, to_weight, to_bias, where);
  call.for_tiles([&](std::int64_t begin, std::int64_t count) {
    using stored = std::remove_const_t<H>;
    const auto g = call.logits(count);
    const view<const float, 2> read = g;
    const auto ignored = call.ignored(begin, count);
    call.multiply(begin, count);
    token_cotangents<float> part;
    part.logp = part_of(cot.logp, begin, count), part.entropy = part_of(cot.entropy, begin, count);
    cuda::detail::launch_gradient<token_logprob_tuning{}>(
        "token_gradient_kernel", cuda::detail::token_gradient_kernel<float, float>, s, where,
        call.rows_of_tile(begin, count), part_of(states, begin, count), part, g, conditions);
    if (to_hidden.present())
      launch_product(s,
                     product_call<float, std::remove_const_t<W>>{read,
                                                                 call.weight,
                                                                 rows_of(to_hidden, begin, count),
                                                                 of_hidden == update::overwrite,
                                                                 {},
                                                                 ignored,
                                                                 {},
                                                                 of_hidden == update::overwrite},
                     where);
    const bool begins = replaces && begin == 0;
    if (to_weight.present())
      launch_product(
          s,
          product_call<float, stored>{
              transposed(read), call.states_of(begin, count), to_weight, begins, {}, {}, ignored},
          where);
    if (to_bias.present()) {
      const std::int64_t blocks =
          (columns + cuda::detail::product_threads - 1) / cuda::detail::product_threads;
      launch("bias_gradient_kernel", cuda::detail::bias_gradient_kernel<float>,
             at_most(blocks, cuda::detail::product_blocks), cuda::detail::product_threads, s, where,
             read, ignored, to_bias, begins);
    }
  });
}

}  // namespace hence::inline v0::cuda
