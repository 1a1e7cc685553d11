#include <hence/reward/readable.hpp>

#include <doctest/doctest.h>
#include <string>

namespace reward = hence::reward;
using reward::is_readable;

TEST_CASE("paragraphs end at blank lines, and their line ends count") {
  CHECK(is_readable("", 0));
  CHECK(is_readable(" \n\t\n", 0));
  CHECK(is_readable("12345", 5));
  CHECK_FALSE(is_readable("12345", 4));
  CHECK(is_readable("12\n34", 5));
  CHECK_FALSE(is_readable("12\n34", 4));
  CHECK(is_readable("1234\n\n1234\n \t\n1234\n", 4));
  CHECK_FALSE(is_readable("1234\n\n12345", 4));
  CHECK_FALSE(is_readable("12345\n\n1234", 4));
  CHECK(is_readable("\n\n1234\n\n", 4));
  CHECK(is_readable("1\n2\n3", 5));
  CHECK_FALSE(is_readable("1\n2\n3", 4));
}

TEST_CASE("code blocks, closed or not; code within a line is none") {
  for (const char* block :
       {"```\nx = 1\n```", "So:\n```python\nx", "~~~\nx\n~~~", "a\n  ```", "```"})
    CHECK_MESSAGE(!is_readable(block, 1000), block);
  for (const char* line : {"the sum `a + b` is", "``a``", "~~no~~", "so ``` here"})
    CHECK_MESSAGE(is_readable(line, 1000), line);
}

TEST_CASE("nothing behind the end of a text is read") {
  static constexpr char text[] = {'a', '\n', '`', '`', '`'};
  static_assert(is_readable({text, 4}, 10));
  static_assert(!is_readable({text, 5}, 10));
  static_assert(is_readable({text, 2}, 10));
  static_assert(is_readable({text, 0}, 10));
  std::string lines(1000000, 'a');
  for (std::size_t i = 0; i < lines.size(); i += 2) lines[i] = '\n';
  CHECK(is_readable(lines, lines.size()));
  CHECK_FALSE(is_readable(lines, lines.size() - 3));
}
