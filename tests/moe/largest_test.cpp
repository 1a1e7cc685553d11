// The n largest against sorting.

#include <hence/moe/largest.hpp>

#include <doctest/doctest.h>
#include <algorithm>
#include <limits>
#include <random>
#include <vector>

namespace {

template <class S> void check(std::int64_t count, std::int64_t n) {
  std::mt19937 random(static_cast<unsigned>(100 * count + n));
  std::vector<S> x;
  for (std::int64_t i = 0; i < count; ++i)  // many equal, zeros of both signs
    x.push_back(static_cast<S>(static_cast<int>(random() % 7) - 3) * S(0.5) *
                (i % 2 ? S(1) : S(-1)));
  std::vector<std::int64_t> order(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) order[i] = static_cast<std::int64_t>(i);
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return x[static_cast<std::size_t>(a)] > x[static_cast<std::size_t>(b)];
  });
  std::vector<bool> want(x.size(), false);
  for (std::int64_t i = 0; i < n && i < count; ++i)
    want[static_cast<std::size_t>(order[static_cast<std::size_t>(i)])] = true;
  const auto key = [&](std::int64_t i) {
    return hence::detail::order_key(x[static_cast<std::size_t>(i)]);
  };
  hence::detail::keep_largest<S> keeps(count, n, key);
  for (std::int64_t i = 0; i < count; ++i)
    CHECK(keeps(key(i)) == want[static_cast<std::size_t>(i)]);
}

TEST_CASE("as a stable sort") {
  for (const std::int64_t count : {0, 1, 5, 64})
    for (const std::int64_t n : {0, 1, 4, 5, 33, 64, 70}) {
      check<float>(count, n);
      check<double>(count, n);
    }
}

TEST_CASE("of all numbers, NaN too, none or each is kept") {
  const float x[] = {1.0f, __builtin_nanf(""), -1.0f};
  const auto key = [&](std::int64_t i) { return hence::detail::order_key(x[i]); };
  for (const std::int64_t n : {-1, 0, 3, 4}) {
    hence::detail::keep_largest<float> keeps(3, n, key);
    for (std::int64_t i = 0; i < 3; ++i) CHECK(keeps(key(i)) == (n > 0));
  }
}

TEST_CASE("the order of all numbers") {
  constexpr float big = std::numeric_limits<float>::infinity();
  const float up[] = {-big, -1e30f, -1.0f, -1e-40f, 0.0f, 1e-40f, 2.0f, big};
  for (int i = 1; i < 8; ++i)
    CHECK(hence::detail::order_key(up[i]) > hence::detail::order_key(up[i - 1]));
  CHECK(hence::detail::order_key(-0.0f) == hence::detail::order_key(0.0f));
  CHECK(hence::detail::order_key(__builtin_nanf("")) < hence::detail::order_key(-big));
}

}  // namespace
