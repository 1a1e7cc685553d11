/// \file
/// Weights to begin with: uniform with the deviation 0.02 or 1/sqrt(in), the matrices that write
/// into the residual stream smaller by sqrt(2 layers) (Radford et al., GPT-2, section 2.3);
/// gains 1,
/// selection biases 0.
#pragma once

#include "layout.hpp"

#include <hence/core/random.hpp>

namespace lm {

/// \param weights `[model_parameters.layout.size()]`. A number depends on the seed and its index.
inline void initialise(const model_config& c, const model_parameters& p, std::uint64_t seed,
                       float* weights) {
  using wide = hence::num<double>;
  for (const parameter& x : p.layout.parameters()) {
    const bool is_gain = x.shape.size() == 1;
    const bool is_bias = x.name.ends_with("bias");
    const bool is_table = x.first == p.embedding || x.first == p.place;
    wide deviation = is_table ? wide(c.tied ? 0.02 : 0.5)
                              : wide(1.0) / sqrt(wide(static_cast<double>(x.shape.back())));
    if (x.name.ends_with("o_proj.weight") || x.name.ends_with("down_proj.weight"))
      deviation = deviation / sqrt(wide(static_cast<double>(2 * c.layers)));
    const wide scale = deviation * sqrt(wide(3.0));  // of a uniform number in [-1, 1)
    for (std::int64_t i = 0; i < x.size; ++i) {
      const auto at = static_cast<std::uint64_t>(x.first + i);
      const auto word = hence::philox(seed, {.step = 0x1717, .sequence = at}).word[0];
      const wide u = wide(2.0) * wide(static_cast<double>(hence::uniform(word))) - wide(1.0);
      weights[at] = is_bias ? 0.0f : is_gain ? 1.0f : static_cast<float>((scale * u).v);
    }
  }
}

}  // namespace lm
