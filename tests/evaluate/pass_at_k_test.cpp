#include <hence/evaluate/pass_at_k.hpp>

#include <doctest/doctest.h>
#include <cmath>
#include <vector>

namespace evaluate = hence::evaluate;
using evaluate::pass_at_k;

namespace {

__extension__ typedef __float128 wide;

/// 1 - C(n - c, k) / C(n, k) in 113 bits, by the product that the paper's code uses, and where that
/// cancels by its complement's sum.
double exact(std::int64_t n, std::int64_t c, std::int64_t k) {
  if (n - c < k) return 1;
  wide left = 1, found = 0;
  for (std::int64_t j = 0; j < k; ++j) {
    found += left * static_cast<wide>(c) / static_cast<wide>(n - j);
    left *= static_cast<wide>(n - c - j) / static_cast<wide>(n - j);
  }
  return static_cast<double>(found);
}

}  // namespace

TEST_CASE("known answers") {
  CHECK(pass_at_k(10, 0, 5) == 0);
  CHECK(pass_at_k(10, 10, 5) == 1);
  CHECK(pass_at_k(10, 3, 1) == 0.3);
  CHECK(pass_at_k(4, 2, 2) == doctest::Approx(5.0 / 6).epsilon(1e-15));
  CHECK(pass_at_k(10, 6, 5) == 1);
  CHECK(pass_at_k(1, 1, 1) == 1);
}

TEST_CASE("every n up to 40 against 113 bits") {
  double worst = 0;
  for (std::int64_t n = 1; n <= 40; ++n)
    for (std::int64_t c = 0; c <= n; ++c)
      for (std::int64_t k = 1; k <= n; ++k) {
        const double want = exact(n, c, k);
        if (want == 0)
          CHECK(pass_at_k(n, c, k) == 0);
        else
          worst = std::fmax(worst, std::fabs(pass_at_k(n, c, k) / want - 1));
      }
  CHECK(worst < 2e-15);
}

TEST_CASE("n = 10^6: tiny, middling and near one") {
  const std::int64_t n = 1000000;
  for (const std::int64_t c : {1, 2, 17, 1000, 50000, 999998, 999999})
    for (const std::int64_t k : {1, 2, 3, 100, 1000, 7000, 500000}) {
      const double want = exact(n, c, k);
      CHECK(std::fabs(pass_at_k(n, c, k) / want - 1) < 1e-12);
      CHECK(pass_at_k(n, c, k) <= 1);
    }
  CHECK(pass_at_k(n, 1, 1) == 1e-6);
  CHECK(pass_at_k(n, 1, 1000) == doctest::Approx(1e-3).epsilon(1e-15));
}

TEST_CASE("it grows with k and with c") {
  for (std::int64_t c = 0; c <= 64; ++c)
    for (std::int64_t k = 2; k <= 64; ++k) {
      CHECK(pass_at_k(64, c, k) >= pass_at_k(64, c, k - 1) - 1e-15);
      if (c > 0) CHECK(pass_at_k(64, c, k) >= pass_at_k(64, c - 1, k) - 1e-15);
    }
}

TEST_CASE("many prompts, and their mean in any order") {
  const std::vector<std::int64_t> n{10, 20, 30}, c{1, 0, 30}, rn{30, 20, 10}, rc{30, 0, 1};
  std::vector<double> out(3), reversed(3);
  const double mean = pass_at_k(n, c, 2, out);
  CHECK(out == std::vector<double>{pass_at_k(10, 1, 2), 0, 1});
  CHECK(mean == doctest::Approx(1.2 / 3));
  CHECK(pass_at_k(rn, rc, 2, reversed) == mean);
  std::vector<double> none;
  const hence::view<const std::int64_t> nothing;
  CHECK(pass_at_k(nothing, nothing, 2, none) == 0);
}

TEST_CASE("what is no sample count is refused, nothing is written") {
  CHECK_THROWS_WITH(pass_at_k(4, 2, 0), "hence: k is 0, expected 1 to samples[0], which is 4");
  CHECK_THROWS_WITH(pass_at_k(4, 2, 5), "hence: k is 5, expected 1 to samples[0], which is 4");
  CHECK_THROWS_WITH(pass_at_k(4, 5, 1),
                    "hence: correct[0] is 5, expected 0 to samples[0], which is 4");
  CHECK_THROWS_WITH(pass_at_k(4, -1, 1),
                    "hence: correct[0] is -1, expected 0 to samples[0], which is 4");
  const std::vector<std::int64_t> n{4, 4}, c{1, 9}, one{1};
  std::vector<double> out{7, 7}, short_out(1);
  CHECK_THROWS_WITH(pass_at_k(n, c, 2, out),
                    "hence: correct[1] is 9, expected 0 to samples[1], which is 4");
  const std::vector<std::int64_t> first{9, 1};
  CHECK_THROWS_WITH(pass_at_k(n, first, 2, out),
                    "hence: correct[0] is 9, expected 0 to samples[0], which is 4");
  CHECK_THROWS_WITH(pass_at_k(n, one, 2, out), "hence: correct has 1 entries, samples has 2");
  CHECK_THROWS_WITH(pass_at_k(n, n, 2, short_out), "hence: out has 1 entries, samples has 2");
  CHECK(out == std::vector<double>{7, 7});
}

TEST_CASE("too few wrong ones to draw: exactly 1") {
  int rounded = 0;
  for (std::int64_t n = 1; n <= 60; ++n)
    for (std::int64_t c = 1; c <= n; ++c)
      for (std::int64_t k = n - c + 1; k <= n; ++k) rounded += evaluate::pass_at_k(n, c, k) != 1;
  CHECK(rounded == 0);
}
