/// \file
/// The run as one page: no network, no script, light and dark.
#pragma once

#include "trainer.hpp"

#include <optional>
#include <string>
#include <vector>

namespace demo {

/// A number before and after the training, as far as they are known.
struct figure {
  std::string name;
  int digits = 3;
  std::optional<double> before, after;
};

/// What the page shows.
struct run_record {
  std::string title, configuration;  ///< the configuration as indented JSON
  std::string build;
  std::string story;           ///< what is trained on what
  bool has_thought = true;     ///< whether the replies think
  std::vector<figure> large;   ///< the first thing that is seen
  std::vector<figure> judged;  ///< rows of the evaluation
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
