/// \file
/// `cuda::linear_logprob` with `gemm::cublaslt`: the products on tensor cores, by the library.
///
/// A `gemm::cublaslt` is made once for a shape; then follow `linear_logprob`, any loss of its
/// log-probs and `linear_logprob_gradient` with the same one, in one workspace
/// (tests/ptx/programs/linear_cublaslt.cu is a whole program).
///
/// Forward, for each tile of the vocabulary and of tokens: a product, then a kernel that adds the
/// tile to its rows' sums (cuda/tile_softmax.cuh; where a tile holds whole rows, that of
/// cuda/token_logprob.cuh). Backward: the logits again, their gradient by the kernel of
/// cuda/token_logprob.cuh, and for each tile of the vocabulary two products more.
///
/// Bytes beside the products': logits written and read once a direction; between tiles of the
/// vocabulary 18.5 KB a row; backward the gradient of the logits written once and read by two
/// products, that of the hidden states read and written once a tile of the vocabulary.
///
/// Determinism: given the library's logits, the CPU's bits whatever the tiles; the products round
/// as `gemm::cublaslt` says. Ignored tokens are multiplied too, since their number is not known to
/// the host: give live tokens alone where that is dear. What their hidden states hold reaches no
/// result, but for this: with a head that is not finite, the gradients of all hidden states aren't.
///
/// Proof: as for cuda/policy_loss.cuh, see docs/cuda.md; with a stand-in for the library. It has
/// not run on a device yet.
#pragma once

#include <hence/cuda/linear_logprob.cuh>
#include <hence/cuda/linear_products.cuh>

