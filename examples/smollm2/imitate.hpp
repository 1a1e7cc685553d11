/// \file
/// Supervised fine-tuning of the original model on what a trained one answers right: rejection
/// sampling, as between R1's two stages of RL (arXiv:2501.12948, 2.3.3), here without other data.
#pragma once

#include "lm/lora_config.hpp"

#include <cstdint>
#include <string>

namespace smollm2 {

struct imitate_options {
  std::string model;    ///< a GGUF file, or a folder of Hugging Face's layout
  std::string teacher;  ///< folder of a GRPO run, whose seed says what is held out
  std::string out = "run";
  int threads = 0;
  std::int64_t samples = 8, best = 1;  ///< the teacher's replies to a sum, and how many are kept
  std::int64_t steps = 12, documents = 16;  ///< of a step
  double rate = 2e-5;                       ///< of AdamW; falls in a line to 0
  lm::lora_config lora{};                   ///< rank 0: all weights are trained
  bool is_quiet = false;
};

/// Writes config.json, documents.jsonl, metrics.jsonl, evaluation.json and checkpoint.safetensors.
/// \return the exit status. Throws what std::exception names.
int imitate(const imitate_options& o);

}  // namespace smollm2
