/// \file
/// A pretrained model's files, whatever their format: a GGUF file, or Hugging Face's folder.
#pragma once

#include "hugging_face.hpp"
#include "pretrained.hpp"

#include <variant>

namespace lm {

class model_file {
 public:
  /// \param path a folder or a file that ends with .safetensors: Hugging Face's; else GGUF.
  /// Throws std::runtime_error that names the file and what is wrong.
  explicit model_file(const std::string& path);

  /// Each throws as the functions of the format.
  vocabulary words() const;
  model_config config(std::int64_t longest) const;
  aligned_array<float> weights(const model_config& c, const model_parameters& parameters) const;
  /// The token that closes a text.
  token end() const;

 private:
  std::variant<gguf_file, hugging_face_model> file_;
};

}  // namespace lm
