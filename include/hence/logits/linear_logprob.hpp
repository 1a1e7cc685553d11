/// \file
/// `linear_logprob`: log-probs and entropies of labels from hidden states and the head, and the
/// gradients of both, where the `[tokens, vocabulary]` logits never exist: one tile of tokens does.
///
///     const hence::linear_head head{weight};  // [vocabulary, width]
///     status s = hence::linear_logprob(cpu{}, gemm::ordered{}, rule, hidden, head, labels,
///                                      {.logp = logp, .states = states}, memory);
///     // ... any loss of logp, its gradient cot ...
///     hence::linear_logprob_gradient(cpu{}, gemm::ordered{}, rule, hidden, head, labels, states,
///                                    {.logp = cot}, {.hidden = d_hidden, .weight = d_head},
///                                    memory);
///
/// logits = hidden weight^T + bias, then as `token_logprob`, status included. Tokens whose label is
/// negative under `negative_labels::ignored` are neither read nor computed. The split form costs
/// four matrix products, the one-call form three. Extra memory is what the caller gives: the more
/// tokens a tile holds, the faster.
///
/// Bits with `gemm::ordered`: log-probs, entropies and gradients depend on the data alone, not on
/// the memory given (the tiles), the pool, nor the register width; log-probs and the gradient of
/// `hidden` not on the batch either. Gradients of the head are chains over the live tokens in their
/// order, so a batch in two calls with `update::accumulate` has the bits of one.
#pragma once

#include <hence/logits/linear_tiles.hpp>

namespace hence::inline v0 {

/// Bytes of memory for tiles of `tile` tokens. \tparam Gemm the backend. \tparam S the scalar.
/// \param tile tokens at a time. \param width of a hidden state. \param vocabulary rows of the
/// head.
/// \param parts `linear_parts` where the executor has a pool.
template <class Gemm, class S = float>
HENCE_FN constexpr std::int64_t linear_logprob_bytes(std::int64_t tile, std::int64_t width,
                                                     std::int64_t vocabulary,
                                                     std::int64_t parts = 1) {
  return 64 + static_cast<std::int64_t>(sizeof(S)) *
                  (parts * detail::scratch_of<Gemm>() +
                   tile * detail::floats_per_token(width, vocabulary));
}

/// Log-probs and entropies; with `out.states` for `linear_logprob_gradient`.
/// \param executor `cpu{}`; `cpu{pool}`, which shares each tile among the threads; or
/// `reference<float>{}` or `reference<double>{}` with `gemm::chain`.
/// \param gemm `gemm::ordered{}`, or another `gemm::backend`.
/// \param rule temperature, meaning of a negative label, and soft-cap of the logits.
/// \param hidden `[tokens, width]` of float, bf16 or f16 (double for `reference<double>`).
/// \param head weight `[vocabulary, width]` of float, and bf16 or f16 where the backend takes them;
/// bias `[vocabulary]` or absent.
/// \param labels `[tokens]`, int32 or int64.
/// \param out what to write; each `[tokens]` or absent.
/// \param memory at least `linear_logprob_bytes<Gemm>(1, width, vocabulary)`, of `linear_parts`
/// parts with a pool. A library's product is called from several threads at once: let it have one.
template <class Executor, class Gemm, class H, class W>
status linear_logprob(const Executor& executor, const Gemm& gemm, const softmax_rule& rule,
                      view<H, 2> hidden,  // [tokens, width]
                      const linear_head<W, typename Executor::scalar>& head,
                      const token_labels& labels,                           // [tokens]
                      const token_results<typename Executor::scalar>& out,  // [tokens] each
                      view<std::byte> memory) {
  detail::linear_job<Executor, Gemm, H, W> job{executor, gemm, rule, hidden, head, labels};
  job.out = out;
  job.computes_values = true;
  return job.run(memory);
}

/// Gradients of sum(cot.logp logp + cot.entropy entropy) from the states of the forward pass; the
/// logits are computed again, tile by tile.
template <class Executor, class Gemm, class H, class W>
status linear_logprob_gradient(const Executor& executor, const Gemm& gemm, const softmax_rule& rule,
                               view<H, 2> hidden,  // [tokens, width]
                               const linear_head<W, typename Executor::scalar>& head,
                               const token_labels& labels,        // [tokens]
                               view<const softmax_state> states,  // [tokens]
                               const token_cotangents<typename Executor::scalar>& cot,
                               const linear_gradients<typename Executor::scalar>& gradients,
                               view<std::byte> memory) {
  detail::linear_job<Executor, Gemm, H, W> job{executor, gemm, rule, hidden, head, labels};
  job.states = states;
  job.cot = cot;
  job.gradients = gradients;
  job.computes_gradients = true;
  return job.run(memory);
}

/// Both at once, where the cotangents are known beforehand.
template <class Executor, class Gemm, class H, class W>
status linear_logprob_and_gradient(const Executor& executor, const Gemm& gemm,
                                   const softmax_rule& rule, view<H, 2> hidden,  // [tokens, width]
                                   const linear_head<W, typename Executor::scalar>& head,
                                   const token_labels& labels,  // [tokens]
                                   const token_cotangents<typename Executor::scalar>& cot,
                                   const token_results<typename Executor::scalar>& out,
                                   const linear_gradients<typename Executor::scalar>& gradients,
                                   view<std::byte> memory) {
  detail::linear_job<Executor, Gemm, H, W> job{executor, gemm, rule, hidden, head, labels};
  job.out = out;
  job.cot = cot;
  job.gradients = gradients;
  job.computes_values = job.computes_gradients = true;
  return job.run(memory);
}

}  // namespace hence::inline v0
