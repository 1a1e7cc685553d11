#include <hence/evaluate/order.hpp>

#include <doctest/doctest.h>
#include <algorithm>
#include <random>
#include <vector>

TEST_CASE("heapsort against std::sort") {
  std::mt19937 random(1);
  for (std::size_t size = 0; size < 200; ++size) {
    std::vector<int> x(size);
    for (int& v : x) v = static_cast<int>(random() % 50);
    std::vector<int> want = x;
    std::sort(want.begin(), want.end());
    bool apart = true;  // no place is swapped with itself
    const auto at = [&](std::int64_t i) -> int& { return x[static_cast<std::size_t>(i)]; };
    hence::evaluate::detail::heap_sort<hence::native_isa>(
        static_cast<std::int64_t>(size),
        [&](std::int64_t i, std::int64_t j) { return at(i) < at(j); },
        [&](std::int64_t i, std::int64_t j) {
          apart = apart && i != j;
          std::swap(at(i), at(j));
        });
    CHECK(x == want);
    CHECK(apart);
  }
}
