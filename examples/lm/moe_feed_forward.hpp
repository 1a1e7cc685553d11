/// \file
/// A mixture of experts in place of the dense feed-forward block, DeepSeek-V3's kind, by
/// `hence::moe`: route, permute, experts, and their gradients. arXiv:2412.19437, 2.1.2.
///
/// The selection bias lies in the arena beside the weights, so that a checkpoint and a reference
/// model have it; its gradient is 0 and `balancer` moves it.
#pragma once

#include "block.hpp"

#include <hence/moe.hpp>

namespace lm {

/// The router's choices for some rows.
template <class S> struct routing {
  S* logits;          ///< `[rows, experts]`
  std::int32_t* ids;  ///< `[rows, k]`
  S* weights;         ///< `[rows, k]`
};

template <class S> class moe_feed_forward {
 public:
  using executor = typename engine<S>::executor;

  moe_feed_forward(const model_config& c, const layer_parameters& p, const S* weights)
      : c_(c), m_(c.moe), p_(p), w_(weights) {}

  /// out += the routed and the shared experts' outputs.
  /// \param norm `[rows, width]`. \param load `[experts]`, written: how many slots chose each.
  /// \param gate_up, hidden of the shared experts.
  void forward(const S* norm, std::int64_t rows, const routing<S>& r, std::int64_t* load,
               S* gate_up, S* hidden, S* out) const {
    linear(norm, w_ + p_.router, rows, c_.width, m_.experts, r.logits);
    hence::moe::route(executor{}, gate(),
                      {.logits = matrix<S>(r.logits, rows, m_.experts),
                       .bias = hence::view<const S>(w_ + p_.bias, m_.experts)},
                      {.ids = hence::view<std::int32_t, 2>(r.ids, rows, m_.k),
                       .weights = hence::view<S, 2>(r.weights, rows, m_.k),
                       .load = hence::view<std::int64_t>(load, m_.experts)});
    const permuted order(r, rows, m_);
    S* y = scratch<S, 2>(rows * c_.width);
    hence::moe::experts(executor{}, mlp(), inputs(norm, rows, r, order), hence::moe::recomputed{},
                        hence::view<S, 2>(y, rows, c_.width));
    add_to(out, y, rows * c_.width);
    if (m_.shared_ff > 0)
      dense_feed_forward(c_, m_.shared_ff, w_ + p_.shared_gate_up, w_ + p_.shared_down, norm, rows,
                         gate_up, hidden, out);
  }

  /// The gradients of what the block computed, but for its matrices.
  /// \param d_logits `[rows, experts]`, d_gate_up, d_norm: written.
  void backward(const S* norm, const S* gate_up, const S* d_out, std::int64_t rows,
                const routing<S>& r, S* d_logits, S* d_gate_up, S* d_norm) const {
    const permuted order(r, rows, m_);
    std::vector<S> d_weights(static_cast<std::size_t>(rows * m_.k));
    if (m_.shared_ff > 0)
      dense_feed_forward_backward(c_, m_.shared_ff, w_ + p_.shared_gate_up, w_ + p_.shared_down,
                                  gate_up, d_out, rows, d_gate_up, d_norm);
    else
      std::fill(d_norm, d_norm + rows * c_.width, S(0));
    S* d_x = scratch<S, 2>(rows * c_.width);
    hence::moe::layer_gradients<S> to;
    to.x = hence::view<S, 2>(d_x, rows, c_.width);
    to.weights = hence::view<S, 2>(d_weights.data(), rows, m_.k);
    hence::moe::experts_backward(executor{}, mlp(), inputs(norm, rows, r, order),
                                 hence::moe::recomputed{}, matrix(d_out, rows, c_.width), to);
    add_to(d_norm, d_x, rows * c_.width);
    hence::moe::route_backward(executor{}, gate(),
                               hence::moe::gate_backward_inputs<S>{
                                   .logits = matrix<S>(r.logits, rows, m_.experts),
                                   .ids = hence::view<const std::int32_t, 2>(r.ids, rows, m_.k),
                                   .grad_weights = matrix<S>(d_weights.data(), rows, m_.k)},
                               hence::view<S, 2>(d_logits, rows, m_.experts));
    linear_backward(d_logits, w_ + p_.router, rows, c_.width, m_.experts, d_x);
    add_to(d_norm, d_x, rows * c_.width);
  }

  /// gradient += that of the experts' matrices, each a chain over its rows in the batch's order.
  void matrices_backward(const S* norm, const S* d_out, std::int64_t rows, const routing<S>& r,
                         S* gradient) const {
    const permuted order(r, rows, m_);
    hence::moe::layer_gradients<S> to;
    to.gate = {gradient + p_.gates, m_.experts, m_.ff, c_.width};
    to.up = {gradient + p_.ups, m_.experts, m_.ff, c_.width};
    to.down = {gradient + p_.downs, m_.experts, c_.width, m_.ff};
    to.of_matrices = hence::update::accumulate;
    hence::moe::experts_backward(executor{}, mlp(), inputs(norm, rows, r, order),
                                 hence::moe::recomputed{}, matrix(d_out, rows, c_.width), to);
  }

 private:
  /// The slots sorted by expert.
  struct permuted {
    std::vector<std::int64_t> offsets, order, position, count;
    permuted(const routing<S>& r, std::int64_t rows, const moe_config& m)
        : offsets(static_cast<std::size_t>(m.experts + 1)),
          order(static_cast<std::size_t>(rows * m.k)),
          position(order) {
      hence::moe::permute(hence::view<const std::int32_t, 2>(r.ids, rows, m.k), m.experts, 1,
                          {.offsets = offsets,
                           .order = order,
                           .position = hence::view<std::int64_t, 2>(position.data(), rows, m.k)});
      for (std::size_t e = 0; e + 1 < offsets.size(); ++e)
        count.push_back(offsets[e + 1] - offsets[e]);
    }
  };

  auto gate() const {
    namespace moe = hence::moe;
    return moe::gate{moe::score::sigmoid{}, m_.k,
                     moe::grouped{m_.groups, m_.kept_groups, moe::top2_sum{}},
                     moe::normalized{1e-20, moe::single_raw{}}, m_.scale};
  }
  static auto mlp() {
    return hence::moe::expert_mlp{typename engine<S>::gemm{}, hence::moe::swiglu{},
                                  hence::moe::after_down{}};
  }
  hence::moe::layer_inputs<S> inputs(const S* norm, std::int64_t rows, const routing<S>& r,
                                     const permuted& o) const {
    hence::moe::layer_inputs<S> in;
    in.x = matrix(norm, rows, c_.width);
    in.weights = matrix<S>(r.weights, rows, m_.k);
    in.position = hence::moe::slot_positions(o.position.data(), rows, m_.k);
    in.segments = {o.offsets, o.count};
    in.gate = {w_ + p_.gates, m_.experts, m_.ff, c_.width};
    in.up = {w_ + p_.ups, m_.experts, m_.ff, c_.width};
    in.down = {w_ + p_.downs, m_.experts, c_.width, m_.ff};
    return in;
  }

  const model_config& c_;
  const moe_config& m_;
  const layer_parameters& p_;
  const S* w_;
};

}  // namespace lm
