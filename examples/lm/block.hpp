/// \file
/// One layer of the model, forward on some rows and backward on some groups. Training and
/// generation call the same functions.
#pragma once

#include "activations.hpp"
#include "attention_group.hpp"
#include "layout.hpp"
#include "rmsnorm.hpp"
#include "rope.hpp"
#include "swiglu.hpp"

#include <hence/core/gemm/product.hpp>

namespace lm {

template <class S> hence::view<const S, 2> matrix(const S* p, std::int64_t rows, std::int64_t n) {
  return {p, rows, n};
}

/// y = x W^T, or y += x W^T. \param x `[rows, in]`. \param w `[out, in]`. \param y `[rows, out]`.
template <class S>
void linear(const S* x, const S* w, std::int64_t rows, std::int64_t in, std::int64_t out, S* y,
            hence::update u = hence::update::overwrite) {
  product<S>(matrix(x, rows, in), hence::transposed(matrix(w, out, in)), {y, rows, out}, u);
}
/// dx = dy W.
template <class S>
void linear_backward(const S* dy, const S* w, std::int64_t rows, std::int64_t in, std::int64_t out,
                     S* dx) {
  product<S>(matrix(dy, rows, out), matrix(w, out, in), {dx, rows, in}, hence::update::overwrite);
}
/// Rows [begin, end) of dW += dy^T x: a chain over the rows of the batch in their order.
template <class S>
void linear_weight_backward(const S* dy, const S* x, std::int64_t rows, std::int64_t in,
                            std::int64_t out, std::int64_t begin, std::int64_t end, S* dw) {
  product<S>(hence::rows_of(hence::transposed(matrix(dy, rows, out)), begin, end - begin),
             matrix(x, rows, in), {dw + begin * in, end - begin, in}, hence::update::accumulate);
}

/// The residual stream's way into attention: norm, projections, rotation.
/// \param qkv `[rows, qkv_width]`, written.
template <class S>
void project_qkv(const model_config& c, const rope<S>& turn, const layer_parameters& p,
                 const S* weights, const S* x, const std::int64_t* positions, std::int64_t rows,
                 S* norm, S* inverse, S* qkv) {
  for (std::int64_t t = 0; t < rows; ++t)
    inverse[t] = rmsnorm(x + t * c.width, weights + p.norm1, c.width, static_cast<S>(c.norm_eps),
                         norm + t * c.width);
  linear(norm, weights + p.qkv, rows, c.width, c.qkv_width(), qkv);
  if (c.place == lm::positions::rotary)
    for (std::int64_t t = 0; t < rows; ++t)
      turn.apply(qkv + t * c.qkv_width(), c.heads + c.kv_heads, positions[t], 1);
}

/// middle = x + attended Wo^T.
template <class S>
void leave_attention(const model_config& c, const layer_parameters& p, const S* weights, const S* x,
                     const S* attended, std::int64_t rows, S* middle) {
  std::copy(x, x + rows * c.width, middle);
  linear(attended, weights + p.out, rows, c.query_width(), c.width, middle,
         hence::update::accumulate);
}

/// out = middle + down(swiglu(gate, up)), of norm(middle).
/// \param gate_up `[rows, 2 ff]`. \param hidden `[rows, ff]`.
template <class S>
void dense_feed_forward(const model_config& c, std::int64_t ff, const S* w_gate_up, const S* w_down,
                        const S* norm, std::int64_t rows, S* gate_up, S* hidden, S* out) {
  linear(norm, w_gate_up, rows, c.width, 2 * ff, gate_up);
  for (std::int64_t t = 0; t < rows; ++t) swiglu(gate_up + t * 2 * ff, ff, hidden + t * ff);
  linear(hidden, w_down, rows, ff, c.width, out, hence::update::accumulate);
}
/// \param d_out `[rows, width]`. \param d_gate_up, d_norm written.
template <class S>
void dense_feed_forward_backward(const model_config& c, std::int64_t ff, const S* w_gate_up,
                                 const S* w_down, const S* gate_up, const S* d_out,
                                 std::int64_t rows, S* d_gate_up, S* d_norm) {
  S* d_hidden = scratch<S, 2>(rows * ff);
  linear_backward(d_out, w_down, rows, ff, c.width, d_hidden);
  for (std::int64_t t = 0; t < rows; ++t)
    swiglu_backward(gate_up + t * 2 * ff, d_hidden + t * ff, ff, d_gate_up + t * 2 * ff);
  linear_backward(d_gate_up, w_gate_up, rows, c.width, 2 * ff, d_norm);
}

template <class S>
void normalise(const model_config& c, const S* x, const S* gain, std::int64_t rows, S* norm,
               S* inverse) {
  for (std::int64_t t = 0; t < rows; ++t)
    inverse[t] =
        rmsnorm(x + t * c.width, gain, c.width, static_cast<S>(c.norm_eps), norm + t * c.width);
}
/// dx += the gradient.
template <class S>
void normalise_backward(const model_config& c, const S* x, const S* gain, const S* inverse,
                        const S* dy, std::int64_t rows, S* dx) {
  for (std::int64_t t = 0; t < rows; ++t)
    rmsnorm_backward(x + t * c.width, gain, inverse[t], dy + t * c.width, c.width,
                     dx + t * c.width);
}

}  // namespace lm
