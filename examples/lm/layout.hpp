/// \file
/// Where a model's parameters lie in the arena, under the names of Hugging Face's Llama (and of
/// DeepSeek-V3 for the experts).
#pragma once

#include "arena.hpp"
#include "config.hpp"

namespace lm {

/// Indices of one layer's first elements.
struct layer_parameters {
  std::int64_t norm1 = 0, qkv = 0, out = 0, norm2 = 0;
  std::int64_t gate_up = 0, down = 0;  // dense
  std::int64_t router = 0, bias = 0, gates = 0, ups = 0,
               downs = 0;  // routed experts, [experts, ...]
  std::int64_t shared_gate_up = 0, shared_down = 0;
};

struct model_parameters {
  arena_layout layout;
  std::int64_t embedding = 0, place = -1, norm = 0, head = 0;
  std::vector<layer_parameters> layers;

  explicit model_parameters(const model_config& c) {
    c.check();
    const auto d = c.width;
    embedding = layout.add("model.embed_tokens.weight", {c.vocabulary, d});
    if (c.place == positions::learned)
      place = layout.add("model.embed_positions.weight", {c.longest, d});
    for (std::int64_t l = 0; l < c.layers; ++l) {
      const std::string at = "model.layers." + std::to_string(l) + ".";
      layer_parameters p;
      p.norm1 = layout.add(at + "input_layernorm.weight", {d});
      p.qkv = layout.add(at + "self_attn.q_proj.weight", {c.query_width(), d});
      layout.add(at + "self_attn.k_proj.weight", {c.kv_width(), d});
      layout.add(at + "self_attn.v_proj.weight", {c.kv_width(), d});
      p.out = layout.add(at + "self_attn.o_proj.weight", {d, c.query_width()});
      p.norm2 = layout.add(at + "post_attention_layernorm.weight", {d});
      if (!c.is_moe()) {
        p.gate_up = layout.add(at + "mlp.gate_proj.weight", {c.ff, d});
        layout.add(at + "mlp.up_proj.weight", {c.ff, d});
        p.down = layout.add(at + "mlp.down_proj.weight", {d, c.ff});
      } else {
        const auto& m = c.moe;
        p.router = layout.add(at + "mlp.gate.weight", {m.experts, d});
        p.bias = layout.add(at + "mlp.gate.e_score_correction_bias", {m.experts});
        p.gates = layout.add(at + "mlp.experts.gate_proj.weight", {m.experts, m.ff, d});
        p.ups = layout.add(at + "mlp.experts.up_proj.weight", {m.experts, m.ff, d});
        p.downs = layout.add(at + "mlp.experts.down_proj.weight", {m.experts, d, m.ff});
        if (m.shared_ff > 0) {
          p.shared_gate_up =
              layout.add(at + "mlp.shared_experts.gate_proj.weight", {m.shared_ff, d});
          layout.add(at + "mlp.shared_experts.up_proj.weight", {m.shared_ff, d});
          p.shared_down = layout.add(at + "mlp.shared_experts.down_proj.weight", {d, m.shared_ff});
        }
      }
      layers.push_back(p);
    }
    norm = layout.add("model.norm.weight", {d});
    head = c.tied ? embedding : layout.add("lm_head.weight", {c.vocabulary, d});
  }
};

}  // namespace lm
