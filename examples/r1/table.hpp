/// \file
/// The pipeline's table: a line per stage, as text and as JSON.
#pragma once

#include "pipeline.hpp"

#include "rl/json_text.hpp"

#include <hence/evaluate/interval.hpp>

#include <cstdio>

namespace demo {

struct table_row {
  std::string name;
  row numbers;
};

inline json to_json(const row& r) {
  return {{"reasoning", to_json(r.reasoning)},
          {"helpfulness", r.helpful},
          {"harmlessness", r.harmless},
          {"everyday_language_consistency", r.consistency}};
}
inline row row_from_json(const json& j) {
  return {evaluation_from_json(j.at("reasoning")), j.at("helpfulness"), j.at("harmlessness"),
          j.at("everyday_language_consistency")};
}
inline json to_json(const table_row& r) {
  json j{{"stage", r.name}};
  j.update(to_json(r.numbers));
  return j;
}

/// Strict accuracy with Wilson's 95% interval.
inline std::string table(const std::vector<table_row>& rows) {
  std::string s =
      "stage             accuracy (95%)        format  language  length  steps  helpful  "
      "harmless\n";
  for (const auto& [name, r] : rows) {
    const auto& e = r.reasoning;
    const auto around = hence::evaluate::wilson(e.correct, e.problems, hence::evaluate::z95);
    char line[160];
    std::snprintf(line, sizeof line,
                  "%-16s  %.3f [%.3f, %.3f]  %.3f   %.3f     %5.2f   %5.2f  %.3f    %.3f\n",
                  name.c_str(), e.strict, around.low, around.high, e.format, e.consistency,
                  e.length, e.thinking, r.helpful, r.harmless);
    s += line;
  }
  return s;
}

}  // namespace demo
