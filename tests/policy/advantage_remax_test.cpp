// ReMax: one subtraction, rounded once.
#include "advantage_oracle.hpp"

#include <doctest/doctest.h>
#include <hence/policy/advantage_remax.hpp>

#include <stdexcept>

using namespace hence;
using namespace advantage_oracle;
using namespace hence::advantage;

TEST_CASE("ReMax") {
  std::mt19937 random(71);
  for (int trial = 0; trial < 100; ++trial) {
    const auto r = draw<float>(trial % 10, 200, random), b = draw<float>(trial % 10, 200, random);
    const remax rule{view<const float>(b)};
    const std::vector<std::int64_t> cu{0, 50, 51, 200};
    const auto a = run<float>(cpu{}, rule, cu, r);
    for (std::size_t i = 0; i < r.size(); ++i)
      CHECK(a[i] == static_cast<float>(double(r[i]) - double(b[i])));
    CHECK(same_bits(run<float>(reference<float>{}, rule, cu, r), a));
    reversed_pool pool{3};
    CHECK(same_bits(run<float>(cpu{pool}, rule, cu, r), a));
    const std::vector<double> wide(r.begin(), r.end()), wide_b(b.begin(), b.end());
    const auto d = run<double>(reference<double>{}, remax{view<const double>(wide_b)}, cu, wide);
    for (std::size_t i = 0; i < r.size(); ++i) CHECK(d[i] == wide[i] - wide_b[i]);
  }
  status s;
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> baselines{1, 1, inf, 1}, r{2, std::nanf(""), 1, inf};
  const auto a = run<float>(cpu{}, remax{view<const float>(baselines)}, {0, 4}, r, &s);
  CHECK((a[0] == 1 && std::isnan(a[1]) && std::isnan(a[2]) && std::isnan(a[3])));
  CHECK(s == status::non_finite);
  const std::vector<float> zeros{0, 1}, finite{-0.0f, 3};
  const auto f = run<float>(cpu{}, remax{view<const float>(zeros)}, {0, 2}, finite, &s);
  CHECK(s == status::ok);
  CHECK(
      (f[0] == 0 && !std::signbit(f[0]) && f[1] == 2));  // -0 less +0 is +0, as other rules have it
  std::vector<float> out(4, -7.0f);
  const std::vector<std::int64_t> cu{0, 4};
  CHECK_THROWS_WITH_AS(
      advantages(cpu{}, remax{view<const float>(r.data(), 3)}, groups{.cu_groups = cu}, r, out),
      "hence: baselines has 3 entries, cu_groups describes 4 rows", std::invalid_argument);
  CHECK_THROWS_WITH_AS(
      advantages(cpu{}, remax{view<const float>(out)}, groups{.cu_groups = cu}, r, out),
      "hence: out overlaps baselines, expected separate arrays of 4 rows", std::invalid_argument);
  CHECK(out == std::vector<float>(4, -7.0f));
}
