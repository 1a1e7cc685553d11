// Means of exact sums: divided in float64, rounded once.
#include <doctest/doctest.h>
#include <hence/core/mean.hpp>

TEST_CASE("a sum, or its mean over at least one") {
  using hence::detail::pooled_value;
  CHECK(pooled_value<float>(false, 6.0, 3) == 6.0f);
  CHECK(pooled_value<float>(true, 6.0, 3) == 2.0f);
  CHECK(pooled_value<float>(true, 6.0, 1) == 6.0f);
  CHECK(pooled_value<float>(true, 0.0, 0) == 0.0f);
  CHECK(pooled_value<double>(true, 1.0, 3) == 1.0 / 3);
  // rounded once: the sum as a float would be 2^24, a third of that another number
  CHECK(pooled_value<float>(true, 0x1p+24 + 1.0, 3) == static_cast<float>((0x1p+24 + 1.0) / 3));
  CHECK(pooled_value<float>(true, 3 * (1 + 0x1p-23 + 0x1p-25), 3) == 1 + 0x1p-23f);
}
