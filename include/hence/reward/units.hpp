/// \file
/// Units behind a number: a table of the words that mathematics problems use, squares, cubes and
/// quotients of them. A word that is not in the table is no unit, so that "5 or 6" is not 5.
#pragma once

#include <hence/reward/normal_text.hpp>

namespace hence::inline v0::reward {

/// Up to four factors, each a unit and its power, in the order written; 0 is no unit.
using unit_code = std::uint64_t;

namespace detail {

struct unit_name {
  text name;
  std::uint64_t id;
};
/// Names without the plural's s. Equal ids are the same unit; nothing is converted.
inline constexpr unit_name unit_names[] = {
    {"mm", 1},          {"millimeter", 1}, {"millimetre", 1}, {"cm", 2},
    {"centimeter", 2},  {"centimetre", 2}, {"m", 3},          {"meter", 3},
    {"metre", 3},       {"km", 4},         {"kilometer", 4},  {"kilometre", 4},
    {"inch", 5},        {"inche", 5},      {"in", 5},         {"ft", 6},
    {"foot", 6},        {"feet", 6},       {"yd", 7},         {"yard", 7},
    {"mile", 8},        {"mi", 8},         {"mg", 9},         {"milligram", 9},
    {"g", 10},          {"gram", 10},      {"kg", 11},        {"kilogram", 11},
    {"lb", 12},         {"pound", 12},     {"oz", 13},        {"ounce", 13},
    {"ton", 14},        {"tonne", 14},     {"ml", 15},        {"mL", 15},
    {"milliliter", 15}, {"l", 16},         {"L", 16},         {"liter", 16},
    {"litre", 16},      {"gallon", 17},    {"quart", 18},     {"pint", 19},
    {"cup", 20},        {"second", 21},    {"sec", 21},       {"s", 21},
    {"minute", 22},     {"min", 22},       {"hour", 23},      {"hr", 23},
    {"h", 23},          {"day", 24},       {"week", 25},      {"month", 26},
    {"year", 27},       {"dollar", 28},    {"USD", 28},       {"usd", 28},
    {"cent", 29},       {"euro", 30},      {"EUR", 30},       {"degree", 31},
    {"deg", 31},        {"radian", 32},    {"rad", 32},       {"unit", 33},
    {"mph", 34},        {"newton", 35},    {"N", 35},         {"joule", 36},
    {"J", 36},          {"watt", 37},      {"W", 37},         {"volt", 38},
    {"V", 38},          {"ampere", 39},    {"amp", 39},       {"hertz", 40},
    {"Hz", 40},         {"pascal", 41},    {"Pa", 41},        {"mol", 42},
    {"mole", 42},       {"kelvin", 43},    {"K", 43},         {"celsius", 44},
    {"fahrenheit", 45}, {"C", 44},         {"F", 45},         {"point", 46},
    {"time", 47},       {"way", 48},       {"people", 49},    {"person", 49},
    {"student", 50},    {"coin", 51},      {"apple", 52},     {"book", 53},
    {"block", 54},      {"ohm", 55},       {"ms", 56},        {"millisecond", 56},
    {"kWh", 57},        {"kW", 58},        {"acre", 59},      {"hectare", 60},
    {"step", 61},       {"game", 62},      {"nm", 63},        {"nanometer", 63},
    {"kPa", 64},        {"kJ", 65},        {"eV", 66},
};

/// The id of a word, its plural too; 0 if it is no unit.
template <class Isa> constexpr std::uint64_t unit_id(text word) {
  const text singular =
      word.size() > 2 && word.back() == 's' ? slice(word, 0, word.size() - 1) : word;
  for (const unit_name& u : unit_names)
    if (equal(word, u.name) || equal(singular, u.name)) return u.id;
  return 0;
}

/// Reads the whole text as a unit. \return false if it is none; the empty text is code 0.
template <class Isa> constexpr bool read_unit(text s, unit_code& code) {
  code = 0;
  if (s.empty()) return true;
  int factors = 0, sign = 1, pending = 1;
  bool times = false;  // a product sign waits for its factor
  if (s.size() > 64) return false;
  char plain[64] = {};
  std::size_t size = 0;
  int depth = 0;
  // words have to stay apart, so only fonts and TeX's spaces are taken out here
  for (std::size_t i = 0; i < s.size();) {
    bool brace = false;
    if (const std::size_t n = font_at<Isa>(s, i, brace); n != 0) {
      plain[size++] = ' ', i += n;
      depth += brace;
    } else if (const std::size_t m = layout_at<Isa>(s, i); m != 0) {
      plain[size++] = ' ', i += m;
    } else {
      depth += s[i] == '{' ? 1 : s[i] == '}' ? -1 : 0;
      if (depth < 0) return false;
      plain[size++] = s[i] == '{' || s[i] == '}' || s[i] == '$' ? ' ' : s[i];
      ++i;
    }
  }
  if (depth != 0) return false;
  const text p(plain, size);
  for (std::size_t i = 0; i < size;) {
    std::uint64_t id = 0;
    std::size_t bytes = 0;
    if (is_space(p[i])) {
      ++i;
      continue;
    }
    if (symbol_at<Isa>(p, i, bytes) == symbol::over) {
      sign = -1, i += bytes;
      continue;
    }
    if (symbol_at<Isa>(p, i, bytes) == symbol::times && factors > 0) {
      times = true, i += bytes;
      continue;
    }
    const bool raised = p[i] == '^';
    std::size_t j = i + raised;
    while (j < size && is_space(p[j])) ++j;
    if (command_at(p, j, "\\circ") || command_at(p, j, "\\degree") || stands_at(p, j, "\u00B0")) {
      id = 31;
      j += p[j] == '\\' ? (command_at(p, j, "\\circ") ? 5u : 7u) : 2u;
    } else if (const superscript power = superscripts_at(p, i); raised || power.places > 0) {
      if (factors == 0) return false;
      int n = 0;
      if (!raised) {
        if (power.places > 1 || power.digits[0] < '1' || power.digits[0] > '3') return false;
        n = power.sign == '-' ? '0' - power.digits[0] : power.digits[0] - '0';
        j = i + power.bytes;
      } else {
        const bool negative = j < size && p[j] == '-';
        j += negative;
        if (j >= size || p[j] < '1' || p[j] > '3') return false;
        n = negative ? -(p[j] - '0') : p[j] - '0';
        ++j;
      }
      // the power of the factor before
      const int at = (factors - 1) * 16;
      const auto old = static_cast<int>(code >> at & 0xF) - 8;
      if (old != 1 && old != -1) return false;
      code += static_cast<unit_code>(static_cast<std::int64_t>(old * n - old)) << at;
      i = j;
      continue;
    } else {
      while (j < size && is_letter(p[j])) ++j;
      const text word = slice(p, i, j);
      if (word.empty()) return false;
      if (equal(word, "per")) {
        sign = -1, i = j;
        continue;
      }
      if (equal(word, "square") || equal(word, "sq") || equal(word, "cubic")) {
        pending = equal(word, "cubic") ? 3 : 2, i = j;
        continue;
      }
      id = unit_id<Isa>(word);
    }
    if (id == 0 || factors == 4) return false;
    code |= (id << 4 | static_cast<unit_code>(sign * pending + 8)) << (16 * factors);
    ++factors, sign = 1, pending = 1, times = false, i = j;
  }
  return pending == 1 && sign == 1 && !times;
}

}  // namespace detail

}  // namespace hence::inline v0::reward
