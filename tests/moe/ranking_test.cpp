// A ranking against a sort by (value, index), in registers and in memory, with many equal values.

#include <hence/moe/ranking.hpp>

#include <doctest/doctest.h>
#include <algorithm>
#include <random>
#include <vector>

namespace {

using V = hence::pack<float>;
constexpr int lanes = V::lanes;

struct rows {
  std::vector<float> value;  // [n lanes]
  std::size_t n;
  rows(std::size_t count, int different, unsigned seed) : value(count * lanes), n(count) {
    std::mt19937 random(seed);
    for (float& x : value) {
      x = static_cast<float>(static_cast<int>(random() % static_cast<unsigned>(different)) -
                             different / 2);
      if (random() % 7 == 0) x = -__builtin_inff();
    }
  }
  float at(std::size_t i, int lane) const {
    return value[i * lanes + static_cast<std::size_t>(lane)];
  }
  std::vector<int> best(int lane) const {
    std::vector<int> order;
    for (std::size_t i = 0; i < n; ++i)
      if (at(i, lane) > -__builtin_inff()) order.push_back(static_cast<int>(i));
    std::sort(order.begin(), order.end(), [&](int a, int b) {
      const float x = at(static_cast<std::size_t>(a), lane),
                  y = at(static_cast<std::size_t>(b), lane);
      return x > y || (x == y && a < b);
    });
    return order;
  }
};

template <class Ranking> void check(Ranking& ranking, const rows& r, int k) {
  for (std::size_t i = 0; i < r.n; ++i)
    ranking.offer(V::load(&r.value[i * lanes]), V(static_cast<float>(i)));
  for (int l = 0; l < lanes; ++l) {
    const auto want = r.best(l);
    for (int j = 0; j < k; ++j) {
      const bool filled = j < static_cast<int>(want.size());
      const int e = filled ? want[static_cast<std::size_t>(j)] : -1;
      REQUIRE(static_cast<int>(ranking.index(j).v[l]) == e);
      REQUIRE(ranking.value(j).v[l] ==
              (filled ? r.at(static_cast<std::size_t>(e), l) : -__builtin_inff()));
    }
  }
}

template <int K> void check_both(const rows& r) {
  hence::detail::ranking<V, K> in_registers;
  check(in_registers, r, K);
  std::vector<float> memory(2 * K * lanes);
  hence::detail::ranking<V, 0> in_memory(memory.data(), K);
  check(in_memory, r, K);
}

TEST_CASE("as a sort") {
  for (const int different : {1, 2, 5, 1000})
    for (const std::size_t n : {0u, 1u, 3u, 8u, 100u}) {
      const rows r(n, different, static_cast<unsigned>(different) + static_cast<unsigned>(n));
      check_both<1>(r), check_both<2>(r), check_both<4>(r), check_both<8>(r), check_both<13>(r);
    }
}

}  // namespace
