// A model in Hugging Face's layout: the same weights and tokens as its GGUF file, in every type and
// in shards; what is not supported, hostile or broken is refused by name.
#include "lm/model_file.hpp"
#include "lm/tokenizer.hpp"

#include "tiny_llama.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>

namespace {

using nlohmann::json;
using tiny_llama::folder;

constexpr std::int64_t width = 8, heads = 2, head = 4, ff = 6, layers = 2;

void write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

json config_json(std::int64_t vocabulary, bool tied) {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"attention_bias", false},
          {"bos_token_id", 0},
          {"eos_token_id", 1},
          {"hidden_act", "silu"},
          {"hidden_size", width},
          {"intermediate_size", ff},
          {"is_llama_config", true},
          {"max_position_embeddings", 128},
          {"mlp_bias", false},
          {"model_type", "llama"},
          {"num_attention_heads", heads},
          {"num_hidden_layers", layers},
          {"num_key_value_heads", 1},
          {"pretraining_tp", 1},
          {"rms_norm_eps", 1e-5},
          {"rope_scaling", nullptr},
          {"rope_theta", 100000},
          {"tie_word_embeddings", tied},
          {"torch_dtype", "bfloat16"},
          {"vocab_size", vocabulary}};
}

json tokenizer_json() {
  json vocab;
  std::int64_t n = 0;
  for (const char* s : {"<|im_start|>", "<|im_end|>", "\xc4\x8a", "\xc4\xa0"}) vocab[s] = n++;
  for (char c = '!'; c <= '~'; ++c) vocab[std::string{c}] = n++;
  for (const char* s : {"as",
                        "\xc4\xa0"
                        "as",
                        "12"})
    vocab[s] = n++;
  json added = json::array();
  for (const char* s : {"<|im_start|>", "<|im_end|>"})
    added.push_back({{"id", vocab[s]}, {"content", s}, {"special", true}, {"lstrip", false}});
  added.push_back({{"id", n}, {"content", "<new>"}, {"normalized", false}});
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"added_tokens", added},
          {"normalizer", nullptr},
          {"pre_tokenizer",
           {{"type", "Sequence"},
            {"pretokenizers",
             {{{"type", "Digits"}, {"individual_digits", true}},
              {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}}}}},
          {"post_processor", nullptr},
          {"decoder", {{"type", "ByteLevel"}, {"add_prefix_space", true}}},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"vocab", vocab},
            {"merges", {"a s", json::array({"\xc4\xa0", "as"}), "1 2"}}}}};
}

/// Tensors of a tiny Llama that every type holds exactly.
struct tiny {
  bool tied;
  std::int64_t vocabulary = 102;
  std::vector<std::pair<std::string, std::vector<std::int64_t>>> shapes;
  std::map<std::string, std::vector<float>> numbers;

  explicit tiny(bool is_tied) : tied(is_tied) {
    std::mt19937 random(5);
    const auto add = [&](const std::string& name, std::vector<std::int64_t> shape) {
      std::int64_t n = 1;
      for (const auto extent : shape) n *= extent;
      auto& x = numbers[name];
      for (std::int64_t i = 0; i < n; ++i) x.push_back(static_cast<float>(random() % 255) / 64 - 2);
      shapes.emplace_back(name, std::move(shape));
    };
    add("model.embed_tokens.weight", {vocabulary, width});
    for (std::int64_t l = 0; l < layers; ++l) {
      const std::string at = "model.layers." + std::to_string(l) + ".";
      add(at + "input_layernorm.weight", {width});
      add(at + "post_attention_layernorm.weight", {width});
      add(at + "self_attn.q_proj.weight", {heads * head, width});
      add(at + "self_attn.k_proj.weight", {head, width});
      add(at + "self_attn.v_proj.weight", {head, width});
      add(at + "self_attn.o_proj.weight", {width, heads * head});
      add(at + "mlp.gate_proj.weight", {ff, width});
      add(at + "mlp.up_proj.weight", {ff, width});
      add(at + "mlp.down_proj.weight", {width, ff});
    }
    add("model.norm.weight", {width});
    if (!tied) add("lm_head.weight", {vocabulary, width});
  }

