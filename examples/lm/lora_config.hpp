/// \file
/// Which low-rank adapters a model has, under peft's names.
#pragma once

#include "config.hpp"

#include <algorithm>
#include <vector>

namespace lm {

/// Which adapters there are.
struct lora_config {
  std::int64_t rank = 0;  ///< peft's r; 0: none
  double alpha = 0;       ///< peft's lora_alpha
  /// peft's target_modules: of the attention and the feed-forward block.
  std::vector<std::string> targets{"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                   "gate_proj", "up_proj", "down_proj"};

  /// Throws std::invalid_argument that names what cannot be.
  void check(const model_config& c) const {
    const auto fail = [](const std::string& what) { throw std::invalid_argument("lora: " + what); };
    if (rank < 1 || rank > c.width)
      fail("rank is " + std::to_string(rank) + ", expected 1 to the model's width, " +
           std::to_string(c.width));
    if (!(alpha > 0 && alpha <= 1e6))
      fail("alpha is " + std::to_string(alpha) + ", expected more than 0, at most 1000000");
    if (c.is_moe()) fail("a mixture of experts has no adapters here");
    if (targets.empty()) fail("there are no targets");
    const lora_config all;
    for (auto it = targets.begin(); it != targets.end(); ++it) {
      if (std::find(all.targets.begin(), all.targets.end(), *it) == all.targets.end())
        fail("there is no target " + *it +
             ", expected q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj or down_proj");
      if (std::find(targets.begin(), it, *it) != it) fail("the target " + *it + " is there twice");
    }
  }
};

}  // namespace lm
