// The lines that a product asks for beforehand are those of its operand: each byte lies in one of
// them, none lies outside, and all have been asked for when the steps are over.
#include <doctest/doctest.h>
#include <hence/core/gemm/fetch.hpp>

#include <set>
#include <vector>

namespace {

using namespace hence;
using lines = std::set<std::uintptr_t>;

template <class T>
lines lines_of(const T* from, std::int64_t along, std::int64_t deep, std::int64_t rows,
               std::int64_t depth) {
  lines all;
  for (std::int64_t i = 0; i < rows; ++i)
    for (std::int64_t k = 0; k < depth; ++k)
      all.insert(reinterpret_cast<std::uintptr_t>(from + i * along + k * deep) / 64 * 64);
  return all;
}

lines walked(detail::line_walk w) {
  lines all;
  std::int64_t n = 0;
  const std::int64_t most = w.most();
  for (; !w.is_done(); ++n) all.insert(w.take());
  CHECK(n <= most);
  return all;
}

TEST_CASE("a walk takes the lines of rows and of columns, wherever they begin") {
  std::vector<float> x(4000);
  for (const std::int64_t begin : {0, 1, 7, 15, 16})
    for (const std::int64_t rows : {1, 5, 48})
      for (const std::int64_t depth : {1, 16, 17, 40}) {
        const float* const from = x.data() + begin;
        CHECK(walked({x.data(), begin, 61, 1, rows, depth}) == lines_of(from, 61, 1, rows, depth));
        CHECK(walked({x.data(), begin, 1, 59, rows, depth}) == lines_of(from, 1, 59, rows, depth));
      }
  const auto* const narrow = reinterpret_cast<const std::uint16_t*>(x.data());
  CHECK(walked({narrow, 0, 100, 1, 9, 70}) == lines_of(narrow, 100, 1, 9, 70));
}

TEST_CASE("nothing is asked for where there is nothing, or numbers with gaps") {
  std::vector<float> x(4000);
  CHECK(detail::line_walk().is_done());
  CHECK(detail::line_walk(x.data(), 0, 61, 1, 0, 5).is_done());
  CHECK(detail::line_walk(x.data(), 0, 1, 61, 5, 0).is_done());
  CHECK(detail::line_walk(x.data(), 0, 2, 61, 5, 5).is_done());
  CHECK(detail::line_walk(x.data(), 0, 61, 1, 0, 5).most() == 0);
  // what would begin behind the array has no lines, and no pointer is formed to it
  const detail::line_walk behind(x.data(), 100000, 61, 1, -3, 5);
  CHECK(behind.is_done());
  CHECK(behind.most() == 0);
}

TEST_CASE("all lines have been asked for when the steps are over, and not before") {
  std::vector<float> x(4000);
  CHECK(detail::fetches_of_tile::steps(1) == 1);
  CHECK(detail::fetches_of_tile::steps(16) == 1);
  CHECK(detail::fetches_of_tile::steps(17) == 2);
  for (const std::int64_t steps : {1, 3, 19}) {
    detail::fetches_of_tile ahead{{{x.data(), 0, 61, 1, 5, 40}, steps},
                                  {{x.data(), 1000, 61, 1, 8, 48}, steps}};
    for (std::int64_t i = 0; i < steps; ++i) {
      if (i < steps / 2) CHECK_FALSE(ahead.second.is_done());
      ahead.step();
    }
    CHECK(ahead.first.is_done());
    CHECK(ahead.second.is_done());
  }
  detail::fetches_of_panel none{{{x.data(), 0, 61, 1, 5, 40}, 0}, {}};
  none.step();
  CHECK_FALSE(none.first.is_done());
  CHECK(none.second.is_done());
}

}  // namespace
