/// \file
/// The choices of an expert MLP by type. Where frameworks differ there is a name for each way and
/// no default.
///
///     product      gemm::ordered{} (the same bits everywhere), gemm::eigen{}, your own backend
///     activation   swiglu, geglu, geglu_tanh, silu, gelu, gelu_tanh, a functor
///     weights      after_down, before_down
///     activations  saved_activations, recomputed
#pragma once

#include <hence/core/gemm/product.hpp>
#include <hence/moe/activation.hpp>

namespace hence::inline v0::moe {

/// y = sum_j w_j (down h): transformers, DeepSeek's code, vLLM.
struct after_down {};
/// y = sum_j down (w_j h): Megatron from 0.13 on, SonicMoE (arXiv:2512.14080). The same in exact
/// arithmetic, rounded otherwise.
struct before_down {};

/// Without a place for the weights the experts do not compile.
struct unplaced {};

/// The rule: {product, activation, weights}.
template <class Gemm, class Activation, class Weights = unplaced> struct expert_mlp {
  Gemm product;
  Activation activation;
  Weights weights{};
};
template <class G, class A, class W> expert_mlp(G, A, W) -> expert_mlp<G, A, W>;
template <class G, class A> expert_mlp(G, A) -> expert_mlp<G, A>;

/// The forward pass keeps its projections for the backward pass: 8 ff bytes a row in fp32, 4 ff for
/// a plain activation. Two of the backward pass's eight matrix products are spared.
template <class S = float> struct saved_activations {
  view<S, 2> gate{};  ///< `[rows, ff]`, gate x before the activation; absent for a plain one
  view<S, 2> up{};    ///< `[rows, ff]`, up x
};
/// The forward pass keeps nothing; the backward pass multiplies again.
struct recomputed {};

}  // namespace hence::inline v0::moe
