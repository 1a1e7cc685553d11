#include <hence/evaluate/mixture.hpp>

#include <doctest/doctest.h>
#include <cmath>
#include <vector>

namespace evaluate = hence::evaluate;
using ids = std::vector<std::int64_t>;

TEST_CASE("each stretch holds the sources in their shares") {
  const ids sizes{600, 200, 0, 7};
  ids taken(4), source(807), found(4);
  evaluate::mix(sizes, taken, source);
  for (std::size_t i = 0; i < source.size(); ++i) {
    ++found[static_cast<std::size_t>(source[i])];
    for (std::size_t s = 0; s < 4; ++s) {
      const double share = static_cast<double>(sizes[s]) * static_cast<double>(i + 1) / 807;
      CHECK(std::fabs(static_cast<double>(found[s]) - share) < 1.5);
    }
  }
  CHECK(found == sizes);
  CHECK(taken == sizes);
}

TEST_CASE("what lies behind the sizes is no source, and old counts do not count") {
  const ids more{3, 2, 1000};
  ids taken{9, 9, 9}, source(5);
  evaluate::mix(hence::view<const std::int64_t>(more.data(), 2),
                hence::view<std::int64_t>(taken.data(), 2), source);
  CHECK(source == ids{0, 1, 0, 1, 0});
  CHECK(taken == ids{3, 2, 9});
}

TEST_CASE("R1's three to one") {
  const ids sizes{6, 2};
  ids taken(2), source(8);
  evaluate::mix(sizes, taken, source);
  CHECK(source == ids{0, 0, 1, 0, 0, 0, 1, 0});
}

TEST_CASE("sizes that do not fit are refused") {
  ids taken(2), source(3), one(1);
  const ids negative{1, -1}, good{1, 1}, huge{std::int64_t{1} << 62, 1};
  CHECK_THROWS_WITH(evaluate::mix(negative, taken, source),
                    "hence: sizes[1] is -1, expected 0 or more and a sum below 2^62");
  CHECK_THROWS(evaluate::mix(huge, taken, source));
  CHECK_THROWS_WITH(evaluate::mix(good, one, source), "hence: taken has 1 entries, sizes has 2");
  CHECK_THROWS_WITH(evaluate::mix(good, taken, source),
                    "hence: source has 3 entries, sizes sum to 2");
}
