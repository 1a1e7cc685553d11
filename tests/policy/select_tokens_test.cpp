#include <hence/policy/select_tokens.hpp>

#include "description.hpp"

#include <doctest/doctest.h>
#include <algorithm>
#include <limits>
#include <numeric>

using hence::num;
using hence::detail::mark_largest;
using hence::detail::order_key;

TEST_CASE_TEMPLATE("keys are in the order of the numbers", T, float, double) {
  const T inf = std::numeric_limits<T>::infinity(), tiny = std::numeric_limits<T>::denorm_min();
  const T rising[] = {-inf, T(-1e30), T(-1), -tiny,   T(-0.0), T(0),
                      tiny, T(0.5),   T(1),  T(1e30), inf};
  for (std::size_t i = 0; i + 1 < std::size(rising); ++i)
    CHECK(order_key(num<T>(rising[i])) < order_key(num<T>(rising[i + 1])));
}

TEST_CASE_TEMPLATE("the k largest, ties by index, as a stable sort takes them", Key, std::uint32_t,
                   std::uint64_t) {
  fixture::dice random(1);
  for (int round = 0; round < 60; ++round) {
    const std::size_t n = random.below(200);
    std::vector<Key> keys(n);
    for (auto& key : keys) {
      key = round % 3 == 0
                ? static_cast<Key>(random.below(4))
                : static_cast<Key>(random.below(1u << 31)) * static_cast<Key>(0x9E3779B9u);
      if (round % 5 == 0) key = Key(0) - key;
    }
    const std::size_t k = n == 0 ? 0 : random.below(n + 1);
    std::vector<std::size_t> order(n);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return keys[a] > keys[b]; });
    std::vector<std::size_t> wanted(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(k)),
        taken;
    std::sort(wanted.begin(), wanted.end());
    mark_largest<Key>(
        static_cast<std::int64_t>(k),
        [&](auto&& f) {
          for (std::size_t i = 0; i < n; ++i) f(keys[i], i);
        },
        [&](std::size_t i) { taken.push_back(i); });
    CHECK(taken == wanted);
  }
}
