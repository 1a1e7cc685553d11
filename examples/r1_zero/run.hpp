/// \file
/// One run from the first weight to the report: what it prints and what it leaves on disk.
#pragma once

#include "rl/settings.hpp"

#include <atomic>
#include <string>

namespace demo {

struct run_options {
  settings constants;
  std::string out = "r1_zero_run";
  int threads = 0;  ///< 0: all
  bool resumes = false, is_dry = false, is_quiet = false;
  bool has_tensorboard = false;  ///< event files beside metrics.jsonl
  std::int64_t show_every = 25;  ///< steps; 0: never
  double at_least = 0;           ///< final strict accuracy below which the run counts as failed
  std::int64_t checkpoint_every = 10;  ///< steps of GRPO; ten times as many of pretraining
};

/// Throws std::exception with one clear sentence. \param stop asks to finish the step and leave.
/// \return the exit status: 0; 130 if it was stopped; 3 if it ended below `at_least`.
int run(const run_options& o, const std::atomic<bool>& stop);

}  // namespace demo
