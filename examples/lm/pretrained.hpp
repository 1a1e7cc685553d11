/// \file
/// A pretrained model of the Llama architecture: its sizes and weights out of a GGUF file.
#pragma once

#include "gguf.hpp"
#include "layout.hpp"

namespace lm {

/// The sizes that the file states. Throws std::runtime_error for what this model does not compute:
/// another architecture, scaled positions, experts, heads wider than 4096; and names a tensor which
/// is missing, of another shape or of no use to this model: no model is made for sizes that the
/// file does not hold.
/// \param longest of a sequence here; at most the model's own.
model_config config_of(const gguf_file& file, std::int64_t longest);

/// Every weight, widened to fp32, as an arena. The rows of q and k are put into the order of this
/// model's rotation: GGUF has the pairs side by side, (2 i, 2 i + 1), Hugging Face's Llama and
/// `rope` half a head apart.
/// Throws std::runtime_error that names a tensor as `config_of` does, before the arena is
/// allocated, or which has a number that is not finite.
/// \param c of the same file.
aligned_array<float> load_weights(const gguf_file& file, const model_config& c,
                                  const model_parameters& parameters);

}  // namespace lm
