// exp2, log and log1p in float64 against quadruple precision.
#include "core/math_oracle.hpp"

#include <doctest/doctest.h>
#include <hence/core/math_wide.hpp>

namespace {

using oracle::quad;
using N = hence::num<double>;

double relative(double got, quad want) {
  const quad e = (quad(got) - want) / want;
  return std::abs(static_cast<double>(e));
}

TEST_CASE("float64 functions are within 2^-50") {
  std::mt19937_64 random(3);
  std::uniform_real_distribution<double> uniform(-1, 1);
  double log_error = 0, exp2_error = 0, log1p_error = 0;
  for (int i = 0; i < 20000; ++i) {
    const double x = std::exp(uniform(random) * (i % 2 ? 600 : 1e-3 * (1 + i % 7)));
    log_error =
        std::max(log_error, relative(hence::detail::wide_log(N(x)).v, oracle::log(quad(x))));
    const double y = uniform(random) * (i % 2 ? 999 : 1);
    exp2_error = std::max(exp2_error, relative(hence::detail::wide_exp2(N(y)).v,
                                               oracle::exp(quad(y) * oracle::ln2())));
    const double z =
        0.5 * std::abs(uniform(random)) * (i % 2 ? 1 : std::exp(-50 * std::abs(uniform(random))));
    if (z == 0) continue;
    quad series = 0;
    if (z < 1e-3)
      for (int k = 12; k >= 1; --k) series = (k % 2 ? quad(1) : quad(-1)) / k + quad(z) * series;
    const quad want = z < 1e-3 ? quad(z) * series : oracle::log(1 + quad(z));
    log1p_error = std::max(log1p_error, relative(hence::detail::wide_log1p(N(z)).v, want));
  }
  CHECK(log_error < 0x1p-50);
  CHECK(exp2_error < 0x1p-50);
  CHECK(log1p_error < 0x1p-50);
  CHECK(hence::detail::wide_exp2(N(1e300)).v == 0x1p+1000);
  CHECK(hence::detail::wide_exp2(N(-1e300)).v == 0x1p-1000);
  CHECK(hence::detail::wide_log(N(1.0)).v == 0);
  CHECK(hence::detail::wide_log1p(N(0.0)).v == 0);
}

}  // namespace
