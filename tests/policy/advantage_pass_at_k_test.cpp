// pass@k against its formula, written plainly in __float128.
#include "advantage_oracle.hpp"

#include <doctest/doctest.h>
#include <hence/policy/advantage_pass_at_k.hpp>

#include <stdexcept>
#include <string>

namespace {

using namespace hence;
using namespace advantage_oracle;
using namespace hence::advantage;

template <class S>
void check_group(const std::vector<S>& r, bool scaled, int ddof, double eps,
                 const std::vector<S>& got) {
  const oracle own(r.data(), r.size());
  const auto best = std::size_t(std::max_element(r.begin(), r.end()) - r.begin());  // the first
  quad second = -quad(1e300) * quad(1e300);
  for (std::size_t i = 0; i < r.size(); ++i)
    if (i != best) second = std::max(second, quad(r[i]));
  const quad divisor = scaled ? own.sigma(ddof) + quad(eps) : quad(1);
  const quad want = divisor == 0 ? 0 : (quad(r[best]) - second) / divisor;
  for (std::size_t i = 0; i < r.size(); ++i)
    if (i == best)
      CHECK(magnitude(quad(got[i]) - want) <=
            quad(0.51) * ulp<S>(want) + quad(0x1p-45) * magnitude(want));
    else
      CHECK(got[i] == 0);
}

}  // namespace

TEST_CASE("pass@k") {
  std::mt19937 random(21);
  for (int trial = 0; trial < 400; ++trial) {
    const std::size_t n = 2 + random() % 30;
    const auto r = draw<float>(trial % 6, n, random);
    const std::vector<double> wide(r.begin(), r.end());
    const std::vector<std::int64_t> cu{0, std::int64_t(n)};
    const int ddof = int(random() % 2);
    const double eps = std::array{0.0, 1e-6, 0.5}[random() % 3];
    const pass_at_k scaled{scale_group{ddof, eps}, singleton_zero{}};
    const pass_at_k plain{scale_none{}, singleton_zero{}};
    const auto a = run<float>(cpu{}, scaled, cu, r), b = run<float>(cpu{}, plain, cu, r);
    check_group(r, true, ddof, eps, a);
    check_group(r, false, ddof, eps, b);
    check_group(wide, true, ddof, eps, run<double>(reference<double>{}, scaled, cu, wide));
    CHECK(same_bits(run<float>(reference<float>{}, scaled, cu, r), a));
    reversed_pool pool{3};
    CHECK(same_bits(run<float>(cpu{pool}, plain, cu, r), b));
  }
}

TEST_CASE("pass@k: ties, groups of one, constant groups, bad rewards") {
  status s;
  const std::vector<float> r{1, 3, 3, 2, 5, 7, 7, 0.5f};
  const std::vector<std::int64_t> cu{0, 4, 5, 7, 8};
  CHECK(run<float>(cpu{}, pass_at_k{scale_none{}, singleton_raw{}}, cu, r, &s) ==
        std::vector<float>{0, 0, 0, 0, 5, 0, 0, 0.5f});
  CHECK(s == status::ok);
  CHECK(run<float>(cpu{}, pass_at_k{scale_group{1, 0.0}, singleton_zero{}}, {0, 4},
                   std::vector<float>{1, 3, 2, 2.5f})[0] == 0);
  run<float>(cpu{}, pass_at_k{scale_none{}, singleton_error{}}, cu, r, &s);
  CHECK(s == status::singleton);
  CHECK(run<float>(cpu{}, pass_at_k{scale_none{}, singleton_zero{}}, {0, 2},
                   std::vector<float>{1, 3}, &s)[1] == 2);
  CHECK(s == status::ok);
  const std::vector<float> equal(4, 0.7f);
  CHECK(
      same_bits(run<float>(cpu{}, pass_at_k{scale_group{1, 0.0}, singleton_zero{}}, {0, 4}, equal),
                std::vector<float>(4, 0.0f)));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto a = run<float>(cpu{}, pass_at_k{scale_none{}, singleton_zero{}}, {0, 2, 4},
                            std::vector<float>{nan, 1, 2, 1}, &s);
  CHECK((std::isnan(a[0]) && std::isnan(a[1]) && a[2] == 1 && a[3] == 0));
  CHECK(s == status::non_finite);
  run<float>(cpu{}, pass_at_k{scale_none{}, singleton_zero{}}, {0, 2},
             std::vector<float>{3e38f, -3e38f}, &s);
  CHECK(s == status::non_finite);  // 6e38
  std::vector<float> out(8, -7.0f);
  CHECK_THROWS_WITH_AS(advantages(cpu{}, pass_at_k{scale_group{1, -1.0}, singleton_zero{}},
                                  groups{.cu_groups = cu}, r, out),
                       "hence: scale_group.eps is -1, expected a finite number, 0 or more",
                       std::invalid_argument);
  CHECK(out == std::vector<float>(8, -7.0f));
}