namespace hence::inline v0::cuda {

namespace detail {

/// \cond kernels: Doxygen 1.9 does not read __launch_bounds__
/// Hidden states with zeros in the place of ignored tokens, whose NaN would reach the head.
template <class T>
__global__ void __launch_bounds__(product_threads)
    live_states_kernel(view<const T, 2> hidden, ignored_tokens tokens, view<T, 2> copy) {
  for (std::int64_t t = blockIdx.x; t < hidden.extent[0]; t += gridDim.x) {
    const bool is_live = !tokens(t);
    for (std::int64_t d = threadIdx.x; d < hidden.extent[1]; d += product_threads)
      copy.data[t * copy.stride[0] + d] = is_live ? hidden.data[t * hidden.stride[0] + d] : T{};
  }
}
/// \endcond

/// A call, its shapes checked. \tparam T storage of hidden states and head.
template <class T> struct library_call {
  stream s;
  const hence::gemm::cublaslt<T>& products;
  const softmax_rule& rule;
  view<const T, 2> hidden, weight;
  view<const float> bias;
  token_labels labels;
  std::span<std::byte> workspace;
  status* conditions;
  const std::source_location& where;

  using range = tile_range;

  bool ignores() const { return rule.negative == negative_labels::ignored; }
  static std::int64_t blocks_of(std::int64_t rows) { return at_most(rows, product_blocks); }
  template <class P> P* memory(std::int64_t at) const {
    return reinterpret_cast<P*>(workspace.data() + at);
  }
  view<float> bias_of(const range& columns) const {
    return {const_cast<float*>(bias.data) + columns.begin, columns.count};
  }

  void check_shapes(const view<float, 2>& to_hidden, const view<float, 2>& to_weight) const {
    using namespace hence::detail;
    const linear_shape& p = products.shape();
    same("hidden", "tokens", hidden.extent[0], p.tokens);
    same("hidden", "width", hidden.extent[1], p.width);
    same("head.weight", "vocabulary", weight.extent[0], p.vocabulary);
    same("head.bias", "has_bias", bias.present(), p.has_bias);
    check_matrix("hidden", hidden, p.hidden_stride);
    check_matrix("head.weight", weight, p.weight_stride);
    if (to_hidden.present()) check_matrix("gradients.hidden", to_hidden, p.to_hidden_stride);
    if (to_weight.present()) check_matrix("gradients.weight", to_weight, p.to_weight_stride);
    if (bias.present()) {
      if (bias.extent[0] > 1 && bias.stride[0] != 1)
        refuse(message() << "hence: head.bias has stride " << bias.stride[0]
                         << ", gemm::cublaslt expects 1");
      check_alignment("head.bias", bias.data, library_alignment);
    }
  }

  /// A tile's logits. \param to where they go, rows `products.logits_stride()` apart.
  view<float, 2> multiply(const range& columns, const range& tokens, float* to) const {
    auto p = products.logits(columns, tokens);
    p.a.data = hidden.data + tokens.begin * hidden.stride[0];
    p.b.data = weight.data + columns.begin * weight.stride[0];
    p.c.data = to;
    if (p.has_bias) p.bias = bias.data + columns.begin;
    products.queue(0, p, columns, tokens, workspace, s, where);
    return {to, tokens.count, columns.count, products.logits_stride()};
  }
  token_call<float> rows_of_tile(const view<float, 2>& logits, const range& columns,
                                 const range& tokens) const {
    return {hence::detail::numbers_of<float>(rule),
            logits,
            labels.part(tokens.begin, tokens.count),
            {},
            columns.begin,
            weight.extent[0] - columns.begin - columns.count};
  }

 private:
  void same(const char* name, const char* what, std::int64_t given, std::int64_t wanted) const {
    using namespace hence::detail;
    if (given != wanted)
      refuse(message() << "hence: " << name << " has " << what << " " << given
                       << ", gemm::cublaslt was made for " << wanted);
  }
  void check_alignment(const char* name, const void* p, std::int64_t bytes) const {
    using namespace hence::detail;
    if (reinterpret_cast<std::uintptr_t>(p) % static_cast<std::uintptr_t>(bytes) != 0)
      refuse(message() << "hence: " << name << " is not aligned to " << bytes << " bytes");
  }
  template <class V>
  void check_matrix(const char* name, const view<V, 2>& m, std::int64_t stride) const {
    if (m.extent[0] > 1) same(name, "stride", m.stride[0], stride);
    check_alignment(name, m.data, library_alignment);
  }
};

template <class T, class H, class W>
library_call<T> library_call_of(stream s, const hence::gemm::cublaslt<T>& products,
                                const softmax_rule& rule, const view<H, 2>& hidden,
                                const linear_head<W>& head, const token_labels& labels,
                                std::span<std::byte> workspace, status* conditions,
                                const std::source_location& where) {
  static_assert(std::same_as<std::remove_const_t<H>, T> && std::same_as<std::remove_const_t<W>, T>,
                "hence: hidden states and the head are stored as gemm::cublaslt was made for");
  hence::detail::check_softmax_rule(rule);
  hence::detail::check_linear_head(hidden, head, labels);
  return {s, products, rule, hidden, head.weight, head.bias, labels, workspace, conditions, where};
}

}  // namespace detail

/// As the `linear_logprob` of cuda/linear_logprob.cuh, with the library's products: queues a
/// memset, then a product and a kernel a tile, and one kernel more where tiles don't hold whole
/// rows.
/// \param s the stream. \param products made for this shape.
/// \param rule, hidden, head, labels, out as there, but stored as `products` says, 16-byte aligned,
///   the bias without gaps.
/// \param workspace `products.forward_bytes()`, 256-byte aligned.
/// \param conditions, where as there.
template <class T, class H, class W>
void linear_logprob(stream s, const gemm::cublaslt<T>& products, const softmax_rule& rule,
                    view<H, 2> hidden,                                       // [tokens, width]
                    const linear_head<W>& head, const token_labels& labels,  // [tokens]
                    const token_results<float>& out,                         // [tokens] each
                    std::span<std::byte> workspace, status* conditions,
                    const std::source_location& where = std::source_location::current()) {
  using namespace hence::detail;
  using cuda::detail::part_of;
  const auto call = cuda::detail::library_call_of(s, products, rule, hidden, head, labels,
                                                  workspace, conditions, where);
  check_linear_results(out, hidden.extent[0]);
  check_linear_places<H, W, float>(hidden, head, labels, {}, {}, out, {}, {});
  call.check_shapes({}, {});
  cuda::detail::check_workspace(
      workspace, products.forward_bytes(), 256, conditions,
      {range_of(out.logp), range_of(out.entropy), range_of(out.anchor), range_of(out.log_sum),
       range_of(out.expected_logit), range_of(out.states)},
      {range_of(hidden), range_of(head.weight), range_of(head.bias), labels.bytes()});
  check(cudaMemsetAsync(conditions, 0, sizeof(status), s), "cudaMemsetAsync", where);
  using cuda::detail::row_memory;
  auto* const rows = call.template memory<row_memory>(products.rows_at());
  products.for_tiles([&](const auto& columns, const auto& tokens) {
    const auto logits =
        call.multiply(columns, tokens, call.template memory<float>(products.logits_at()));
    token_results<float> part;
    part.logp = part_of(out.logp, tokens.begin, tokens.count);
    part.entropy = part_of(out.entropy, tokens.begin, tokens.count);
    part.anchor = part_of(out.anchor, tokens.begin, tokens.count);
    part.log_sum = part_of(out.log_sum, tokens.begin, tokens.count);
    part.expected_logit = part_of(out.expected_logit, tokens.begin, tokens.count);
    part.states = part_of(out.states, tokens.begin, tokens.count);
    const auto tile = call.rows_of_tile(logits, columns, tokens);
    const std::int64_t blocks = call.blocks_of(tokens.count);
    if (products.holds_rows())
      launch("token_logprob_kernel", cuda::detail::token_logprob_kernel<float>, blocks,
             cuda::detail::softmax_threads, s, where, tile, part, conditions);
    else
      launch("tile_softmax_kernel", cuda::detail::tile_softmax_kernel<float>, blocks,
             cuda::detail::softmax_threads, s, where, tile, rows + tokens.begin, part, conditions);
  });
  if (!products.holds_rows() && hidden.extent[0] > 0)
    launch("shifted_rows_kernel", cuda::detail::shifted_rows_kernel<T>,
           call.blocks_of(hidden.extent[0]), cuda::detail::softmax_threads, s, where,
           numbers_of<float>(rule), call.hidden, call.weight, call.bias, labels, rows, out,
           conditions);
}

/// As the `linear_logprob_gradient` of cuda/linear_logprob.cuh, with the library's products: a
/// memset, a kernel, and for each tile of the vocabulary two or three kernels and a product for
/// every tile of tokens, two products and a kernel.
/// \param s the stream. \param products that of `linear_logprob`, so that the logits are the same.
/// \param rule, hidden, head, labels, states, cot, gradients as there, stored as for
///   `linear_logprob`.
/// \param workspace `products.workspace_bytes()`, 256-byte aligned.
/// \param conditions, where as there.
template <class T, class H, class W>
void linear_logprob_gradient(stream s, const gemm::cublaslt<T>& products, const softmax_rule& rule,
                             view<H, 2> hidden,  // [tokens, width]
                             const linear_head<W>& head, const token_labels& labels,  // [tokens]
                             view<const softmax_state> states,                        // [tokens]
                             const token_cotangents<float>& cot,
                             const linear_gradients<float>& gradients,
                             std::span<std::byte> workspace, status* conditions,
                             const std::source_location& where = std::source_location::current()) {
  using namespace hence::detail;
  using cuda::detail::part_of, cuda::detail::ignored_tokens;
  const auto call = cuda::detail::library_call_of(s, products, rule, hidden, head, labels,
                                                  workspace, conditions, where);
  check_linear_states(states, hidden.extent[0]);
  check_linear_gradients(hidden, head, cot, gradients);
  check_linear_places<H, W, float>(hidden, head, labels, states, cot, {}, gradients, {});
  const auto& [to_hidden, to_weight, to_bias, of_hidden, of_head] = gradients;
  call.check_shapes(to_hidden, to_weight);
  cuda::detail::check_workspace(
      workspace, products.workspace_bytes(), 256, conditions,
      {range_of(to_hidden), range_of(to_weight), range_of(to_bias)},
      {range_of(hidden), range_of(head.weight), range_of(head.bias), labels.bytes(),
       range_of(states), range_of(cot.logp), range_of(cot.entropy)});
  const bool replaces = of_head == update::overwrite;
  const std::int64_t count = hidden.extent[0], width = hidden.extent[1];
  check(cudaMemsetAsync(conditions, 0, sizeof(status), s), "cudaMemsetAsync", where);
  if (count == 0) {
    if (replaces) cuda::detail::clear_head(s, to_weight, to_bias, where);
    return;
  }
  const ignored_tokens ignored{labels, call.ignores()};
  T* const copy = call.template memory<T>(products.copy_at());
  if (to_weight.present())
    launch("live_states_kernel", cuda::detail::live_states_kernel<T>, call.blocks_of(count),
           cuda::detail::product_threads, s, where, call.hidden, ignored,
           view<T, 2>(copy, count, width, products.copy_stride()));
  T* const gradient = call.template memory<T>(products.gradient_at());
  float* const memory = call.template memory<float>(products.logits_at());
  products.for_tiles([&](const auto& columns, const auto& tokens) {
    constexpr bool in_place = gemm::cublaslt<T>::in_place;
    const auto logits = call.multiply(
        columns, tokens, in_place ? memory + tokens.begin * products.logits_stride() : memory);
    const auto of_tile = part_of(states, tokens.begin, tokens.count);
    const auto tile = call.rows_of_tile(logits, columns, tokens);
    if (!products.holds_rows())
      launch("shifted_logits_kernel", cuda::detail::shifted_logits_kernel<T>,
             call.blocks_of(tokens.count), cuda::detail::softmax_threads, s, where,
             rows_of(call.hidden, tokens.begin, tokens.count),
             rows_of(call.weight, columns.begin, columns.count),
             call.bias.present() ? view<const float>(call.bias_of(columns)) : view<const float>(),
             tile.labels, call.ignores(), of_tile, logits);
    const std::int64_t stride = products.gradient_stride();
    cuda::detail::launch_gradient<token_logprob_tuning{.max_blocks = cuda::detail::product_blocks}>(
        "token_gradient_kernel", cuda::detail::token_gradient_kernel<float, T>, s, where, tile,
        of_tile,
        token_cotangents<float>{part_of(cot.logp, tokens.begin, tokens.count),
                                part_of(cot.entropy, tokens.begin, tokens.count)},
        view<T, 2>(gradient + tokens.begin * stride, tokens.count, columns.count, stride),
        conditions);
    if (tokens.begin + tokens.count < count) return;  // the rest is done once for all tokens
    if (to_hidden.present()) {
      auto p = products.to_hidden(columns);
      p.a.data = gradient, p.c.data = to_hidden.data;
      p.b.data = call.weight.data + columns.begin * call.weight.stride[0];
      p.accumulates = columns.begin > 0 || of_hidden == update::accumulate;
      products.queue(1, p, columns, products.all_tokens(), workspace, s, where);
    }
    if (to_weight.present()) {
      auto p = products.to_weight(columns);
      p.a.data = gradient, p.b.data = copy;
      p.c.data = to_weight.data + columns.begin * to_weight.stride[0];
      p.accumulates = !replaces;
      products.queue(2, p, columns, products.all_tokens(), workspace, s, where);
    }
    if (to_bias.present()) {
      const view<const T, 2> g(gradient, count, columns.count, stride);
      const std::int64_t blocks =
          (columns.count + cuda::detail::product_threads - 1) / cuda::detail::product_threads;
      launch("bias_gradient_kernel", cuda::detail::bias_gradient_kernel<T>, call.blocks_of(blocks),
             cuda::detail::product_threads, s, where, g, ignored,
             part_of(to_bias, columns.begin, columns.count), replaces);
    }
  });
}

}  // namespace hence::inline v0::cuda
