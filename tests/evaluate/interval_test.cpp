#include <hence/evaluate/interval.hpp>

#include <doctest/doctest.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace evaluate = hence::evaluate;

TEST_CASE("Wilson: known answers") {
  // 8 of 10 at 95%: Brown, Cai and DasGupta's formula by hand
  const auto i = evaluate::wilson(8, 10, evaluate::z95);
  const double z = 1.959963984540054, p = 0.8, n = 10;
  const double middle = (p + z * z / (2 * n)) / (1 + z * z / n);
  const double half = z / (1 + z * z / n) * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  CHECK(i.low == doctest::Approx(middle - half).epsilon(1e-14));
  CHECK(i.high == doctest::Approx(middle + half).epsilon(1e-14));
  CHECK(i.low == doctest::Approx(0.4901625).epsilon(1e-6));
  CHECK(evaluate::wilson(0, 10, evaluate::z95).low == 0);
  CHECK(evaluate::wilson(10, 10, evaluate::z95).high == 1);
  CHECK(evaluate::wilson(0, 10, evaluate::z95).high == doctest::Approx(0.2775328).epsilon(1e-6));
}

TEST_CASE("Wilson: shares between 0 and 1 whatever z is") {
  for (const double z : {1.0, 1.5, 1e3, 1e7, 9e8})
    for (int n = 1; n < 100; ++n)
      for (int k = 0; k <= n; ++k) {
        const auto i = evaluate::wilson(k, n, z);
        const double p = static_cast<double>(k) / n;
        CHECK((i.low >= 0 && i.low <= p && p <= i.high && i.high <= 1) == true);
      }
}

TEST_CASE("bootstrap: the same seed, the same bits; it holds the mean") {
  std::vector<double> values(200), means(2000), again(2000);
  for (std::size_t i = 0; i < 200; ++i) values[i] = i % 4 == 0 ? 1 : 0;
  const auto a = evaluate::bootstrap(values, 0.95, 7, means);
  const auto b = evaluate::bootstrap(values, 0.95, 7, again);
  CHECK(a.low == b.low);
  CHECK(a.high == b.high);
  CHECK(means == again);
  // the normal approximation, half width 1.96 sqrt(0.25 0.75 / 200) = 0.060
  CHECK(a.low == doctest::Approx(0.19).epsilon(0.06));
  CHECK(a.high == doctest::Approx(0.31).epsilon(0.06));
  double mean = 0;
  for (const double m : means) mean += m / 2000;
  CHECK(mean == doctest::Approx(0.25).epsilon(0.02));
  CHECK(evaluate::bootstrap(values, 0.95, 8, again).low != doctest::Approx(-1));
  CHECK(means != again);
}

TEST_CASE("the ends are those resamples that leave as many outside") {
  std::vector<double> values(50), means(401);
  for (std::size_t i = 0; i < 50; ++i) values[i] = static_cast<double>(i * i * i % 997);
  const auto i = evaluate::bootstrap(values, 0.75, 5, means);  // of 401: 50 outside at each end
  CHECK(std::is_sorted(means.begin(), means.end()));
  CHECK(i.low == means[50]);
  CHECK(i.high == means[350]);
  CHECK(means[49] < means[51]);
  CHECK(means[349] < means[351]);
  means.resize(400);  // a share of 49.875: 49 outside
  const auto fewer = evaluate::bootstrap(values, 0.75, 5, means);
  CHECK(fewer.low == means[49]);
  CHECK(fewer.high == means[350]);
  CHECK(means[49] < means[50]);
  CHECK(means[349] < means[350]);
  std::vector<double> single(1);
  const auto one = evaluate::bootstrap(values, 0.9, 5, single);
  CHECK(one.low == one.high);
}

TEST_CASE("bootstrap of a constant and of one value") {
  std::vector<double> means(100);
  const std::vector<double> constant(5, 0.25), one{0.75};
  CHECK(evaluate::bootstrap(constant, 0.9, 1, means).low == 0.25);
  CHECK(evaluate::bootstrap(constant, 0.9, 1, means).high == 0.25);
  CHECK(evaluate::bootstrap(one, 0.9, 1, means).high == 0.75);
}

TEST_CASE("the draws are Philox's words 0 and 2 of a counter for each two of them") {
  const std::vector<double> values{1, 2, 4, 8, 16};
  std::vector<double> means(1);
  double sum = 0;
  for (std::uint32_t i = 0; i < 5; ++i) {
    const std::uint64_t word = hence::philox(7, {i / 2, 0, 0}).word[i % 2 * 2];
    sum += values[static_cast<std::size_t>(word * 5 >> 32)];
  }
  evaluate::bootstrap(values, 0.5, 7, means);
  CHECK(means[0] == sum / 5);
}

