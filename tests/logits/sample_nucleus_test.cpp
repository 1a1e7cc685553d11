// The nucleus by estimates and a few exact weights against the full search over the row, bit by
// bit, on rows made to mislead the estimates.
#include <doctest/doctest.h>
#include "sample_drawn.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

namespace {

using namespace hence;
constexpr float inf = std::numeric_limits<float>::infinity();
using drawing::drawn;
using drawing::run;

/// Rows by kind; -1 after the last.
int fill(int kind, std::vector<float>& x, std::mt19937& random) {
  std::normal_distribution<float> normal(0, 2.5f);
  const std::size_t n = x.size();
  for (float& v : x) v = normal(random);
  const auto each = [&](auto f) {
    for (std::size_t i = 0; i < n; ++i) x[i] = f(i, x[i]);
  };
  switch (kind) {
    case 0:
      return 1;  // wide
    case 1:
      each([](std::size_t i, float v) { return i % 97 == 7 ? v + 9 : v; });
      return 1;
    case 2:
      each([](std::size_t, float) { return 1.5f; });
      return 1;  // one tie
    case 3:
      each([](std::size_t, float v) { return std::round(v); });
      return 1;
    case 4:
      each([](std::size_t, float v) { return std::round(v) * 1e-3f; });
      return 1;
    case 5:
      each([](std::size_t, float v) { return v * 1e-6f; });
      return 1;  // flat
    case 6:
      each([](std::size_t i, float v) { return v + 0.002f * float(i); });
      return 1;
    case 7:
      each([](std::size_t i, float v) { return v - 0.002f * float(i); });
      return 1;
    case 8:
      each([&](std::size_t, float v) { return random() % 10 ? -inf : v; });
      return 1;
    case 9:
      each([n](std::size_t i, float v) { return i == n / 2 + 5 ? v : -inf; });
      return 1;
    case 10:
      x[n - 1] = 60;
      return 1;  // one token that a sample may miss
    case 11:
      x[n / 3 + 1] = 500;
      return 1;
    case 12:
      x[n / 3 + 1] = 1e30f;
      return 1;
    case 13:
      each([](std::size_t, float v) { return v + 1e4f; });
      return 1;
    case 14:
      each([](std::size_t, float v) { return v * 1e30f; });
      return 1;
    case 15:
      each([](std::size_t, float v) { return v * 20; });
      return 1;
    case 16:
      each([](std::size_t i, float) { return i % 2 ? 0.0f : -0.0f; });
      return 1;
    case 17:
      x[n - 3] = NAN;
      return 1;
    case 18:
      x[n / 2] = inf;
      return 1;
    case 19:
      each([](std::size_t, float) { return -inf; });
      return 1;
    // half the mass in a few, half in very many equal ones: the boundary lies in a tie
    case 20:
      each([](std::size_t i, float) { return i % 1000 == 3 ? std::log(1000.0f) : 0.0f; });
      return 1;
    case 21:
      each([&](std::size_t, float) { return random() % 2 ? -39.0f : 0.0f; });
      return 1;
    default:
      return -1;
  }
}

TEST_CASE("candidates that are a third of the row, where there is hardly room to list them") {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 1);
  for (std::uint32_t trial = 0; trial < 1500; ++trial) {
    const std::size_t columns = 1024 + trial % 64;
    const std::size_t many = columns / 3 - 6 + random() % 14;
    std::vector<float> x;
    for (std::size_t i = 0; i < columns; ++i)
      x.push_back(i < many ? 0.1f * normal(random) : -7 + 0.05f * normal(random));
    std::shuffle(x.begin(), x.end(), random);
    const sample_rule rule{.temperature = 1, .top_p = 0.9 + 0.000098 * double(random() % 1000)};
    const float u = uniform_of(3, {.token = trial});
    CHECK(run(cpu{}, rule, x, u) == run(reference<float>{}, rule, x, u));
  }
}

TEST_CASE("the kept set and the draw are those of the full search") {
  std::mt19937 random(2);
  const double shares[] = {0.95, 0.5, 0.9, 0.999, 0.03, 1 - 1e-9};
  const double temperatures[] = {0.8, 1.0, 0.3, 2.5};
  int round = 0, compared = 0;
  for (const std::size_t columns : {1024u, 1500u, 9001u})
    for (int kind = 0;; ++kind) {
      std::vector<float> x(columns);
      if (fill(kind, x, random) < 0) break;
      for (const double p : shares) {
        const sample_rule rule{.temperature = temperatures[++round % 4],
                               .top_p = p,
                               .min_p = round % 5 == 0 ? 0.01 : 0.0,
                               .typical_p = round % 7 == 0 ? 0.8 : 1.0};
        const float u = uniform_of(3, {.token = static_cast<std::uint32_t>(round)});
        const drawn fast = run(cpu{}, rule, x, u), full = run(reference<float>{}, rule, x, u);
        INFO("kind ", kind, ", columns ", columns, ", p ", p);
        CHECK(fast == full);
        ++compared;
      }
    }
  CHECK(compared == 3 * 22 * 6);
}

