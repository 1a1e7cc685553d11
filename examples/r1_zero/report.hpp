/// \file
/// The run as one page: no network, no script, light and dark.
#pragma once

#include "rl/trainer.hpp"

#include <string>
#include <vector>

namespace demo {

/// What the page shows.
struct run_record {
  std::string title, configuration;  ///< the configuration as indented JSON
  std::string build;
  bool is_finished = false;
  double seconds = 0;
  std::vector<base_metrics> base;
  std::vector<step_metrics> steps;
  std::vector<std::string> alarms;
  evaluation before, after;
  bool has_before = false, has_after = false;
  sample_group shown_before, shown_after;
};

/// The page.
std::string report(const run_record& r);

}  // namespace demo
