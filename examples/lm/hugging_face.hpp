/// \file
/// A pretrained model in Hugging Face's layout: a folder with config.json, tokenizer.json and
/// model.safetensors, or with model.safetensors.index.json and the shards that it names.
///
/// The files are as little trusted as a GGUF file: JSON without doubled names and of little depth,
/// tensors by `parse_tensors`, shards within the folder. What this program does not compute is
/// refused by the name that the file gives it.
#pragma once

#include "layout.hpp"
#include "safetensors.hpp"
#include "vocabulary.hpp"

#include <nlohmann/json.hpp>

namespace lm {

struct hugging_face_model {
  nlohmann::json config, tokenizer;
  std::vector<tensor_file> shards;

  /// Null if there is none.
  const tensor* find(const std::string& name) const;
  std::size_t tensors() const;
};

/// \param path of the folder, or of one safetensors file beside config.json and tokenizer.json.
/// Throws std::runtime_error that names the file and what is wrong with it.
hugging_face_model read_hugging_face(const std::string& path);
/// JSON of a stranger. Throws std::runtime_error: doubled names, more than 16 levels, no JSON.
nlohmann::json parse_strange_json(std::string_view text);

/// As of a GGUF file (`pretrained.hpp`). Refused by name: architectures other than Llama, biases,
/// scaled, partial or interleaved rotation, another activation, quantisation.
model_config config_of(const hugging_face_model& model, std::int64_t longest);
/// The rows of q and k are in the order of `rope` already.
aligned_array<float> load_weights(const hugging_face_model& model, const model_config& c,
                                  const model_parameters& parameters);
/// Byte-level BPE with GPT-2's pattern, or SmolLM2's that cuts digits off first; nothing else.
vocabulary vocabulary_of(const hugging_face_model& model);
/// What the configuration calls eos_token_id. Throws std::runtime_error unless it is one token.
token end_of(const hugging_face_model& model);

}  // namespace lm
