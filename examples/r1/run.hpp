/// \file
/// The pipeline from the first weight to the table. Every stage leaves a checkpoint; a run finds
/// those of its settings in the folder and goes on behind them; it refuses a folder with others.
#pragma once

#include "pipeline.hpp"

#include <atomic>
#include <string>

namespace demo {

struct run_options {
  pipeline_settings constants;
  std::string out = "r1_run";
  std::vector<std::string> stages;  ///< which to run; empty: all. The others must be in the folder
  int threads = 0;                  ///< 0: all
  double steps_scale = 1;           ///< as in pipeline_settings::scaled
  bool is_quiet = false;
  /// Of the last stage before the student: below one of them the run counts as failed.
  double at_least = 0, helpful_at_least = 0, harmless_at_least = 0;
};

/// The stages' names, in their order.
const std::vector<std::string>& stage_names();

/// Throws std::exception with one clear sentence. \param stop asks to leave.
/// \return the exit status: 0; 130 if it was stopped; 3 if it ended below a bar.
int run(const run_options& o, const std::atomic<bool>& stop);

}  // namespace demo