  /// A safetensors file of those that `wanted` takes. \param type F32, F16, BF16.
  std::string bytes(const std::string& type,
                    const std::function<bool(const std::string&)>& wanted = nullptr) const {
    json header = {{"__metadata__", {{"format", "pt"}}}};
    std::string data;
    for (const auto& [name, shape] : shapes) {
      if (wanted && !wanted(name)) continue;
      const std::size_t begin = data.size();
      for (const float x : numbers.at(name)) {
        const auto word = std::bit_cast<std::uint32_t>(x);
        std::uint32_t bits = word;
        int size = 4;
        if (type == "BF16") bits = word >> 16, size = 2;
        if (type == "F16") {
          const std::uint32_t exponent = word >> 23 & 255;
          bits = word >> 31 << 15 | (x == 0 ? 0 : (exponent - 112) << 10 | (word >> 13 & 1023));
          size = 2;
        }
        for (int i = 0; i < size; ++i) data += static_cast<char>(bits >> 8 * i);
      }
      header[name] = {{"dtype", type}, {"shape", shape}, {"data_offsets", {begin, data.size()}}};
    }
    const std::string text = header.dump();
    std::string length(8, '\0');
    for (std::size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(text.size() >> 8 * i);
    return length + text + data;
  }
  void write_to(const folder& f, const std::string& type) const {
    write(f.path + "/config.json", config_json(vocabulary, tied).dump());
    write(f.path + "/tokenizer.json", tokenizer_json().dump());
    write(f.path + "/model.safetensors", bytes(type));
  }
};

/// Each parameter of the loaded arena is the tensor of its name.
void check_weights(const tiny& t, const lm::model_file& file) {
  const auto c = file.config(64);
  const lm::model_parameters p(c);
  const auto weights = file.weights(c, p);
  CHECK(p.layout.parameters().size() == t.shapes.size());
  for (const auto& x : p.layout.parameters()) {
    CAPTURE(x.name);
    CHECK(std::ranges::equal(std::span(weights.data() + x.first, static_cast<std::size_t>(x.size)),
                             t.numbers.at(x.name)));
  }
}

/// What a call refuses.
template <class F> std::string refused(const F& f) {
  try {
    f();
  } catch (const std::runtime_error& e) {
    return e.what();
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "accepted";
}

lm::hugging_face_model model_of(bool tied = true) {
  const folder f;
  tiny(tied).write_to(f, "F32");
  return lm::read_hugging_face(f.path);
}

}  // namespace

TEST_CASE("the tensors of F32, F16, BF16 and of shards are the parameters of their names") {
  for (const std::string type : {"F32", "F16", "BF16"})
    for (const bool tied : {true, false}) {
      CAPTURE(type);
      const folder f;
      const tiny t(tied);
      t.write_to(f, type);
      check_weights(t, lm::model_file(f.path));
      check_weights(t, lm::model_file(f.path + "/model.safetensors"));
    }
  const folder f;
  const tiny t(false);
  t.write_to(f, "F32");
  std::filesystem::remove(f.path + "/model.safetensors");
  json map;
  for (const int part : {0, 1}) {
    const auto wanted = [&](const std::string& name) {
      return (name.find("layers.1") != name.npos) == (part == 1);
    };
    const std::string name = "model-0000" + std::to_string(part + 1) + "-of-00002.safetensors";
    write(f.path + "/" + name, t.bytes("BF16", wanted));
    for (const auto& [tensor, shape] : t.shapes)
      if (wanted(tensor)) map[tensor] = name;
  }
  const std::string index = f.path + "/model.safetensors.index.json";
  const auto put = [&](const json& weight_map) {
    write(index, json{{"metadata", {{"total_size", 1}}}, {"weight_map", weight_map}}.dump());
  };
  put(map);
  check_weights(t, lm::model_file(f.path));
  const auto error = [&](const std::string& tensor, const json& file) {
    json changed = map;
    changed[tensor] = file;
    put(changed);
    return refused([&] { lm::model_file{f.path}; });
  };
  CHECK(error("model.norm.weight", "../a.safetensors")
            .ends_with("expected a safetensors file of the folder"));
  CHECK(error("model.norm.weight", "/etc/passwd")
            .ends_with("expected a safetensors file of the folder"));
  CHECK(error("model.norm.weight", 3).ends_with("expected a safetensors file of the folder"));
  CHECK(error("x", "none.safetensors").find("cannot be opened") != std::string::npos);
  CHECK(error("x", "model-00002-of-00002.safetensors").find("does not hold it") !=
        std::string::npos);
  json less = map;
  less.erase("model.norm.weight");
  put(less);
  CHECK(refused([&] { lm::model_file{f.path}; }).find("does not place \"model.norm.weight\"") !=
        std::string::npos);
  put(json::object());
  CHECK(refused([&] { lm::model_file{f.path}; }).ends_with("has no weight_map"));
}

TEST_CASE("a GGUF file of the same model has the same weights: its rows of q and k are in pairs") {
  const folder f;
  const tiny t(true);
  t.write_to(f, "F32");
  std::vector<gguf_writer::tensor> tensors;
  for (const auto& [name, shape] : t.shapes) {
    std::string other = name;
    for (const auto& [ours, theirs] :
         std::vector<std::pair<std::string, std::string>>{{"model.embed_tokens", "token_embd"},
                                                          {"model.norm", "output_norm"},
                                                          {"model.layers", "blk"},
                                                          {"input_layernorm", "attn_norm"},
                                                          {"post_attention_layernorm", "ffn_norm"},
                                                          {"self_attn.q_proj", "attn_q"},
                                                          {"self_attn.k_proj", "attn_k"},
                                                          {"self_attn.v_proj", "attn_v"},
                                                          {"self_attn.o_proj", "attn_output"},
                                                          {"mlp.gate_proj", "ffn_gate"},
                                                          {"mlp.up_proj", "ffn_up"},
                                                          {"mlp.down_proj", "ffn_down"}})
      if (const auto at = other.find(ours); at != other.npos)
        other.replace(at, ours.size(), theirs);
    auto x = t.numbers.at(name);
    if (other.find("attn_q.") != other.npos || other.find("attn_k.") != other.npos) {
      // llama.cpp's conversion: reshape(heads, 2, head / 2, width).swapaxes(1, 2)
      const auto from = x;
      for (std::int64_t r = 0; r < shape[0]; ++r) {
        const std::int64_t within = r % head,
                           to = r - within + within % (head / 2) * 2 + within / (head / 2);
        std::copy_n(from.begin() + r * width, width, x.begin() + to * width);
      }
    }
    tensors.push_back({other, shape, 0, gguf_writer::raw(x)});
  }
  const gguf_writer::entries entries{{"general.architecture", std::string("llama")},
                                     {"llama.block_count", std::uint32_t{layers}},
                                     {"llama.context_length", std::uint32_t{128}},
                                     {"llama.embedding_length", std::uint32_t{width}},
                                     {"llama.feed_forward_length", std::uint32_t{ff}},
                                     {"llama.attention.head_count", std::uint32_t{heads}},
                                     {"llama.attention.head_count_kv", std::uint32_t{1}},
                                     {"llama.rope.freq_base", 100000.0f},
                                     {"llama.attention.layer_norm_rms_epsilon", 1e-5f}};
  write(f.path + "/tiny.gguf", gguf_writer::file_of(entries, tensors).s);
  const lm::model_file gguf(f.path + "/tiny.gguf");
  check_weights(t, gguf);
  const auto a = gguf.config(64), b = lm::model_file(f.path).config(64);
  CHECK(a.vocabulary == b.vocabulary);
  CHECK((a.width == b.width && a.layers == b.layers && a.heads == b.heads && a.head == b.head));
  CHECK((a.kv_heads == b.kv_heads && a.ff == b.ff && a.longest == b.longest && a.tied == b.tied));
  CHECK(a.rope_base == b.rope_base);
  CHECK(a.norm_eps == doctest::Approx(b.norm_eps));
}

TEST_CASE("what this program does not compute is refused by its name in config.json") {
  auto model = model_of();
  const json good = model.config;
  CHECK(refused([&] { lm::config_of(model, 64); }) == "accepted");
  const auto error = [&](const char* name, json value) {
    model.config = good;
    model.config[name] = std::move(value);
    return refused([&] { lm::config_of(model, 64); });
  };
  CHECK(error("model_type", "gemma") == "config.json: model_type is \"gemma\", expected \"llama\"");
  for (const auto& [name, value] : std::vector<std::pair<const char*, json>>{
           {"architectures", {"MistralForCausalLM"}},
           {"hidden_act", "gelu"},
           {"rope_scaling", {{"rope_type", "llama3"}, {"factor", 8}}},
           {"rope_scaling", {{"type", "linear"}}},
           {"partial_rotary_factor", 0.5},
           {"rope_interleaved", true},
           {"attention_bias", true},
           {"mlp_bias", true},
           {"quantization_config", {{"bits", 4}}},
           {"sliding_window", 4096}}) {
    const auto text = error(name, value);
    CAPTURE(text);
    CHECK(text.starts_with("config.json: " + std::string(name) + " is "));
    CHECK(text.ends_with(", which is not supported"));
  }
  CHECK(error("rope_parameters", {{"rope_type", "yarn"}, {"rope_theta", 1e4}}) ==
        "config.json: rope_parameters has rope_type = \"yarn\", which is not supported");
  CHECK(error("rope_parameters", {{"rope_type", "default"}, {"rope_theta", 1e4}}) == "accepted");
  CHECK(lm::config_of(model, 64).rope_base == 1e4);
  // sizes that are none, absurd, or not those of the tensors
  for (const char* name : {"hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size",
                           "num_key_value_heads", "intermediate_size", "max_position_embeddings"})
    for (const json& value :
         {json(0), json(-1), json(1e30), json("8"), json(std::uint64_t{1} << 63),
          json(std::int64_t{1} << 40), json(2.5), json::array()}) {
      CAPTURE(value.dump());
      CHECK(error(name, value).starts_with("config.json: " + std::string(name) + " is "));
    }
  CHECK(error("hidden_size", 16).find("has another shape than config.json says") !=
        std::string::npos);
  CHECK(error("vocab_size", 103).find("model.embed_tokens.weight has another shape") !=
        std::string::npos);
  CHECK(error("num_hidden_layers", 3) ==
        "model: there is no tensor model.layers.2.input_layernorm.weight");
  CHECK(error("num_hidden_layers", 4096).find("more than there are tensors") != std::string::npos);
  CHECK(error("num_hidden_layers", 1).find("has no use for the file's tensor \"model.layers.1") !=
        std::string::npos);
  CHECK(error("tie_word_embeddings", false) == "model: there is no tensor lm_head.weight");
  CHECK(error("tie_word_embeddings", 1).find("expected true or false") != std::string::npos);
  CHECK(error("rms_norm_eps", 0) == "config.json: rms_norm_eps is 0");
  CHECK(error("rope_theta", "x") == "config.json: rope_theta is \"x\"");
  CHECK(error("head_dim", 5000) == "config.json: head_dim is 5000, expected 1 to 4096");
  CHECK(error("head_dim", 5) == "config.json: model: head is 5, expected an even number");
  CHECK(error("num_key_value_heads", 3).find("expected a multiple of kv_heads") !=
        std::string::npos);

  model.config = good;
  CHECK(lm::end_of(model) == 1);
  for (const json& value : {json(102), json(-1), json::array({1, 2}), json(nullptr), json("1")}) {
    model.config["eos_token_id"] = value;
    CHECK(refused([&] { lm::end_of(model); }).find("expected one token") != std::string::npos);
  }
  model.config = good;
  const auto untied = model_of(false);
  CHECK(lm::config_of(untied, 64).tied == false);
  model.shards[0].storage[3] = std::numeric_limits<float>::infinity();
  const auto c = lm::config_of(model, 64);
  CHECK(refused([&] {
          lm::load_weights(model, c, lm::model_parameters(c));
        }).ends_with("has an element that is not finite"));
}

TEST_CASE("tokens are those of the vocabulary in tokenizer.json") {
  auto model = model_of();
  const json good = model.tokenizer;
  const lm::encode_rule rule{lm::control_text::recognised, lm::lost_byte::refused};
  const lm::tokenizer smollm(lm::vocabulary_of(model));
  CHECK(smollm.size() == 102);
  const auto texts = [&](const lm::tokenizer& t, const std::string& text) {
    std::vector<std::string> all;
    for (const auto id : t.encode(text, rule)) all.push_back(t.decode(std::vector{id}));
    return all;
  };
  using strings = std::vector<std::string>;
  CHECK(texts(smollm, "as as12<|im_end|>\n<new>") ==
        strings{"as", " as", "1", "2", "<|im_end|>", "\n", "<new>"});
  CHECK(smollm.control("<|im_end|>") == 1);
  CHECK(smollm.control("<new>") == 101);
  model.tokenizer["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  CHECK(texts(lm::tokenizer(lm::vocabulary_of(model)), "as as12") == strings{"as", " as", "12"});

  const auto error = [&](const std::string& pointer, const json& value) {
    model.tokenizer = good;
    model.tokenizer[json::json_pointer(pointer)] = value;
    return refused([&] { lm::tokenizer{lm::vocabulary_of(model)}; });
  };
  const std::string no = ", which is not supported";
  CHECK(error("/normalizer", {{"type", "NFC"}}) ==
        "tokenizer.json: normalizer is {\"type\":\"NFC\"}" + no);
  CHECK(error("/post_processor", {{"type", "TemplateProcessing"}}).ends_with(no));
  CHECK(error("/decoder", {{"type", "Metaspace"}}).ends_with(no));
  CHECK(error("/truncation", {{"max_length", 3}}).ends_with(no));
  CHECK(error("/model/type", "Unigram") ==
        "tokenizer.json: model.type is \"Unigram\", expected \"BPE\"");
  CHECK(error("/model/byte_fallback", true) == "tokenizer.json: model.byte_fallback is true" + no);
  CHECK(error("/model/ignore_merges", true).ends_with(no));
  CHECK(error("/model/dropout", 0.1).ends_with(no));
  CHECK(error("/model/continuing_subword_prefix", "##").ends_with(no));
  CHECK(error("/pre_tokenizer", {{"type", "Split"}})
            .starts_with("tokenizer.json: pre_tokenizer is {\"type\":\"Split\"}, expected"));
  CHECK(
      error("/pre_tokenizer/pretokenizers/0/individual_digits", false).find("expected ByteLevel") !=
      std::string::npos);
  CHECK(error("/pre_tokenizer/pretokenizers/1/add_prefix_space", true).find("add_prefix_space") !=
        std::string::npos);
  CHECK(error("/pre_tokenizer/pretokenizers/1/use_regex", false).ends_with(no));
  CHECK(error("/added_tokens/0/lstrip", true) ==
        "tokenizer.json: \"<|im_start|>\".lstrip is true" + no);
  CHECK(error("/added_tokens/0/id", 5u).find("is that of") != std::string::npos);
  CHECK(error("/added_tokens/2/id", 1000000000u).find("expected 0 to") != std::string::npos);
  CHECK(error("/added_tokens/2/id", 102u) == "tokenizer.json: there is no token of the id 101");
  CHECK(error("/added_tokens/2/content", "<|im_end|>").find("twice") != std::string::npos);
  CHECK(error("/model/vocab/a", 7u).find("is that of") != std::string::npos);
  CHECK(error("/model/vocab/a", "7").find("expected 0 to") != std::string::npos);
  CHECK(error("/model/vocab/a", -1).find("expected 0 to") != std::string::npos);
  CHECK(error("/model/vocab", 7).find("are not an object and two arrays") != std::string::npos);
  CHECK(error("/model/merges/0", "a").find("is no pair") != std::string::npos);
  CHECK(error("/model/merges/0", json::array({"a", 1})).find("expected a pair") !=
        std::string::npos);
  CHECK(error("/model/merges/0", "a qq").find("is no token") != std::string::npos);
  CHECK(error("/model/merges/2", "a s").find("is there twice") != std::string::npos);
}

TEST_CASE("a hostile folder is refused or read as what its bytes say") {
  CHECK(refused([] { lm::parse_strange_json(R"({"a":{"b":1,"b":2}})"); }) == "names \"b\" twice");
  CHECK(refused([] { lm::parse_strange_json(R"({"a":[{"b":1},{"b":2}]})"); }) == "accepted");
  CHECK(refused([] { lm::parse_strange_json(std::string(100000, '[')); }) ==
        "has more than 16 levels");
  CHECK(refused([] { lm::parse_strange_json("{\"a\":1e999}"); }).starts_with("is no JSON"));
  CHECK(refused([] { lm::parse_strange_json("\xff"); }).starts_with("is no JSON"));

  const auto model = model_of();
  const std::string config = model.config.dump();
  auto broken = lm::hugging_face_model{{}, model.tokenizer, {}};
  int refusals = 0;
  const auto opens = [&](const std::string& text) {
    return refused([&] {
      auto j = lm::parse_strange_json(text);
      if (!j.is_object()) throw std::runtime_error("no object");
      broken.config = std::move(j);
      lm::config_of(broken, 64);
      lm::end_of(broken);
    });
  };
  broken.shards.emplace_back();
  for (const auto& [name, t] : model.shards[0].tensors) broken.shards[0].tensors[name] = t;
  CHECK(opens(config) == "accepted");
  for (std::size_t n = 0; n < config.size(); ++n) CHECK(opens(config.substr(0, n)) != "accepted");
  for (std::size_t i = 0; i < 8 * config.size(); i += 3) {
    std::string flipped = config;
    flipped[i / 8] = static_cast<char>(flipped[i / 8] ^ 1 << i % 8);
    refusals += opens(flipped) != "accepted";
  }
  CHECK(refusals > static_cast<int>(config.size()));

  const folder f;
  const tiny t(true);
  const std::string bytes = t.bytes("BF16");
  t.write_to(f, "BF16");
  for (std::size_t n = 0; n < bytes.size(); n += 211) {
    write(f.path + "/model.safetensors", bytes.substr(0, n));
    CHECK(refused([&] { lm::model_file{f.path}; }) != "accepted");
  }
  write(f.path + "/model.safetensors", bytes);
  for (const char* name : {"config.json", "tokenizer.json", "model.safetensors"}) {
    std::filesystem::rename(f.path + "/" + name, f.path + "/gone");
    CHECK(refused([&] { lm::model_file{f.path}; }).find(std::string(name) + ": cannot be opened") !=
          std::string::npos);
    std::filesystem::rename(f.path + "/gone", f.path + "/" + name);
  }
  CHECK(refused([&] {
          lm::model_file{f.path + "/other.safetensors"};
        }).find("other.safetensors: cannot be opened") != std::string::npos);
  write(f.path + "/config.json", "[]");
  CHECK(refused([&] { lm::model_file{f.path}; }).ends_with("config.json: holds no object"));
}
