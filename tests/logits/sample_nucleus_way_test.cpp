// When a row's nucleus is found by estimates and a few exact weights, and how few: the result is
// that of the full search either way (sample_nucleus_test), so this is about the work alone.
#include <doctest/doctest.h>
#include <hence/logits/sample.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace {

using namespace hence;
using V = pack<float>;
constexpr std::size_t width = V::lanes;
constexpr float inf = std::numeric_limits<float>::infinity();

struct way {
  bool taken;
  std::int64_t candidates, kept;
};
way of(const std::vector<float>& x, double temperature, double top_p) {
  const auto columns = static_cast<std::int64_t>(x.size());
  std::vector<detail::candidate> room(static_cast<std::size_t>(detail::candidates_of_row(columns)));
  detail::nucleus<V, float> search(x.data(), columns, room.data(), temperature, top_p);
  if (!search.keep()) return {false, 0, 0};
  return {true, search.n,
          std::count_if(search.weights, search.weights + search.n, [](auto w) { return w != 0; })};
}
/// About normal, of deviation 2.5, the same everywhere.
std::vector<float> wide(std::size_t columns, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::vector<float> x(columns);
  for (float& v : x) {
    v = 0;
    for (int i = 0; i < 12; ++i) v += 2.5f * (static_cast<float>(random() >> 8) * 0x1p-24f - 0.5f);
  }
  return x;
}
/// The share's size by sorting.
std::int64_t size_of_nucleus(std::vector<float> x, double temperature, double top_p) {
  std::sort(x.begin(), x.end(), std::greater<>());
  double all = 0, taken = 0;
  for (const float v : x) all += std::exp((double(v) - double(x[0])) / temperature);
  std::int64_t n = 0;
  while (taken < top_p * all)
    taken += std::exp((double(x[std::size_t(n++)]) - double(x[0])) / temperature);
  return n;
}

TEST_CASE("ordinary rows go this way, and little more than what is kept is weighed") {
  for (const std::size_t columns : {1024u, 9001u, 50257u})
    for (const double temperature : {0.3, 0.8, 1.0, 2.5})
      for (const double top_p : {0.03, 0.5, 0.9, 0.95, 0.999}) {
        const auto x = wide(columns);
        const auto kept = size_of_nucleus(x, temperature, top_p);
        const way w = of(x, temperature, top_p);
        CAPTURE(columns);
        CAPTURE(temperature);
        CAPTURE(top_p);
        CAPTURE(kept);
        CAPTURE(w.candidates);
        const auto size = std::int64_t(columns);
        if (3 * kept + 200 < size && kept * 8 < size) CHECK(w.taken);
        if (kept * 2 > size) CHECK(!w.taken);
        if (w.taken) {
          CHECK(w.kept == kept);
          CHECK(w.candidates <= kept + 100);
        }
      }
}

TEST_CASE("rows too short, temperatures too far from 1, rows to be refused") {
  CHECK(!of(wide(1023), 0.8, 0.5).taken);
  CHECK(of(wide(1024), 0.8, 0.5).taken);
  auto x = wide(4096);
  x[0] = 20;  // in the first register, which the sample has
  CHECK(of(x, 1.5e-3, 0.9).taken);
  CHECK(!of(x, 1e-3, 0.9).taken);
  CHECK(!of(x, 0.9e-3, 0.9).taken);
  for (float& v : x) v *= 1000;
  CHECK(of(x, 999, 0.5).taken);
  CHECK(!of(x, 1000, 0.5).taken);
  CHECK(!of(x, 1001, 0.5).taken);
  for (const float bad : {inf, std::nanf("")})
    for (const std::size_t at : {0u, 4090u, 4098u}) {
      x = wide(4099);
      x[at] = bad;
      CHECK(!of(x, 0.8, 0.5).taken);
    }
  CHECK(!of(std::vector<float>(4096, -inf), 0.8, 0.5).taken);
}

TEST_CASE("a token that the sample missed may stand 2^100 above it, not more") {
  const double unit = 1.4426950408889634;  // a temperature at which 1 is a factor of 2
  for (const std::size_t at : {4090u, 4098u}) {
    auto x = wide(4099);
    x[0] = 20;  // in the first register, which the sample has
    x[at] = 119;
    CHECK(of(x, unit, 0.9).taken);
    CHECK(of(x, unit, 0.9).kept == 1);
    x[at] = 120;
    CHECK(!of(x, unit, 0.9).taken);
  }
}

TEST_CASE("tokens far below weigh nothing, however far") {
  auto x = wide(9001);
  for (std::size_t i = 0; i < x.size(); i += 2) x[i] = i % 4 ? -600.0f : -60.0f;
  const way w = of(x, 0.3, 0.9);
  CHECK(w.taken);
  CHECK(w.kept == size_of_nucleus(x, 0.3, 0.9));
}

TEST_CASE("where the sample misled, all that may count is gathered once more") {
  const std::size_t columns = 96 * 20 * width;  // of 20 registers the sample has one
  std::vector<float> x(columns, -20.0f);
  for (std::size_t i = 0; i < columns; ++i) {
    const std::size_t r = i / width % 20;
    if (r == 0) x[i] = 12;                       // .74 of all, more than a sample shows
    if (r == 7 || r == 8 || r == 13) x[i] = 10;  // the rest
  }
  const way w = of(x, 1, 0.9);
  CHECK(w.taken);
  CHECK(w.kept == size_of_nucleus(x, 1, 0.9));
  CHECK(w.candidates == std::int64_t(4 * 96 * width));
}

}  // namespace
