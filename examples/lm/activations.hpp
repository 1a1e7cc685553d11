/// \file
/// What the forward pass keeps and the backward pass adds: one array per place in the model, over
/// all tokens of the batch, so that the gradient of a matrix is one product.
#pragma once

#include "config.hpp"
#include "engine.hpp"

#include <hence/logits/softmax_rule.hpp>

#include <utility>

namespace lm {

/// The arrays of one layer, `[tokens, ...]` each. The d_ ones hold gradients.
template <class S> struct layer_activations {
  S *norm1, *inverse1, *qkv, *attended, *middle, *norm2, *inverse2, *gate_up, *hidden;
  S *d_norm1, *d_qkv, *d_middle, *d_norm2, *d_gate_up;
  // a mixture of experts: the router's logits, its choices and their weights
  S *logits, *slot_weights, *d_logits;
  std::int32_t* ids;
};

template <class S> class activations {
 public:
  /// Makes room; what was there is lost. \param with_gradient whether backward will be called.
  void reserve(const model_config& c, std::int64_t tokens, std::int64_t responses,
               bool with_gradient) {
    const std::int64_t d = c.width, ff = c.is_moe() ? c.moe.shared_ff : c.ff;
    std::int64_t used = 0;
    for (const bool measures : {true, false}) {
      if (!measures) {
        if (memory_.size() < used) memory_ = aligned_array<S>(used + used / 4);
        used = 0;
      }
      S* const base = measures ? nullptr : memory_.data();
      const auto take = [&](std::int64_t n, bool wanted = true) -> S* {
        const std::int64_t at = used;
        if (wanted) used += (n + 15) / 16 * 16;
        return base == nullptr || !wanted ? nullptr : base + at;
      };
      layers.clear();
      stream.clear(), d_stream.clear();
      for (std::int64_t l = 0; l < c.layers; ++l) {
        layer_activations<S> a{};
        a.norm1 = take(tokens * d), a.inverse1 = take(tokens);
        a.qkv = take(tokens * c.qkv_width());
        a.attended = take(tokens * c.query_width());
        a.middle = take(tokens * d);
        a.norm2 = take(tokens * d), a.inverse2 = take(tokens);
        a.gate_up = take(tokens * 2 * ff), a.hidden = take(tokens * ff);
        a.d_norm1 = take(tokens * d, with_gradient);
        a.d_qkv = take(tokens * c.qkv_width(), with_gradient);
        a.d_middle = take(tokens * d, with_gradient);
        a.d_norm2 = take(tokens * d, with_gradient);
        a.d_gate_up = take(tokens * 2 * ff, with_gradient);
        const std::int64_t experts = c.moe.experts, k = c.is_moe() ? c.moe.k : 0;
        a.logits = take(tokens * experts), a.slot_weights = take(tokens * k);
        a.d_logits = take(tokens * experts, with_gradient);
        if (!measures) {
          ids_.resize(static_cast<std::size_t>(c.layers * tokens * k));
          a.ids = ids_.data() + l * tokens * k;
        }
        layers.push_back(a);
      }
      for (std::int64_t l = 0; l <= c.layers; ++l) {
        stream.push_back(take(tokens * d));
        d_stream.push_back(take(tokens * d, with_gradient));
      }
      last = take(responses * d), normed = take(responses * d), inverse = take(responses);
      d_normed = take(responses * d, with_gradient);
      d_last = take(responses * d, with_gradient);
    }
    states.resize(static_cast<std::size_t>(responses));
  }

  std::vector<layer_activations<S>> layers;
  std::vector<S*> stream, d_stream;  ///< the residual stream before each layer and after the last
  S *last, *normed, *inverse, *d_normed, *d_last;  ///< `[responses, width]`: what the head reads
  std::vector<hence::softmax_state> states;        ///< [responses]
  std::vector<std::int64_t> loads;  ///< [tiles, layers, experts]: slots that chose each expert

 private:
  aligned_array<S> memory_;
  std::vector<std::int32_t> ids_;
};

}  // namespace lm
