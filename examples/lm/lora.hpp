/// \file
/// Low-rank adapters: W' = W + (alpha / rank) B A beside a frozen W. Hu et al., arXiv:2106.09685;
/// names and constants are those of PyPI's peft.
///
/// Training, decoding and evaluation all compute on the merged W', made anew after each update: a
/// rollout's log-probs keep the bits of training, and the forward pass costs what it costs without
/// adapters. The gradient of W' is never formed. With dy and x of all tokens,
///
///     dB = (alpha / rank) dy^T (x A^T),   dA = (alpha / rank) (dy B)^T x,
///
/// so that gradients and the optimizer's state are of the adapters' size alone.
#pragma once

#include "lora_config.hpp"
#include "transformer.hpp"

namespace lm {

/// One adapted matrix, `[out, in]`.
template <class S> struct lora_site {
  std::size_t layer = 0;
  std::int64_t in = 0, out = 0;
  std::int64_t weight = 0;                 ///< its first element in the model's arena
  std::int64_t a = 0, b = 0;               ///< first elements of A `[rank, in]` and B `[out, rank]`
  S* layer_activations<S>::* x = nullptr;  ///< what it multiplies, `[tokens, in]`
  S* layer_activations<S>::* dy = nullptr;  ///< null: the residual stream's gradient
  std::int64_t column = 0, stride = 0;      ///< of its output within dy
};

template <class S> class lora {
 public:
  lora(const transformer<S>& model, const lora_config& config) : config_(config) {
    const auto& c = model.config();
    config_.check(c);
    scale_ =
        (hence::num<S>(static_cast<S>(config.alpha)) / hence::num<S>(static_cast<S>(config.rank)))
            .v;
    using layer = layer_activations<S>;
    const std::int64_t d = c.width, q = c.query_width(), kv = c.kv_width(), ff = c.ff;
    for (std::size_t l = 0; l < model.parameters().layers.size(); ++l) {
      const auto& p = model.parameters().layers[l];
      const auto add = [&](const char* block, const char* target, lora_site<S> site) {
        if (std::find(config_.targets.begin(), config_.targets.end(), target) ==
            config_.targets.end())
          return;
        const std::string at =
            "model.layers." + std::to_string(l) + "." + block + "." + target + ".";
        site.layer = l;
        site.a = layout_.add(at + "lora_A.weight", {config_.rank, site.in});
        site.b = layout_.add(at + "lora_B.weight", {site.out, config_.rank});
        sites_.push_back(site);
      };
      const auto of_qkv = [&](std::int64_t row, std::int64_t out) {
        return lora_site<S>{.in = d,
                            .out = out,
                            .weight = p.qkv + row * d,
                            .x = &layer::norm1,
                            .dy = &layer::d_qkv,
                            .column = row,
                            .stride = c.qkv_width()};
      };
      const auto of_gate_up = [&](std::int64_t row) {
        return lora_site<S>{.in = d,
                            .out = ff,
                            .weight = p.gate_up + row * d,
                            .x = &layer::norm2,
                            .dy = &layer::d_gate_up,
                            .column = row,
                            .stride = 2 * ff};
      };
      add("self_attn", "q_proj", of_qkv(0, q));
      add("self_attn", "k_proj", of_qkv(q, kv));
      add("self_attn", "v_proj", of_qkv(q + kv, kv));
      add("self_attn", "o_proj",
          {.in = q,
           .out = d,
           .weight = p.out,
           .x = &layer::attended,
           .dy = &layer::d_middle,
           .stride = d});
      add("mlp", "gate_proj", of_gate_up(0));
      add("mlp", "up_proj", of_gate_up(ff));
      add("mlp", "down_proj",
          {.in = ff, .out = d, .weight = p.down, .x = &layer::hidden, .stride = d});
    }
  }

  const lora_config& config() const { return config_; }
  /// Of A and B, as "...q_proj.lora_A.weight".
  const arena_layout& layout() const { return layout_; }
  std::int64_t size() const { return layout_.size(); }
  const std::vector<lora_site<S>>& sites() const { return sites_; }

  /// A uniform in +-1/sqrt(in), B 0: the merged model is the base. \param adapters `[size()]`.
  void initialise(std::uint64_t seed, S* adapters) const {
    using wide = hence::num<double>;
    for (const auto& site : sites_) {
      const wide bound = wide(1.0) / sqrt(wide(static_cast<double>(site.in)));
      for (std::int64_t i = site.a; i < site.a + config_.rank * site.in; ++i) {
        const auto word =
            hence::philox(seed, {.step = 0x10ad, .sequence = static_cast<std::uint64_t>(i)})
                .word[0];
        const wide u = wide(2.0) * wide(static_cast<double>(hence::uniform(word))) - wide(1.0);
        adapters[i] = static_cast<S>((bound * u).v);
      }
      std::fill_n(adapters + site.b, site.out * config_.rank, S(0));
    }
  }

  /// The adapted matrices of `weights` become W + (alpha / rank) B A; the others stay.
  /// \param base, weights arenas of the model.
  template <class Pool> void merge(Pool& pool, const S* base, const S* adapters, S* weights) const {
    const std::int64_t r = config_.rank;
    pool.parallel_for(static_cast<std::int64_t>(sites_.size()), [&](std::int64_t i) {
      const auto& site = sites_[static_cast<std::size_t>(i)];
      S* const b = scratch<S, 5>(site.out * r);
      std::copy_n(adapters + site.b, site.out * r, b);
      scaled(b, site.out * r);
      std::copy_n(base + site.weight, site.out * site.in, weights + site.weight);
      product<S>(matrix<S>(b, site.out, r), matrix(adapters + site.a, r, site.in),
                 {weights + site.weight, site.out, site.in}, hence::update::accumulate);
    });
  }

  /// gradient += that of A and B. After `transformer::backward_activations` of the same batch.
  /// \param gradient `[size()]`: chains over the batch's tokens in their order, as the model's own.
  template <class Pool>
  void backward(Pool& pool, const S* adapters, const packed_batch& batch, const activations<S>& act,
                S* gradient) const {
    const std::int64_t r = config_.rank, rows = batch.size();
    pool.parallel_for(static_cast<std::int64_t>(sites_.size()), [&](std::int64_t i) {
      const auto& site = sites_[static_cast<std::size_t>(i)];
      const auto& layer = act.layers[site.layer];
      const S* const from =
          (site.dy == nullptr ? act.d_stream[site.layer + 1] : layer.*site.dy) + site.column;
      hence::view<const S, 2> dy = matrix(from, rows, site.out);
      dy.stride[0] = site.stride;
      const auto x = matrix<S>(layer.*site.x, rows, site.in);
      S* const u = scratch<S, 5>(rows * r);
      product<S>(x, hence::transposed(matrix(adapters + site.a, r, site.in)), {u, rows, r},
                 hence::update::overwrite);
      scaled(u, rows * r);
      product<S>(hence::transposed(dy), matrix<S>(u, rows, r), {gradient + site.b, site.out, r},
                 hence::update::accumulate);
      product<S>(dy, matrix(adapters + site.b, site.out, r), {u, rows, r},
                 hence::update::overwrite);
      scaled(u, rows * r);
      product<S>(hence::transposed(matrix<S>(u, rows, r)), x, {gradient + site.a, r, site.in},
                 hence::update::accumulate);
    });
  }

 private:
  /// x *= alpha / rank, one rounding each.
  void scaled(S* x, std::int64_t n) const {
    for (std::int64_t i = 0; i < n; ++i) x[i] *= scale_;
  }

  lora_config config_;
  S scale_ = 1;
  arena_layout layout_;
  std::vector<lora_site<S>> sites_;
};

}  // namespace lm
