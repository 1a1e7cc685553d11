// Where arrays lie, and whether two of them share memory.
#include <doctest/doctest.h>
#include <hence/core/place.hpp>

#include <cstdint>
#include <vector>

namespace {

using hence::detail::layout;
using hence::detail::place_of;

}  // namespace

TEST_CASE("the bytes that an array spans, gaps between rows included") {
  float x[64];
  const std::vector<std::int64_t> cu{0, 3, 10};
  const layout ragged = hence::ragged{cu, {}};
  CHECK(place_of(hence::per_token<float>(hence::view<float>(x, 10)), ragged).range.bytes == 40);
  const layout padded = hence::padded{3, 4, {}};
  CHECK(place_of(hence::per_token<float>(hence::view<float, 2>(x, 3, 4, 10)), padded).range.bytes ==
        96);
  CHECK(place_of(hence::per_token<float>(), padded).range.bytes == 0);
  CHECK(place_of(hence::per_token<float>(hence::view<float, 2>(x, 0, 4)), hence::padded{0, 4, {}})
            .range.bytes == 0);
  hence::view<float> backwards(x + 9, 4);
  backwards.stride[0] = -3;
  CHECK(place_of(backwards, ragged).range.first == x);
  CHECK(place_of(backwards, ragged).range.bytes == 40);
}

TEST_CASE("the halves of one buffer lie side by side") {
  float x[40];
  const layout b = hence::padded{4, 5, {}};
  using hence::detail::side_by_side;
  const auto place = [&](float* from, std::int64_t stride) {
    return place_of(hence::per_token<float>(hence::view<float, 2>(from, 4, 5, stride)), b);
  };
  CHECK(side_by_side(place(x, 10), place(x + 5, 10)));
  CHECK(side_by_side(place(x + 5, 10), place(x, 10)));
  CHECK(!side_by_side(place(x, 10), place(x, 10)));
  CHECK(!side_by_side(place(x, 10), place(x + 4, 10)));
  CHECK(!side_by_side(place(x, 10), place(x + 6, 10)));
  CHECK(!side_by_side(place(x, 10), place(x + 5, 9)));
  CHECK(!side_by_side(place(x, 9), place(x + 5, 9)));
  // columns of unlike width
  hence::detail::array_place other = place(x + 5, 10);
  other.row_bytes = 5;
  CHECK(side_by_side(place(x, 10), other));
  CHECK(side_by_side(other, place(x, 10)));
  other.row_bytes = 21;
  CHECK(!side_by_side(place(x, 10), other));
  CHECK(!side_by_side(other, place(x, 10)));
}

TEST_CASE("overlap is of half-open byte ranges") {
  const char x[32] = {};
  using hence::detail::overlap;
  CHECK(overlap({x, 8}, {x, 8}));
  CHECK(overlap({x, 8}, {x + 7, 8}));
  CHECK(overlap({x + 7, 1}, {x, 8}));
  CHECK(!overlap({x, 8}, {x + 8, 8}));
  CHECK(!overlap({x + 8, 8}, {x, 8}));
  CHECK(!overlap({x, 0}, {x, 8}));
  CHECK(!overlap({x, 8}, {x + 4, 0}));
}
