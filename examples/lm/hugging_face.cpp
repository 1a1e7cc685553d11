#include "hugging_face.hpp"

#include "file_bytes.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

namespace lm {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what); }
[[noreturn]] void fail_config(const std::string& what) { fail("config.json: " + what); }

/// A value as an error shows it.
std::string shown(const json& j) {
  const std::string text = j.dump(-1, ' ', true, json::error_handler_t::replace);
  return text.size() <= 80 ? text : text.substr(0, 80) + "...";
}
/// The value of a name, or null where there is none.
const json& at(const json& j, const char* name) {
  static const json null;
  const auto it = j.find(name);
  return it == j.end() ? null : *it;
}

template <class F> auto named(const std::string& file, const F& f) {
  try {
    return f();
  } catch (const std::runtime_error& e) {
    fail(file + ": " + e.what());
  } catch (const std::bad_alloc&) {
    fail(file + ": there is no memory for what it holds");
  }
}

json read_json(const fs::path& path, bool is_demanded = true) {
  constexpr std::size_t longest = 100'000'000;
  if (!is_demanded && !fs::exists(path)) return {};
  return named(path.string(), [&] {
    std::error_code error;
    if (const auto size = fs::file_size(path, error); !error && size > longest)
      fail("has " + std::to_string(size) + " bytes, expected at most " + std::to_string(longest));
    const auto bytes = read_file(path.string(), [](std::span<const char>) {});
    auto j = parse_strange_json({bytes.data(), bytes.size()});
    if (!j.is_object()) fail("holds no object");
    return j;
  });
}

/// The shards that an index names, each with the tensors that the index says.
std::vector<tensor_file> read_shards(const fs::path& folder, const fs::path& path,
                                     const json& index) {
  const json& map = at(index, "weight_map");
  std::map<std::string, std::set<std::string>> names;
  if (!map.is_object() || map.empty()) fail(path.string() + ": has no weight_map");
  for (const auto& [tensor, file] : map.items()) {
    const auto* const name = file.get_ptr<const std::string*>();
    if (name == nullptr || !name->ends_with(".safetensors") ||
        name->find_first_of(std::string("/\\\0", 3)) != name->npos)
      fail(path.string() + ": places " + printed(tensor) + " in " + shown(file) +
           ", expected a safetensors file of the folder");
    names[*name].insert(tensor);
  }
  std::vector<tensor_file> shards;
  for (const auto& [name, tensors] : names) {
    shards.push_back(read_tensors((folder / name).string(), written_by::anybody));
    const auto& held = shards.back().tensors;
    for (const auto& t : tensors)
      if (!held.contains(t))
        fail(path.string() + ": places " + printed(t) + " in " + name + ", which does not hold it");
    for (const auto& [t, unused] : held)
      if (!tensors.contains(t))
        fail(path.string() + ": does not place " + printed(t) + ", which " + name + " holds");
  }
  return shards;
}

/// Each parameter's tensor; throws unless they are one to one and of the same shapes.
std::vector<const tensor*> matched(const hugging_face_model& model, const model_parameters& p) {
  const auto& parameters = p.layout.parameters();
  std::vector<const tensor*> found;
  std::set<std::string> names;
  for (const auto& x : parameters) {
    found.push_back(model.find(x.name));
    names.insert(x.name);
    if (found.back() == nullptr) fail("model: there is no tensor " + x.name);
    if (found.back()->shape != x.shape)
      fail("model: the file's " + x.name + " has another shape than config.json says");
  }
  for (const auto& shard : model.shards)
    for (const auto& [name, t] : shard.tensors)
      if (!names.contains(name)) fail("model: has no use for the file's tensor " + printed(name));
  return found;
}

}  // namespace

json parse_strange_json(std::string_view text) {
  constexpr int deepest = 16;
  std::vector<std::set<std::string>> open;  // names of each object that is not closed yet
  const auto watch = [&](int depth, json::parse_event_t event, json& value) {
    if (depth > deepest) fail("has more than " + std::to_string(deepest) + " levels");
    if (event == json::parse_event_t::object_start) open.emplace_back();
    if (event == json::parse_event_t::object_end) open.pop_back();
    if (event == json::parse_event_t::key) {
      const auto& name = value.get_ref<const std::string&>();
      if (!open.back().insert(name).second) fail("names " + printed(name) + " twice");
    }
    return true;
  };
  try {
    return json::parse(text.begin(), text.end(), watch);
  } catch (const json::exception&) {
    fail("is no JSON: it is truncated or corrupt");
  }
}

const tensor* hugging_face_model::find(const std::string& name) const {
  for (const auto& shard : shards)
    if (const auto it = shard.tensors.find(name); it != shard.tensors.end()) return &it->second;
  return nullptr;
}

std::size_t hugging_face_model::tensors() const {
  std::size_t n = 0;
  for (const auto& shard : shards) n += shard.tensors.size();
  return n;
}

hugging_face_model read_hugging_face(const std::string& path) {
  const bool is_folder = fs::is_directory(path);
  const fs::path folder = is_folder ? fs::path(path) : fs::path(path).parent_path();
  hugging_face_model model;
  model.config = read_json(folder / "config.json");
  model.tokenizer = read_json(folder / "tokenizer.json");
  const fs::path whole = is_folder ? folder / "model.safetensors" : fs::path(path);
  const fs::path index = folder / "model.safetensors.index.json";
  if (!is_folder || fs::exists(whole) || !fs::exists(index))
    model.shards.push_back(read_tensors(whole.string(), written_by::anybody));
  else
    model.shards = read_shards(folder, index, read_json(index));
  return model;
}

