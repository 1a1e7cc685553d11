#!/usr/bin/env python3
"""Prints examples/lm/unicode_classes.hpp: the letters, numbers and spaces of Unicode.

    scripts/unicode_classes.py >examples/lm/unicode_classes.hpp
"""
import sys
import unicodedata


def ranges(belongs):
    found, begin = [], None
    for c in range(sys.maxunicode + 2):
        inside = c <= sys.maxunicode and belongs(chr(c))
        if inside and begin is None:
            begin = c
        if not inside and begin is not None:
            found.append((begin, c - 1))
            begin = None
    return found


print(f"""/// \\file
/// The letters (category L), numbers (N) and white space of Unicode {unicodedata.unidata_version}, as a byte-level
/// tokenizer's patterns name them. Written by scripts/unicode_classes.py.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace lm {{

/// First and last of a range of code points.
struct code_range {{
  std::uint32_t first, last;
}};

namespace detail {{
// clang-format off""")
white = set("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | {chr(c) for c in range(0x2000, 0x200b)}
for name, belongs in [("letter", lambda c: unicodedata.category(c)[0] == "L"),
                      ("number", lambda c: unicodedata.category(c)[0] == "N"), ("space", white.__contains__)]:
    print(f"inline constexpr code_range {name}_ranges[] = {{")
    line = ""
    for a, b in ranges(belongs):
        item = f"{{0x{a:x},0x{b:x}}},"
        if len(line) + len(item) > 100:
            print(line)
            line = ""
        line += item
    print(line + "};")
print("""// clang-format on

template <std::size_t N> bool is_in(const code_range (&ranges)[N], std::uint32_t c) {
  const auto* const r =
      std::lower_bound(std::begin(ranges), std::end(ranges), c,
                       [](const code_range& range, std::uint32_t x) { return range.last < x; });
  return r != std::end(ranges) && r->first <= c;
}
}  // namespace detail

inline bool is_letter(std::uint32_t c) { return detail::is_in(detail::letter_ranges, c); }
inline bool is_number(std::uint32_t c) { return detail::is_in(detail::number_ranges, c); }
inline bool is_space(std::uint32_t c) { return detail::is_in(detail::space_ranges, c); }

}  // namespace lm""")
