/// \file
/// Adapters in a checkpoint of hence: A and B by name, their configuration, and the checksum of the
/// base that they belong to, without which they mean nothing.
#pragma once

#include "arena_file.hpp"
#include "lora.hpp"

namespace lm {

/// Of the base: FNV-1a over the weights' words of 32 bits, as 16 digits.
std::string weights_checksum(std::span<const float> weights);

/// Adds the configuration and the base's checksum to the file's metadata.
void put_lora(const lora_config& config, std::string_view base_checksum, tensor_file& file);
/// Whether the file is of adapters.
bool has_lora(const tensor_file& file);
/// What `put_lora` wrote. Throws std::runtime_error if it is broken or of another base.
lora_config take_lora(const tensor_file& file, std::span<const float> base);

/// `weights`, which are the base's, become those of a checkpoint: all of them replaced, or its
/// adapters merged. Throws std::runtime_error, std::invalid_argument.
template <class Pool>
void apply_checkpoint(Pool& pool, const transformer<float>& model, const tensor_file& file,
                      std::span<float> weights) {
  if (!has_lora(file)) {
    copy_tensors(file, model.parameters().layout, "", weights);
    return;
  }
  const lora<float> adapters(model, take_lora(file, weights));
  std::vector<float> x(static_cast<std::size_t>(adapters.size()));
  copy_tensors(file, adapters.layout(), "", x);
  const std::vector<float> base(weights.begin(), weights.end());
  adapters.merge(pool, base.data(), x.data(), weights.data());
}

}  // namespace lm
