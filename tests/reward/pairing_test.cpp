#include <hence/reward/pairing.hpp>

#include <doctest/doctest.h>
#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

namespace {

using pairing = hence::reward::detail::pairing<hence::native_isa>;

/// Whether every part finds a partner.
bool pairs_off(const std::vector<std::uint64_t>& allowed) {
  pairing p{static_cast<int>(allowed.size()), {}, {}};
  for (int i = 0; i < p.size; ++i) p.allowed[i] = allowed[static_cast<std::size_t>(i)];
  for (int j = 0; j < p.size; ++j) p.partner[j] = -1;
  for (int i = 0; i < p.size; ++i)
    if (std::uint64_t tried = 0; !p.place(i, tried)) return false;
  std::vector<int> all(p.partner, p.partner + p.size);
  for (int j = 0; j < p.size; ++j) CHECK((p.allowed[p.partner[j]] >> j & 1) != 0);
  std::sort(all.begin(), all.end());
  for (int i = 0; i < p.size; ++i) CHECK(all[static_cast<std::size_t>(i)] == i);
  return true;
}

}  // namespace

TEST_CASE("partners are found if any permutation pairs the parts") {
  std::mt19937 random(1);
  int found = 0, missing = 0;
  for (int trial = 0; trial < 2000; ++trial) {
    const std::size_t size = 1 + random() % 6;
    std::vector<std::uint64_t> allowed(size);
    for (auto& a : allowed) a = random() & random() & ((std::uint64_t{1} << size) - 1);
    if (trial % 2 == 0)  // a pairing that is there, hidden among others
      for (std::size_t i = 0; i < size; ++i) allowed[i] |= std::uint64_t{1} << (i + 3) % size;
    std::vector<std::size_t> order(size);
    std::iota(order.begin(), order.end(), std::size_t{0});
    bool any = false;
    do {
      bool all = true;
      for (std::size_t i = 0; i < size; ++i) all &= (allowed[i] >> order[i] & 1) != 0;
      any |= all;
    } while (std::next_permutation(order.begin(), order.end()));
    CHECK(pairs_off(allowed) == any);
    (any ? found : missing) += 1;
  }
  CHECK(found > 500);
  CHECK(missing > 500);
}

TEST_CASE("64 parts, each of which moves the one before") {
  std::vector<std::uint64_t> allowed(64);
  for (std::size_t i = 0; i < 64; ++i) allowed[i] = i == 63 ? 1 : std::uint64_t{3} << i;
  CHECK(pairs_off(allowed));
  allowed[0] = 1;  // two parts with the same one partner
  CHECK_FALSE(pairs_off(allowed));
  CHECK(pairs_off({}));
}

TEST_CASE("no partner beyond the last is tried") {
  // the compiler refuses a shift by 64
  static_assert([] {
    pairing p{64, {}, {}};
    for (int& j : p.partner) j = -1;
    std::uint64_t tried = 0;
    return !p.place(0, tried) && tried == 0;
  }());
}
