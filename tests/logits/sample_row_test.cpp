// The integer parts of one sampled row: known answers, and selection against sorting.
#include <doctest/doctest.h>
#include <hence/logits/sample_row.hpp>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <random>
#include <vector>

namespace {

using namespace hence;
using namespace hence::detail;
constexpr float inf = std::numeric_limits<float>::infinity();

TEST_CASE("a total that a log is taken of is one at least") {
  CHECK(at_least_one(0) == 1);
  CHECK(at_least_one(1) == 1);
  CHECK(at_least_one(7) == 7);
}

TEST_CASE("depths are multiples of 2^-48, the nearest, sixty at most") {
  const auto depth = [](float x, float top, double scale) {
    return depth_of<native_isa>(x, top, scale);
  };
  CHECK(depth(1, 3, 1.5) == std::uint64_t{3} << 48);
  CHECK(depth(-5, 3, 0.25) == std::uint64_t{2} << 48);
  CHECK(depth(-1, 0, 1 + 0x3p-50) == (std::uint64_t{1} << 48) + 1);  // and three quarters
  CHECK(depth(-1, 0, 1 + 0x1p-50) == std::uint64_t{1} << 48);        // and one
  CHECK(depth(-60, 0, 1) == std::uint64_t{60} << 48);
  CHECK(depth(-100, 0, 1) == std::uint64_t{60} << 48);
  CHECK(distance_of(3, 5) == 2);
  CHECK(distance_of(5, 3) == 2);
}

TEST_CASE("the shortest prefix with so many candidates, or with so much weight") {
  std::mt19937 random(4);
  for (int round = 0; round < 300; ++round) {
    const auto n = std::int64_t(1 + random() % 40);
    std::vector<candidate> c(std::size_t(n), candidate{});
    for (std::size_t i = 0; i < c.size(); ++i)
      c[i] = {std::uint32_t(random() % 9), std::int32_t(i), random() % 5};
    std::shuffle(c.begin(), c.end(), random);
    auto sorted = c;
    std::sort(sorted.begin(), sorted.end(), [](const candidate& a, const candidate& b) {
      return a.key != b.key ? a.key > b.key : a.index < b.index;
    });
    const auto count = std::int64_t(1 + random() % 45);  // also more than there are
    const std::uint64_t sum = 1 + random() % 120;
    std::uint64_t taken = 0;
    std::size_t length = 0;
    while (length < c.size() && std::int64_t(length) < count && taken < sum)
      taken += sorted[length++].weight;
    const auto found = select_prefix<native_isa>(c.data(), n, count, wide_integer{sum});
    REQUIRE(found == std::int64_t(length));
    std::vector<std::int32_t> got, want;
    for (std::size_t i = 0; i < length; ++i)
      got.push_back(c[i].index), want.push_back(sorted[i].index);
    std::sort(got.begin(), got.end());
    std::sort(want.begin(), want.end());
    REQUIRE(got == want);
  }
}

TEST_CASE_TEMPLATE("the k largest in a buffer of 2 k, the first of equals, never -infinity", V,
                   num<float>, pack<float>) {
  std::mt19937 random(5);
  for (int round = 0; round < 400; ++round) {
    const auto columns = std::size_t(1 + random() % 60);
    const auto k = std::size_t(1 + random() % 8);
    std::vector<float> x(columns);
    for (float& v : x) v = random() % 4 == 0 ? -inf : float(random() % 6);
    std::vector<std::int32_t> order;
    for (std::size_t i = 0; i < columns; ++i)
      if (x[i] > -inf) order.push_back(std::int32_t(i));
    std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
      return x[std::size_t(a)] > x[std::size_t(b)];
    });
    if (order.size() > k) order.resize(k);
    x.insert(x.end(), 64, 9.0f);  // not the row's
    std::vector<candidate> c(2 * k + 1, candidate{0, -7, 77});
    const auto n = gather_largest<V>(x.data(), std::int64_t(columns), std::int64_t(k), c.data());
    REQUIRE(n == std::int64_t(order.size()));
    std::vector<std::int32_t> got;
    for (std::size_t i = 0; i < order.size(); ++i) {
      got.push_back(c[i].index);
      REQUIRE(c[i].key == key_of(x[std::size_t(c[i].index)]));
    }
    std::sort(got.begin(), got.end());
    std::sort(order.begin(), order.end());
    REQUIRE(got == order);
    REQUIRE(c[2 * k].index == -7);
  }
}

}  // namespace
