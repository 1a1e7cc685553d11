/// \file
/// Every constant of the pipeline. What is R1's (arXiv:2501.12948, section 3) stands beside the
/// constant that is ours.
#pragma once

#include "rl/settings.hpp"

#include <algorithm>

namespace demo {

struct pipeline_settings {
  settings rl;  ///< the base, and GRPO's constants; its steps are not read here

  // Cold start: "thousands of cold-start data" there.
  std::int64_t cold_documents = 256, cold_steps = 40, cold_batch = 64;
  double tune_rate = 2e-3;  ///< of all supervised stages, falls in a line to 0

  // Reasoning RL, hence::recipe::deepseek_r1_stage1: epsilon 10, KL 0.001.
  std::int64_t reasoning_steps = 60;
  double language_weight = 0.5;  ///< 1 there, as that of the form

  // Rejection sampling and fine-tuning of the base: 600k + 200k samples there. A problem has one
  // right thought in each language, so that more samples of one are duplicates: many problems
  // instead.
  std::int64_t sampled_problems = 2048, samples_each = 2, best = 1;
  double other_share = 0.25;  ///< of other data, as there
  std::int64_t tune_steps = 120, tune_batch = 96;

  // RL over all scenarios, hence::recipe::deepseek_r1_stage2.
  std::int64_t preference_problems = 3000, held_out = 500;
  double flipped = 0.05;  ///< labels that are wrong
  std::int64_t model_steps = 250, model_batch = 32;
  double model_rate = 3e-3;
  std::int64_t last_steps = 60;
  std::int64_t preference_steps = 40;  ///< the last 400 of 1700 there; a quarter of 60 is few
  double last_temperature = hence::recipe::deepseek_r1_stage2_schedule.temperature;  ///< 0.7

  // A student.
  std::int64_t student_width = 24, student_base_steps = 1300, student_rl_steps = 100;
  std::int64_t distill_problems = 4096, distill_steps = 300, student_more_steps = 40;

  std::int64_t test_questions = 512;  ///< everyday ones, of each evaluation

  /// The constants of a short run: steps and samples by a factor, 1 or more but where they are 0.
  /// The cold start's documents stay as many.
  pipeline_settings scaled(double factor) const {
    pipeline_settings s = *this;
    for (std::int64_t* n :
         {&s.rl.base_steps, &s.cold_steps, &s.reasoning_steps, &s.sampled_problems, &s.tune_steps,
          &s.preference_problems, &s.held_out, &s.model_steps, &s.last_steps, &s.preference_steps,
          &s.student_base_steps, &s.student_rl_steps, &s.distill_problems, &s.distill_steps,
          &s.student_more_steps})
      if (*n > 0)
        *n = std::max<std::int64_t>(1, static_cast<std::int64_t>(static_cast<double>(*n) * factor));
    return s;
  }
};

}  // namespace demo
