#include "pretrained.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_map>

namespace lm {
namespace {

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error("model: " + what); }

/// GGUF's name of a parameter.
std::string name_of(const std::string& ours) {
  static const std::unordered_map<std::string, std::string> whole{
      {"model.embed_tokens.weight", "token_embd.weight"},
      {"model.norm.weight", "output_norm.weight"},
      {"lm_head.weight", "output.weight"}};
  static const std::unordered_map<std::string, std::string> of_layer{
      {"input_layernorm", "attn_norm"},    {"self_attn.q_proj", "attn_q"},
      {"self_attn.k_proj", "attn_k"},      {"self_attn.v_proj", "attn_v"},
      {"self_attn.o_proj", "attn_output"}, {"post_attention_layernorm", "ffn_norm"},
      {"mlp.gate_proj", "ffn_gate"},       {"mlp.up_proj", "ffn_up"},
      {"mlp.down_proj", "ffn_down"}};
  if (const auto it = whole.find(ours); it != whole.end()) return it->second;
  const std::string prefix = "model.layers.", suffix = ".weight";
  const std::size_t dot = ours.find('.', prefix.size());
  const auto part = ours.substr(dot + 1, ours.size() - suffix.size() - dot - 1);
  return "blk." + ours.substr(prefix.size(), dot - prefix.size()) + "." + of_layer.at(part) +
         suffix;
}

/// Within each head, row k half + i comes from row 2 i + k.
void separate_pairs(std::span<float> rows, std::int64_t head, std::int64_t width) {
  std::vector<float> pairs(static_cast<std::size_t>(head * width));
  for (float* x = rows.data(); x != rows.data() + rows.size(); x += head * width) {
    std::copy_n(x, head * width, pairs.data());
    for (std::int64_t r = 0; r < head; ++r)
      std::copy_n(pairs.data() + r * width, width, x + (r % 2 * (head / 2) + r / 2) * width);
  }
}

/// Each parameter with its tensor; throws unless they are one to one and of the same shapes.
std::vector<std::pair<const parameter*, const gguf_tensor*>> matched(
    const gguf_file& file, const model_parameters& parameters) {
  std::unordered_map<std::string, const gguf_tensor*> unused;
  for (const auto& t : file.tensors) unused[t.name] = &t;
  std::vector<std::pair<const parameter*, const gguf_tensor*>> pairs;
  for (const auto& p : parameters.layout.parameters()) {
    const std::string name = name_of(p.name);
    const auto it = unused.find(name);
    if (it == unused.end()) fail("the file has no tensor " + name);
    if (it->second->shape != p.shape)
      fail("the file's " + name + " has another shape than " + p.name);
    pairs.emplace_back(&p, it->second);
    unused.erase(it);
  }
  if (!unused.empty()) fail("has no use for the file's tensor " + printed(unused.begin()->first));
  return pairs;
}

}  // namespace

model_config config_of(const gguf_file& file, std::int64_t longest) {
  if (const auto& kind = file.text("general.architecture"); kind != "llama")
    fail("the architecture is " + printed(kind) + ", expected \"llama\"");
  const auto size = [&](const std::string& key, std::int64_t most) {
    const std::int64_t n = file.integer("llama." + key);
    if (n < 1 || n > most)
      fail("llama." + key + " is " + std::to_string(n) + ", expected 1 to " + std::to_string(most));
    return n;
  };
  // A head's width is a factor of the table of rotations, which no tensor's size bounds.
  constexpr std::int64_t wide = 1 << 24, widest_head = 4096;
  model_config c{.vocabulary = 0,
                 .width = size("embedding_length", wide),
                 .layers = size("block_count", 1 << 12),
                 .heads = size("attention.head_count", wide),
                 .kv_heads = 0,
                 .head = 0,
                 .ff = size("feed_forward_length", wide),
                 .longest = std::min(longest, size("context_length", wide))};
  const auto has = [&](const std::string& key) { return file.find("llama." + key) != nullptr; };
  c.kv_heads = has("attention.head_count_kv") ? size("attention.head_count_kv", wide) : c.heads;
  c.head =
      has("attention.key_length") ? size("attention.key_length", widest_head) : c.width / c.heads;
  if (c.head > widest_head)
    fail("a head is " + std::to_string(c.head) + " wide, expected at most " +
         std::to_string(widest_head));
  if (has("attention.value_length") && size("attention.value_length", wide) != c.head)
    fail("keys and values of different widths are not supported");
  if (has("rope.dimension_count") && size("rope.dimension_count", wide) != c.head)
    fail("a rotation of a part of the head is not supported");
  // without a type the factor alone says it; 0 stands for none
  bool is_scaled = false;
  if (has("rope.scaling.type")) {
    is_scaled = file.text("llama.rope.scaling.type") != "none";
  } else {
    for (const std::string key : {"rope.scaling.factor", "rope.scale_linear"})
      if (has(key)) {
        const double factor = file.real("llama." + key);
        is_scaled = is_scaled || !(factor == 0 || factor == 1);
      }
  }
  if (is_scaled) fail("scaled positions are not supported");
  if (has("expert_count") && file.integer("llama.expert_count") != 0)
    fail("the experts of this architecture are not supported");
  if (has("rope.freq_base")) c.rope_base = file.real("llama.rope.freq_base");
  c.norm_eps = file.real("llama.attention.layer_norm_rms_epsilon");
  if (!(c.rope_base > 1 && c.rope_base < 1e15) || !(c.norm_eps > 0 && c.norm_eps < 1))
    fail("rope.freq_base is " + std::to_string(c.rope_base) + " and the norm's epsilon " +
         std::to_string(c.norm_eps));
  c.vocabulary = file.tensor("token_embd.weight").shape[0];
  c.tied = std::none_of(file.tensors.begin(), file.tensors.end(),
                        [](const gguf_tensor& t) { return t.name == "output.weight"; });
  try {
    c.check();
  } catch (const std::invalid_argument& e) {
    throw std::runtime_error(e.what());  // of a file, as the others
  }
  // From here on no product of sizes is larger than the file.
  const auto demand = [&](const char* name, std::int64_t out, std::int64_t in) {
    const auto& shape = file.tensor(name).shape;
    if (shape != std::vector<std::int64_t>{out, in})
      fail(std::string(name) + " is not [" + std::to_string(out) + ", " + std::to_string(in) + "]");
  };
  demand("token_embd.weight", c.vocabulary, c.width);
  demand("blk.0.attn_q.weight", c.heads * c.head, c.width);
  demand("blk.0.ffn_gate.weight", c.ff, c.width);
  if (static_cast<std::size_t>(c.layers) > file.tensors.size())
    fail("llama.block_count is " + std::to_string(c.layers) + ", more than there are tensors");
  matched(file, model_parameters(c));
  return c;
}

aligned_array<float> load_weights(const gguf_file& file, const model_config& c,
                                  const model_parameters& parameters) {
  const auto pairs = matched(file, parameters);
  aligned_array<float> weights(parameters.layout.size());
  for (const auto& [p, t] : pairs) {
    const std::span<float> to(weights.data() + p->first, static_cast<std::size_t>(p->size));
    t->copy(to);
    if (!std::all_of(to.begin(), to.end(), [](float x) { return std::isfinite(x); }))
      fail("the file's " + t->name + " has an element that is not finite");
    if (t->name.ends_with("attn_q.weight") || t->name.ends_with("attn_k.weight"))
      separate_pairs(to, c.head, c.width);
  }
  return weights;
}

}  // namespace lm
