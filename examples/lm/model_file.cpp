#include "model_file.hpp"

#include <filesystem>

namespace lm {

model_file::model_file(const std::string& path) {
  if (std::filesystem::is_directory(path) || path.ends_with(".safetensors"))
    file_ = read_hugging_face(path);
  else
    file_ = read_gguf(path);
}

vocabulary model_file::words() const {
  return std::visit([](const auto& f) { return vocabulary_of(f); }, file_);
}
model_config model_file::config(std::int64_t longest) const {
  return std::visit([&](const auto& f) { return config_of(f, longest); }, file_);
}
aligned_array<float> model_file::weights(const model_config& c,
                                         const model_parameters& parameters) const {
  return std::visit([&](const auto& f) { return load_weights(f, c, parameters); }, file_);
}
token model_file::end() const {
  if (const auto* const gguf = std::get_if<gguf_file>(&file_))
    return end_of(*gguf, static_cast<std::int64_t>(gguf->texts("tokenizer.ggml.tokens").size()));
  return end_of(std::get<hugging_face_model>(file_));
}

}  // namespace lm
