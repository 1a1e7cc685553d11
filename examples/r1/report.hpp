/// \file
/// The pipeline as one page: the table, and each stage's curves and remarks.
#pragma once

#include "table.hpp"

#include <string>
#include <vector>

namespace demo {

/// A stage as the page shows it.
struct stage_record {
  table_row line;
  std::string what;       ///< what it begins with and does, in a sentence
  std::vector<json> log;  ///< the lines of its file: steps, remarks; empty if that is not there
};

/// What the page shows.
struct pipeline_record {
  std::string title, build, configuration;  ///< the configuration as indented JSON
  std::string stopped_in;                   ///< the stage that was interrupted; empty: none
  double seconds = 0;                       ///< of this run, which may have found stages
  std::vector<stage_record> stages;
  std::size_t students_from = 0;  ///< the first of `stages` that is a student's
};

/// The page.
std::string report(const pipeline_record& r);

}  // namespace demo
