// Pretrained weights: what a tiny GGUF file holds is what the model computes with.
#include "lm/pretrained.hpp"

#include "gguf_writer.hpp"
#include "lm/rope.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>

namespace {

constexpr std::int64_t width = 12, heads = 4, kv_heads = 2, head = 6, ff = 10, vocabulary = 7;

struct tiny {
  gguf_writer::entries metadata{
      {"general.architecture", std::string("llama")},
      {"llama.block_count", std::uint32_t{2}},
      {"llama.context_length", std::uint32_t{64}},
      {"llama.embedding_length", std::uint32_t{width}},
      {"llama.feed_forward_length", std::uint32_t{ff}},
      {"llama.attention.head_count", std::uint32_t{heads}},
      {"llama.attention.head_count_kv", std::uint32_t{kv_heads}},
      {"llama.attention.key_length", std::uint32_t{head}},
      {"llama.rope.freq_base", 500.0f},
      {"llama.attention.layer_norm_rms_epsilon", 0.125f},
  };
  std::vector<gguf_writer::tensor> tensors;
  std::mt19937 random{3};

  std::vector<float> add(const std::string& name, std::vector<std::int64_t> shape) {
    std::int64_t n = 1;
    for (const auto extent : shape) n *= extent;
    std::vector<float> x(static_cast<std::size_t>(n));
    for (float& v : x) v = static_cast<float>(random() % 2001) / 1000 - 1;
    tensors.push_back({name, std::move(shape), 0, gguf_writer::raw(x)});
    return x;
  }
  explicit tiny(bool tied) {
    add("token_embd.weight", {vocabulary, width});
    for (const std::string at : {"blk.0.", "blk.1."}) {
      add(at + "attn_norm.weight", {width});
      add(at + "ffn_down.weight", {width, ff});
      add(at + "ffn_gate.weight", {ff, width});
      add(at + "ffn_up.weight", {ff, width});
      add(at + "ffn_norm.weight", {width});
      add(at + "attn_k.weight", {kv_heads * head, width});
      add(at + "attn_output.weight", {width, heads * head});
      add(at + "attn_q.weight", {heads * head, width});
      add(at + "attn_v.weight", {kv_heads * head, width});
    }
    if (!tied) add("output.weight", {vocabulary, width});
    add("output_norm.weight", {width});
  }
  gguf_writer::tensor& find(const std::string& name) {
    for (auto& t : tensors)
      if (t.name == name) return t;
    throw std::logic_error(name);
  }
  /// A tensor's numbers as the file has them.
  std::vector<float> numbers(const std::string& name) {
    const auto& data = find(name).data;
    std::vector<float> x(data.size() / 4);
    std::memcpy(x.data(), data.data(), data.size());
    return x;
  }
  void put(const std::string& key, lm::gguf_value value) {
    for (auto& [name, old] : metadata)
      if (name == key) {
        old = std::move(value);
        return;
      }
    metadata.emplace_back(key, std::move(value));
  }
  std::string refusal() const {
    const auto bytes = gguf_writer::file_of(metadata, tensors);
    try {
      const auto file = lm::parse_gguf(bytes);
      const auto c = lm::config_of(file, 50);
      const lm::model_parameters parameters(c);
      try {
        lm::load_weights(file, c, parameters);
      } catch (const std::runtime_error& e) {
        return std::string("weights: ") + e.what();  // too late for all but the numbers
      }
    } catch (const std::runtime_error& e) {
      return e.what();
    }
    return "";
  }
};

}  // namespace