model_config config_of(const hugging_face_model& model, std::int64_t longest) {
  const json& j = model.config;
  if (const json& type = at(j, "model_type"); type != "llama")
    fail_config("model_type is " + shown(type) + ", expected \"llama\"");
  // what may be absent, and which values mean that there is nothing special
  const auto demand = [&](const char* name, std::initializer_list<json> plain) {
    const json& value = at(j, name);
    if (!value.is_null() && std::find(plain.begin(), plain.end(), value) == plain.end())
      fail_config(std::string(name) + " is " + shown(value) + ", which is not supported");
  };
  demand("architectures", {json::array({"LlamaForCausalLM"})});
  demand("hidden_act", {"silu", "swish"});
  demand("rope_scaling", {});
  demand("partial_rotary_factor", {1});
  demand("rope_interleaved", {false});
  demand("attention_bias", {false});
  demand("mlp_bias", {false});
  demand("quantization_config", {});
  demand("sliding_window", {});
  const auto size = [&](const char* name, std::int64_t most, std::int64_t otherwise = 0) {
    const json& value = at(j, name);
    if (value.is_null() && otherwise > 0) return otherwise;
    if (!value.is_number_integer() || value < 1 || value > most)
      fail_config(std::string(name) + " is " + shown(value) + ", expected 1 to " +
                  std::to_string(most));
    return value.get<std::int64_t>();
  };
  constexpr std::int64_t wide = 1 << 24, widest_head = 4096;
  model_config c{.vocabulary = size("vocab_size", wide),
                 .width = size("hidden_size", wide),
                 .layers = size("num_hidden_layers", 1 << 12),
                 .heads = size("num_attention_heads", wide),
                 .kv_heads = 0,
                 .head = 0,
                 .ff = size("intermediate_size", wide),
                 .longest = std::min(longest, size("max_position_embeddings", wide))};
  c.kv_heads = size("num_key_value_heads", wide, c.heads);
  c.head = size("head_dim", widest_head, std::max<std::int64_t>(1, c.width / c.heads));
  if (c.head > widest_head)
    fail_config("a head is " + std::to_string(c.head) + " wide, expected at most " +
                std::to_string(widest_head));
  // newer files: rope_parameters with the base and the kind of scaling in one
  const json& rotation = at(j, "rope_parameters");
  if (!rotation.is_null()) {
    if (!rotation.is_object()) fail_config("rope_parameters is " + shown(rotation));
    for (const auto& [name, value] : rotation.items())
      if (name != "rope_theta" && !(name == "rope_type" && value == "default"))
        fail_config("rope_parameters has " + name + " = " + shown(value) +
                    ", which is not supported");
  }
  const auto real = [&](const json& from, const char* name, double least, double most,
                        double otherwise) {
    const json& value = at(from, name);
    if (value.is_null()) return otherwise;
    const double x = value.is_number() ? value.get<double>() : 0;
    if (!(x > least && x < most)) fail_config(std::string(name) + " is " + shown(value));
    return x;
  };
  c.rope_base = real(j, "rope_theta", 1, 1e15, 10000);
  if (!rotation.is_null()) c.rope_base = real(rotation, "rope_theta", 1, 1e15, c.rope_base);
  c.norm_eps = real(j, "rms_norm_eps", 0, 1, 1e-6);
  const json& tied = at(j, "tie_word_embeddings");
  if (!tied.is_null() && !tied.is_boolean())
    fail_config("tie_word_embeddings is " + shown(tied) + ", expected true or false");
  c.tied = tied == true;
  try {
    c.check();
  } catch (const std::invalid_argument& e) {
    fail_config(e.what());
  }
  // From here on no product of sizes is larger than the files.
  const auto demand_shape = [&](const std::string& name, std::vector<std::int64_t> shape) {
    const tensor* const t = model.find(name);
    if (t == nullptr) fail("model: there is no tensor " + name);
    if (t->shape != shape)
      fail("model: the file's " + name + " has another shape than config.json says");
  };
  demand_shape("model.embed_tokens.weight", {c.vocabulary, c.width});
  demand_shape("model.layers.0.self_attn.q_proj.weight", {c.query_width(), c.width});
  demand_shape("model.layers.0.mlp.gate_proj.weight", {c.ff, c.width});
  if (static_cast<std::size_t>(c.layers) > model.tensors())
    fail_config("num_hidden_layers is " + std::to_string(c.layers) +
                ", more than there are tensors");
  matched(model, model_parameters(c));
  return c;
}

aligned_array<float> load_weights(const hugging_face_model& model, const model_config&,
                                  const model_parameters& parameters) {
  const auto tensors = matched(model, parameters);
  aligned_array<float> weights(parameters.layout.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto& p = parameters.layout.parameters()[i];
    const auto from = tensors[i]->data;
    if (!std::all_of(from.begin(), from.end(), [](float x) { return std::isfinite(x); }))
      fail("model: the file's " + p.name + " has an element that is not finite");
    std::copy(from.begin(), from.end(), weights.data() + p.first);
  }
  return weights;
}

token end_of(const hugging_face_model& model) {
  const json& end = at(model.config, "eos_token_id");
  const json& one = end.is_array() && end.size() == 1 ? end[0] : end;
  const json& vocabulary = at(model.config, "vocab_size");
  if (!one.is_number_integer() || one < 0 || !vocabulary.is_number_integer() || one >= vocabulary)
    fail_config("eos_token_id is " + shown(end) + ", expected one token of the vocabulary");
  return one.get<token>();
}

}  // namespace lm