TEST_CASE("bootstrap draws every prompt as often") {
  std::vector<double> values(3), means(3000);
  for (std::size_t which = 0; which < 3; ++which) {
    for (std::size_t i = 0; i < 3; ++i) values[i] = i == which;
    evaluate::bootstrap(values, 0.5, 3, means);
    double sum = 0;
    for (const double m : means) sum += m;
    CHECK(sum / 3000 == doctest::Approx(1.0 / 3).epsilon(0.05));
  }
}

TEST_CASE("bad arguments are refused") {
  std::vector<double> means(10), values{1, 2}, none;
  CHECK_THROWS_WITH(evaluate::wilson(1, 0, 1), "hence: trials is 0, expected 1 or more");
  CHECK_THROWS_WITH(evaluate::wilson(3, 2, 1),
                    "hence: successes is 3, expected 0 to trials, which is 2");
  CHECK_THROWS_WITH(evaluate::wilson(-1, 2, 1),
                    "hence: successes is -1, expected 0 to trials, which is 2");
  CHECK_THROWS_WITH(evaluate::wilson(1, 2, 0),
                    "hence: z is 0, expected a normal quantile from 1 to 1e9, e.g. 1.96 for 95%");
  // the confidence is not its quantile
  CHECK_THROWS_WITH(
      evaluate::wilson(1, 2, 0.95),
      "hence: z is 0.95, expected a normal quantile from 1 to 1e9, e.g. 1.96 for 95%");
  CHECK_THROWS(evaluate::wilson(1, 2, std::numeric_limits<double>::quiet_NaN()));
  CHECK_THROWS_WITH(
      evaluate::wilson(1, 2, 1e9),
      "hence: z is 1000000000, expected a normal quantile from 1 to 1e9, e.g. 1.96 for 95%");
  const hence::view<const double> many(values.data(), std::int64_t{1} << 31);
  CHECK_THROWS_WITH(evaluate::bootstrap(many, 0.9, 1, means),
                    "hence: values has 2147483648 entries, expected 1 to 2^31 - 1");
  CHECK_THROWS_WITH(evaluate::bootstrap(values, 0, 1, means),
                    "hence: confidence is 0, expected a number between 0 and 1");
  CHECK_THROWS_WITH(evaluate::bootstrap(none, 0.9, 1, means),
                    "hence: values has 0 entries, expected 1 to 2^31 - 1");
  CHECK_THROWS_WITH(evaluate::bootstrap(values, 0.9, 1, none),
                    "hence: means has no entry, expected one per resample");
  CHECK_THROWS_WITH(evaluate::bootstrap(values, 1, 1, means),
                    "hence: confidence is 1, expected a number between 0 and 1");
  values[1] = std::numeric_limits<double>::infinity();
  CHECK_THROWS_WITH(evaluate::bootstrap(values, 0.9, 1, means),
                    "hence: values[1] is inf, expected a finite number");
}

TEST_CASE("what lies behind the values is none of them") {
  const std::vector<double> more{1, 2, std::numeric_limits<double>::infinity()};
  std::vector<double> means(10);
  const hence::view<const double> two(more.data(), 2);
  CHECK(evaluate::bootstrap(two, 0.9, 1, means).high <= 2);
}

TEST_CASE("each resample draws as many values as there are, odd or even") {
  for (std::size_t size = 1; size < 8; ++size) {
    const std::vector<double> same(size, 0.375);
    std::vector<double> means(20);
    const auto i = evaluate::bootstrap(same, 0.9, 3, means);
    CHECK(i.low == 0.375);
    CHECK(i.high == 0.375);
  }
  // of three values one is 1: 0 to 3 of the draws are, with the chances C(3, k) 2^(3 - k) / 27
  const std::vector<double> values{0, 0, 1};
  std::vector<double> means(27000);
  evaluate::bootstrap(values, 0.9, 4, means);
  const double expected[] = {8000, 12000, 6000, 1000};
  double seen[4] = {};
  for (const double m : means) seen[std::lround(3 * m)] += 1;
  for (int k = 0; k < 4; ++k)  // five standard deviations
    CHECK(std::abs(seen[k] - expected[k]) < 5 * std::sqrt(expected[k] * (1 - expected[k] / 27000)));
}
