/// \file
/// The parts of a report: one self-contained page with curves, without network or script, light and
/// dark.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace demo {

/// With so many digits behind the point.
std::string number(double x, int digits);
/// As text in HTML.
std::string escaped(const std::string& s);

struct series {
  std::string name;
  std::vector<double> values;  ///< by step; what is not finite is left out
};

/// A chart with up to two lines, each named at its end. \param least_top the axis ends there or
/// higher.
std::string chart(const std::string& title, const std::string& what,
                  const std::vector<series>& lines, double least_top);
/// A bar for each number.
std::string bars(const std::string& title, const std::string& what,
                 const std::vector<std::int64_t>& values);

/// The page to its headline. \param below a line under it.
std::string page_begin(const std::string& title, const std::string& below);
inline const char* const page_end = "</main></body></html>\n";

}  // namespace demo