TEST_CASE("rows to be refused, and a boundary on the last bits of the whole") {
  std::vector<float> x(2048, -inf);
  const sample_rule rule{.temperature = 1.0, .top_p = 0.9};
  CHECK(run(cpu{}, rule, x, 0.5f).found == status::non_finite);
  CHECK(run(cpu{}, rule, x, 0.5f) == run(reference<float>{}, rule, x, 0.5f));
  for (const float bad : {inf, std::nanf("")}) {
    x.assign(2048, 1.0f);
    x[1999] = bad;
    CHECK(run(cpu{}, rule, x, 0.5f).found == status::non_finite);
    CHECK(run(cpu{}, rule, x, 0.5f) == run(reference<float>{}, rule, x, 0.5f));
  }
  // eight of sixteen equal tokens are the share, to the last bits of what lies far below them
  for (std::size_t i = 0; i < 2048; ++i)
    x[i] = i % 128 == 5 ? 0.0f : -21.0f - 0.001f * static_cast<float>(i % 100);
  const double scale = 1.4426950408889634;
  std::uint64_t one = std::uint64_t{1} << 56;
  long double all = 0;
  for (const float v : x) all += detail::sample_weight<native_isa>(v, 0, scale);
  const double half = static_cast<double>(8.0L * static_cast<long double>(one) / all);
  for (int k = -40; k <= 40; ++k) {
    const sample_rule close{.temperature = 1.0, .top_p = half * (1 + k * 0x1p-48)};
    const drawn fast = run(cpu{}, close, x, 0.7f);
    CHECK(fast == run(reference<float>{}, close, x, 0.7f));
    const auto kept = std::count(fast.kept.begin(), fast.kept.end(), 1);
    if (k < -2) CHECK(kept == 8);
    if (k > 2) CHECK(kept == 9);
  }
}

TEST_CASE("the boundary lies as near to a tie as a share can say") {
  // none to forty tokens for sure, a tie of sixteen, eight at the very bound of the candidates, and
  // many far below whose weights all round the same way or whose estimates err
  const double one = 0x1p+56;
  int compared = 0;
  for (const double weight : {0.49, 0.51, 9.4, 9.6, 10.4, 10.6, 1000.4, 1e5, 1e7, 1e9, 3e11})
    for (const int above : {0, 3, 40}) {
      std::vector<float> x(2048, static_cast<float>((std::log2(weight) - 56) / 1.4426950408889634));
      for (std::size_t i = 0; i < 16; ++i) x[5 + 128 * i] = 0;
      for (int i = 0; i < 8; ++i) x[std::size_t(40 + 250 * i)] = -1;
      for (int i = 0; i < above; ++i) x[std::size_t(71 + 48 * i)] = 2;
      const float top = above > 0 ? 2.0f : 0.0f;
      long double all = 0;
      const auto weigh = [&](float v) {
        return static_cast<long double>(
            detail::sample_weight<native_isa>(v, top, 1.4426950408889634));
      };
      for (const float v : x) all += weigh(v);
      const long double near = (above * static_cast<long double>(one) + 8 * weigh(0)) / all;
      for (int k = 0; k < 52; ++k)
        for (const int sign : {-1, 1}) {
          const int steps = k < 12 ? k : static_cast<int>(std::exp2(0.5 * (k - 5)));
          const auto p = static_cast<double>(near + sign * steps * 0x1p-48L);
          const sample_rule rule{.temperature = 1.0, .top_p = p};
          CAPTURE(weight);
          CAPTURE(steps);
          CHECK(run(cpu{}, rule, x, 0.7f) == run(reference<float>{}, rule, x, 0.7f));
          ++compared;
        }
    }
  CHECK(compared == 3432);
}

TEST_CASE("bf16, with a boundary in a tie, and top-k of ties") {
  std::mt19937 random(5);
  std::normal_distribution<float> normal(0, 2);
  std::vector<bf16> x;
  for (int i = 0; i < 5000; ++i) x.push_back(bf16(normal(random)));
  for (const sample_rule& rule :
       {sample_rule{.temperature = 0.9, .top_p = 0.8}, sample_rule{.temperature = 1.0, .top_k = 50},
        sample_rule{.temperature = 1.0, .top_k = 700, .top_p = 0.9}})
    CHECK(run(cpu{}, rule, x, 0.7f) == run(reference<float>{}, rule, x, 0.7f));
  const std::vector<float> equal(3000, 1.0f);
  for (const std::int64_t k : {1, 50, 1400, 1600})
    CHECK(run(cpu{}, {.temperature = 1.0, .top_k = k}, equal, 0.99f) ==
          run(reference<float>{}, {.temperature = 1.0, .top_k = k}, equal, 0.99f));
}

TEST_CASE("without a filter every token of finite logit is kept") {
  std::mt19937 random(7);
  for (const std::size_t columns : {5u, 63u, 64u, 65u, 1000u, 4097u})
    for (int kind = 0; kind < 22; ++kind) {
      std::vector<float> x(columns);
      fill(kind, x, random);
      const sample_rule rule{.temperature = kind % 2 ? 1.0 : 0.05};
      for (const float u : {0.0f, 0.3f, 0x1.fffffep-1f})
        CHECK(run(cpu{}, rule, x, u) == run(reference<float>{}, rule, x, u));
    }
}

}  // namespace
