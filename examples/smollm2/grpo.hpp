/// \file
/// GRPO of a pretrained model on a task whose answers a rule checks; what a run leaves on disk.
#pragma once

#include "lm/lora_config.hpp"

#include <atomic>
#include <cstdint>
#include <string>

namespace smollm2 {

/// Constants of a run, here those of the task "sums". Its numbers depend on them and on the model's
/// file alone.
struct grpo_settings {
  std::string task = "sums";
  std::uint64_t seed = 0;  ///< of everything that is drawn, and of what is held out
  std::int64_t steps = 15;
  std::int64_t questions = 8, group = 8;  ///< of a step, and replies to each
  double rate = 2e-5;                     ///< of AdamW
  lm::lora_config lora{};                 ///< rank 0: all weights are trained
  double format_weight = 0.2;             ///< of the form's reward; the right answer's is 1
  double epsilon = 0.2;                   ///< clip range; KL 0.001, as R1-Zero has it
  std::int64_t test_samples = 16;         ///< replies to each sum that is held out
};

/// A task's own constants.
grpo_settings usual_settings(const std::string& task);

struct grpo_options {
  grpo_settings constants;
  std::string model;  ///< a GGUF file, or a folder of Hugging Face's layout
  std::string out = "run";
  int threads = 0;
  std::int64_t checkpoint_every = 1000;  ///< steps; a checkpoint is 12 bytes a trained weight
  std::int64_t show_every = 5;           ///< steps between printed groups; 0: none
  bool resumes = false, is_quiet = false;
};

/// Trains and writes config.json, metrics.jsonl, samples.jsonl, evaluation.json, report.html and
/// checkpoint.safetensors, which `--trained` reads too.
/// \param stop asks to end after the step; `resumes` goes on from there.
/// \return the exit status. Throws what std::exception names.
int train(const grpo_options& o, const std::atomic<bool>& stop);

}  // namespace smollm2