TEST_CASE("sizes and weights are the file's") {
  for (const bool tied : {true, false}) {
    tiny t(tied);
    const auto bytes = gguf_writer::file_of(t.metadata, t.tensors);
    const auto file = lm::parse_gguf(bytes);
    const auto c = lm::config_of(file, 50);
    CHECK(c.vocabulary == vocabulary);
    CHECK(c.width == width);
    CHECK(c.layers == 2);
    CHECK(c.heads == heads);
    CHECK(c.kv_heads == kv_heads);
    CHECK(c.head == head);
    CHECK(c.ff == ff);
    CHECK(c.longest == 50);
    CHECK(lm::config_of(file, 1000).longest == 64);
    CHECK(c.rope_base == 500);
    CHECK(c.norm_eps == 0.125);
    CHECK(c.tied == tied);
    CHECK(c.place == lm::positions::rotary);

    const lm::model_parameters parameters(c);
    const auto weights = lm::load_weights(file, c, parameters);
    REQUIRE(weights.size() == parameters.layout.size());
    const auto loaded = [&](const std::string& name) {
      const auto& p = parameters.layout.find(name);
      return std::vector<float>(weights.data() + p.first, weights.data() + p.first + p.size);
    };
    CHECK(loaded("model.embed_tokens.weight") == t.numbers("token_embd.weight"));
    CHECK(loaded("model.norm.weight") == t.numbers("output_norm.weight"));
    if (!tied) CHECK(loaded("lm_head.weight") == t.numbers("output.weight"));
    for (const std::string layer : {"0", "1"}) {
      const std::string ours = "model.layers." + layer + ".", theirs = "blk." + layer + ".";
      for (const auto& [a, b] : std::vector<std::pair<std::string, std::string>>{
               {"input_layernorm", "attn_norm"},
               {"self_attn.v_proj", "attn_v"},
               {"self_attn.o_proj", "attn_output"},
               {"post_attention_layernorm", "ffn_norm"},
               {"mlp.gate_proj", "ffn_gate"},
               {"mlp.up_proj", "ffn_up"},
               {"mlp.down_proj", "ffn_down"}})
        CHECK(loaded(ours + a + ".weight") == t.numbers(theirs + b + ".weight"));
    }
  }
}

TEST_CASE("q and k turned half a head apart score as the file's turned side by side") {
  tiny t(true);
  const auto bytes = gguf_writer::file_of(t.metadata, t.tensors);
  const auto file = lm::parse_gguf(bytes);
  const auto c = lm::config_of(file, 50);
  const lm::model_parameters parameters(c);
  const auto weights = lm::load_weights(file, c, parameters);
  const lm::rope<double> turn(head, 50, 500);
  std::mt19937 random(5);
  std::vector<double> x(width);
  for (double& v : x) v = static_cast<double>(random() % 200) / 100 - 1;

  // llama.cpp's formula: the pair (2 i, 2 i + 1) is turned by position / base^(2 i / head)
  const auto theirs = [&](const std::string& name, std::int64_t h, int position) {
    const auto w = t.numbers(name);
    std::vector<double> y(head), z(head);
    for (std::int64_t r = 0; r < head; ++r)
      for (std::int64_t k = 0; k < width; ++k)
        y[static_cast<std::size_t>(r)] +=
            static_cast<double>(w[static_cast<std::size_t>((h * head + r) * width + k)]) *
            x[static_cast<std::size_t>(k)];
    for (std::size_t i = 0; i < head / 2; ++i) {
      const double angle = position * std::pow(500.0, -2.0 * static_cast<double>(i) / head);
      z[2 * i] = y[2 * i] * std::cos(angle) - y[2 * i + 1] * std::sin(angle);
      z[2 * i + 1] = y[2 * i] * std::sin(angle) + y[2 * i + 1] * std::cos(angle);
    }
    return z;
  };
  const auto ours = [&](const std::string& name, std::int64_t h, int position) {
    const float* w = weights.data() + parameters.layout.find(name).first + h * head * width;
    std::vector<double> y(head);
    for (std::int64_t r = 0; r < head; ++r)
      for (std::int64_t k = 0; k < width; ++k)
        y[static_cast<std::size_t>(r)] +=
            static_cast<double>(w[r * width + k]) * x[static_cast<std::size_t>(k)];
    turn.apply(y.data(), 1, position, 1);
    return y;
  };
  const auto dot = [](const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
  };
  for (const std::string layer : {"0", "1"})
    for (std::int64_t h = 0; h < heads; ++h) {
      const std::string own = "model.layers." + layer + ".self_attn.", gguf = "blk." + layer + ".";
      const double a =
          dot(theirs(gguf + "attn_q.weight", h, 41), theirs(gguf + "attn_k.weight", h / 2, 17));
      const double b =
          dot(ours(own + "q_proj.weight", h, 41), ours(own + "k_proj.weight", h / 2, 17));
      CHECK(a == doctest::Approx(b).epsilon(1e-12));
      CHECK(std::abs(a) > 1e-3);
    }
}

