/// \file
/// The arrays of an arena as tensors of a file, one per parameter.
#pragma once

#include "arena.hpp"
#include "safetensors.hpp"

namespace lm {

/// Adds an array, a tensor per parameter. The file views the array.
/// \param prefix of the names. \param from `[layout.size()]`.
inline void view_tensors(const arena_layout& layout, tensor_file& file, const std::string& prefix,
                         std::span<const float> from) {
  for (const auto& p : layout.parameters())
    file.tensors[prefix + p.name] = {
        p.shape, from.subspan(static_cast<std::size_t>(p.first), static_cast<std::size_t>(p.size))};
}
/// Reads what `view_tensors` wrote. Throws std::runtime_error that names a tensor which is missing
/// or of another size.
inline void copy_tensors(const tensor_file& file, const arena_layout& layout,
                         const std::string& prefix, std::span<float> to) {
  for (const auto& p : layout.parameters())
    file.copy(prefix + p.name,
              to.subspan(static_cast<std::size_t>(p.first), static_cast<std::size_t>(p.size)));
}

}  // namespace lm
