// Mean and deviation without the row itself, against their definition in __float128.
#include "advantage_oracle.hpp"

#include <doctest/doctest.h>
#include <hence/policy/advantage_leave_one_out.hpp>

#include <stdexcept>

namespace {

using namespace hence;
using namespace advantage_oracle;
using namespace hence::advantage;

template <class S>
void check_group(const std::vector<S>& r, int ddof, double eps, bool centred,
                 const std::vector<S>& got) {
  for (std::size_t i = 0; i < r.size(); ++i) {
    std::vector<S> others = r;
    others.erase(others.begin() + std::ptrdiff_t(i));
    const oracle rest(others.data(), others.size());
    const quad c = quad(r[i]) - (rest.constant ? rest.rewards[0] : rest.mean), s = rest.sigma(ddof);
    const quad want = rest.constant ? (centred ? c : quad(0)) : c / (s + quad(eps));
    const oracle all(r.data(), r.size());
    const quad slack =
        quad(0x1p-44) * (rest.constant ? all.range() : all.range() / (s + quad(eps)));
    CHECK(magnitude(quad(got[i]) - want) <=
          quad(0.51) * ulp<S>(want) + slack + quad(0x1p-40) * magnitude(want));
    if (rest.constant && !centred) CHECK(got[i] == 0);
  }
}

}  // namespace

TEST_CASE("leave-one-out deviation") {
  std::mt19937 random(31);
  for (int trial = 0; trial < 600; ++trial) {
    const std::size_t n = 2 + random() % (trial % 2 ? 4 : 30);
    auto r = draw<float>(trial % 6, n, random);
    if (trial % 5 == 0) {  // all equal but one, or but two
      std::fill(r.begin(), r.end(), 0.1f);
      r[random() % n] = 0.9f;
      if (trial % 10 == 0) r[random() % n] = std::nextafter(0.1f, 1.0f);
    }
    const std::vector<double> wide(r.begin(), r.end());
    const std::vector<std::int64_t> cu{0, std::int64_t(n)};
    const int ddof = int(random() % 2);
    const double eps = std::array{0.0, 1e-6, 0.5}[random() % 3];
    const leave_one_out zero{ddof, eps, zero_variance_zero{}, singleton_zero{}};
    const leave_one_out centred{ddof, eps, zero_variance_centred{}, singleton_zero{}};
    const auto a = run<float>(cpu{}, zero, cu, r);
    check_group(r, ddof, eps, false, a);
    check_group(r, ddof, eps, true, run<float>(cpu{}, centred, cu, r));
    check_group(wide, ddof, eps, false, run<double>(reference<double>{}, zero, cu, wide));
    CHECK(same_bits(run<float>(reference<float>{}, zero, cu, r), a));
    reversed_pool pool{3};
    CHECK(same_bits(run<float>(cpu{pool}, zero, cu, r), a));
    std::vector<float> backwards(r.rbegin(), r.rend());
    auto b = run<float>(cpu{}, zero, cu, backwards);
    std::reverse(b.begin(), b.end());
    CHECK(same_bits(b, a));
  }
}

TEST_CASE("leave-one-out deviation: groups of one and of two, constant groups, bad rewards") {
  status s;
  const leave_one_out zero{1, 0.0, zero_variance_zero{}, singleton_raw{}};
  const leave_one_out centred{1, 0.0, zero_variance_centred{}, singleton_error{}};
  const std::vector<float> r{2, 1, 4, 0.7f, 0.7f, 0.7f};
  CHECK(run<float>(cpu{}, zero, {0, 1, 3, 6}, r, &s) == std::vector<float>{2, 0, 0, 0, 0, 0});
  CHECK(s == status::ok);
  const auto a = run<float>(cpu{}, centred, {0, 1, 3, 6}, r, &s);
  CHECK((std::isnan(a[0]) && a[1] == -3 && a[2] == 3 && a[3] == 0 && a[5] == 0));
  CHECK(s == status::singleton);
  CHECK(run<float>(cpu{}, centred, {0, 3}, std::vector<float>{1e6f, 3e6f, 3e6f})[0] == -2e6f);
  CHECK(run<double>(reference<double>{}, centred, {0, 3},
                    std::vector<double>{1e300, 3e300, 3e300})[0] ==
        doctest::Approx(-2e300).epsilon(1e-12));
  CHECK(run<double>(reference<double>{}, centred, {0, 3},
                    std::vector<double>{1e-300, 3e-300, 3e-300})[0] ==
        doctest::Approx(-2e-300).scale(0).epsilon(1e-12));
  const leave_one_out most{1, 1.7e308, zero_variance_zero{}, singleton_zero{}};
  CHECK(run<float>(cpu{}, most, {0, 3}, std::vector<float>{1, 2, 4}) ==
        std::vector<float>(3, 0.0f));
  const float inf = std::numeric_limits<float>::infinity();
  const auto b = run<float>(cpu{}, zero, {0, 2, 5}, std::vector<float>{inf, 1, 2, 1, 0}, &s);
  CHECK((std::isnan(b[0]) && std::isnan(b[1]) && b[3] == 0 && b[2] > 0));
  CHECK(s == status::non_finite);
  std::vector<float> out(6, -7.0f);
  const std::vector<std::int64_t> cu{0, 6};
  CHECK_THROWS_WITH_AS(
      advantages(cpu{}, leave_one_out{-1, 0.0, zero_variance_zero{}, singleton_zero{}},
                 groups{.cu_groups = cu}, r, out),
      "hence: leave_one_out.ddof is -1, expected 0 or more", std::invalid_argument);
  CHECK_THROWS_WITH_AS(
      advantages(cpu{}, leave_one_out{1, -1.0, zero_variance_zero{}, singleton_zero{}},
                 groups{.cu_groups = cu}, r, out),
      "hence: leave_one_out.eps is -1, expected a finite number, 0 or more", std::invalid_argument);
  CHECK_THROWS_WITH_AS(
      advantages(cpu{}, leave_one_out{1, HUGE_VAL, zero_variance_zero{}, singleton_zero{}},
                 groups{.cu_groups = cu}, r, out),
      "hence: leave_one_out.eps is inf, expected a finite number, 0 or more",
      std::invalid_argument);
  CHECK(out == std::vector<float>(6, -7.0f));
  // an advantage beyond float's range: the others hardly differ
  run<float>(cpu{}, leave_one_out{1, 0.0, zero_variance_zero{}, singleton_zero{}}, {0, 3},
             std::vector<float>{3e38f, 1e-38f, 2e-38f}, &s);
  CHECK(s == status::non_finite);
}