TEST_CASE("a file that is no such model is refused") {
  using change = void (*)(tiny&);
  struct trial {
    const char* said;
    change change_it;
  };
  CHECK(tiny(true).refusal() == "");
  CHECK(tiny(false).refusal() == "");
  for (const auto& trial : {
           trial{"model: the architecture is \"mamba\", expected \"llama\"",
                 [](tiny& t) { t.put("general.architecture", std::string("mamba")); }},
           {"the GGUF file has no llama.block_count",
            [](tiny& t) { t.metadata.erase(t.metadata.begin() + 1); }},
           {"model: llama.block_count is 0, expected 1 to 4096",
            [](tiny& t) { t.put("llama.block_count", std::uint32_t{0}); }},
           {"model: llama.block_count is 100, more than there are tensors",
            [](tiny& t) { t.put("llama.block_count", std::uint32_t{100}); }},
           {"model: the file has no tensor blk.2.attn_norm.weight",
            [](tiny& t) { t.put("llama.block_count", std::uint32_t{3}); }},
           {"model: has no use for the file's tensor \"blk.1.",
            [](tiny& t) { t.put("llama.block_count", std::uint32_t{1}); }},
           {"model: llama.embedding_length is 4294967295",
            [](tiny& t) { t.put("llama.embedding_length", ~std::uint32_t{0}); }},
           {"model: token_embd.weight is not [7, 13]",
            [](tiny& t) { t.put("llama.embedding_length", std::uint32_t{13}); }},
           {"model: blk.0.attn_q.weight is not [10000000, 12]",
            [](tiny& t) {
              t.put("llama.attention.head_count", std::uint32_t{1000000});
              t.put("llama.attention.key_length", std::uint32_t{10});
            }},
           {"model: llama.attention.key_length is 524288, expected 1 to 4096",
            [](tiny& t) { t.put("llama.attention.key_length", std::uint32_t{1 << 19}); }},
           {"model: a head is 8388608 wide, expected at most 4096",
            [](tiny& t) {
              t.metadata.erase(t.metadata.begin() + 7);  // key_length
              t.put("llama.attention.head_count", std::uint32_t{1});
              t.put("llama.attention.head_count_kv", std::uint32_t{1});
              t.put("llama.embedding_length", std::uint32_t{1 << 23});
            }},
           {"model: heads is 4, expected a multiple of kv_heads, which is 3",
            [](tiny& t) { t.put("llama.attention.head_count_kv", std::uint32_t{3}); }},
           {"model: the file's blk.0.attn_k.weight has another shape",
            [](tiny& t) { t.put("llama.attention.head_count_kv", std::uint32_t{4}); }},
           {"model: scaled positions are not supported",
            [](tiny& t) { t.put("llama.rope.scaling.type", std::string("linear")); }},
           {"model: scaled positions are not supported",
            [](tiny& t) { t.put("llama.rope.scaling.factor", 4.0f); }},
           {"model: scaled positions are not supported",  // what older files call it
            [](tiny& t) { t.put("llama.rope.scale_linear", 2.0f); }},
           {"model: scaled positions are not supported",
            [](tiny& t) {
              t.put("llama.rope.scaling.factor", std::numeric_limits<float>::quiet_NaN());
            }},
           {"model: a rotation of a part of the head",
            [](tiny& t) { t.put("llama.rope.dimension_count", std::uint32_t{4}); }},
           {"model: keys and values of different widths",
            [](tiny& t) { t.put("llama.attention.value_length", std::uint32_t{4}); }},
           {"model: the experts of this architecture",
            [](tiny& t) { t.put("llama.expert_count", std::uint32_t{4}); }},
           {"model: rope.freq_base is nan",
            [](tiny& t) {
              t.put("llama.rope.freq_base", std::numeric_limits<float>::quiet_NaN());
            }},
           {"model: has no use for the file's tensor \"blk.0.attn_q.bias\"",
            [](tiny& t) { t.add("blk.0.attn_q.bias", {heads * head}); }},
           {"weights: model: the file's blk.1.ffn_up.weight has an element that is not finite",
            [](tiny& t) {
              auto x = t.numbers("blk.1.ffn_up.weight");
              x[17] = std::numeric_limits<float>::infinity();
              t.find("blk.1.ffn_up.weight").data = gguf_writer::raw(x);
            }},
       }) {
    tiny t(true);
    trial.change_it(t);
    CAPTURE(trial.said);
    CHECK(t.refusal().starts_with(trial.said));
  }
}

TEST_CASE("positions scaled by 1, by 0 for nothing or by no type are as they are") {
  for (const char* key : {"llama.rope.scaling.factor", "llama.rope.scale_linear"})
    for (const float factor : {0.0f, 1.0f}) {
      tiny t(true);
      t.put(key, factor);
      CHECK(t.refusal() == "");
    }
  tiny t(true);
  t.put("llama.rope.scaling.type", std::string("none"));
  t.put("llama.rope.scaling.factor", 4.0f);
  CHECK(t.refusal() == "");
}
