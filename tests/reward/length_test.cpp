#include <hence/reward/length.hpp>

#include <doctest/doctest.h>
#include <cmath>
#include <string>
#include <vector>

namespace length = hence::reward::length;

TEST_CASE("DAPO's soft overlong punishment, eq. 13 with the paper's numbers") {
  const length::soft_overlong f{20480, 4096};
  CHECK(f(0) == 0);
  CHECK(f(16384) == 0);
  CHECK(f(16385) == -1.0 / 4096);
  CHECK(f(18432) == -0.5);
  CHECK(f(20480) == -1);
  CHECK(f(20481) == -1);
  CHECK(f(1000000) == -1);
  const length::soft_overlong hard{100, 0};
  CHECK(hard(100) == 0);
  CHECK(hard(101) == -1);
  CHECK(length::soft_overlong{100, 20}(90) == -0.5);  // TRL's example
}

TEST_CASE("OpenRLHF's is bounded, AReaL's is not") {
  const length::open_rlhf_overlong bounded{100, 20, 0.5};
  const length::areal_overlong endless{100, 20, 0.5};
  for (const std::int64_t n : {0, 80, 81, 90, 100}) CHECK(bounded(n) == endless(n));
  CHECK(bounded(80) == 0);
  CHECK_FALSE(std::signbit(bounded(80)));
  CHECK_FALSE(std::signbit(endless(80)));
  CHECK(bounded(90) == -0.25);
  CHECK(bounded(120) == -0.5);
  CHECK(endless(120) == -1.0);
  CHECK(length::open_rlhf_overlong{100, 0, 1}(200) == 0);
  CHECK(length::areal_overlong{100, 0, 1}(200) == 0);
}

TEST_CASE("stop properly: times the coefficient, or the coefficient") {
  CHECK(length::stop_properly{0.5}(1, true) == 0.5);
  CHECK(length::stop_properly{0.5}(1, false) == 1);
  CHECK(length::stop_properly{0}(1, true) == 0);
  CHECK(std::signbit(length::stop_properly{0}(-1, true)));  // times 0, not 0 instead
  CHECK(length::stop_properly{0.5}(-3, true) == -1.5);
  CHECK(length::stop_properly{-0.5}(-3, true) == -0.5);
  CHECK(length::stop_properly{-0.5}(1, true) == -0.5);
  CHECK(length::stop_properly{-0.5}(1, false) == 1);
}

TEST_CASE("truncated responses leave the loss") {
  const std::vector<std::uint8_t> truncated{0, 1, 255, 0};
  std::vector<std::uint8_t> mask(4, 7);
  length::truncation_mask(truncated, mask);
  CHECK(mask == std::vector<std::uint8_t>{1, 0, 0, 1});
  std::vector<std::uint8_t> three(3);
  CHECK_THROWS_WITH(length::truncation_mask(truncated, three),
                    "hence: truncated has 4 entries, mask has 3");
}

TEST_CASE("cos(pi x) against the C library in long double") {
  double worst = 0;
  for (int i = -40000; i <= 40000; ++i) {
    const double x = i / 4096.0 + i * 1e-9;
    const long double want = cosl(acosl(-1.0L) * fmodl(static_cast<long double>(x), 2.0L));
    worst = std::fmax(worst, static_cast<double>(fabsl(length::cos_pi(x) - want)));
  }
  CHECK(worst < 3e-16);
  CHECK(length::cos_pi(0) == 1);
  CHECK(length::cos_pi(1) == -1);
  CHECK(length::cos_pi(0.5) == 0);
  CHECK(length::cos_pi(-1.5) == 0);
  CHECK(length::cos_pi(0.25) == 0x1.6a09e667f3bcdp-1);  // sqrt(1/2), rounded
  CHECK(length::cos_pi(0x1p52 + 1) == -1);
  CHECK(length::cos_pi(0x1p52 + 2) == 1);
  CHECK(length::cos_pi(0x1p60) == 1);
}

TEST_CASE("the cosine reward") {
  const length::cosine f{1.0, 0.5, -1.0, -0.5, -10.0, 1000};
  CHECK(f(true, 0) == 1.0);
  CHECK(f(true, 500) == 0.75);
  CHECK(f(false, 0) == -1.0);
  CHECK(f(false, 500) == -0.75);
  CHECK(f(true, 1000) == -10.0);
  CHECK(f(true, 999) == doctest::Approx(0.5).epsilon(1e-4));
  const length::open_r1_cosine g{{1.0, 0.5, -1.0, -0.5, 0.0, 1000}};
  for (const int n : {0, 250, 700, 1000, 1500, 2000})
    for (const bool correct : {true, false}) {
      const double low = correct ? 0.5 : -0.5, high = correct ? 1.0 : -1.0;
      CHECK(g(correct, n) ==
            doctest::Approx(low + 0.5 * (high - low) * (1 + std::cos(n * std::acos(-1.0) / 1000)))
                .epsilon(1e-14));
    }
}

TEST_CASE("constants and lengths that do not fit are refused by name") {
  const double nan = std::nan(""), inf = HUGE_VAL;
  CHECK_THROWS_WITH((length::soft_overlong{100, -1}(5)),
                    "hence: cache is -1, expected 0 to longest, which is 100");
  CHECK_THROWS_WITH((length::soft_overlong{100, 101}(5)),
                    "hence: cache is 101, expected 0 to longest, which is 100");
  CHECK_THROWS_WITH((length::soft_overlong{100, 20}(-1)),
                    "hence: tokens is -1, expected 0 or more");
  CHECK(length::soft_overlong{100, 100}(0) == 0);
  CHECK(length::soft_overlong{0, 0}(1) == -1);
  CHECK_THROWS_WITH((length::open_rlhf_overlong{100, -1, 1}(5)),
                    "hence: cache is -1, expected 0 to longest, which is 100");
  CHECK_THROWS_WITH((length::open_rlhf_overlong{100, 1, nan}(5)),
                    "hence: factor is nan, expected a finite number");
  CHECK_THROWS_WITH((length::areal_overlong{100, -1, 1}(5)),
                    "hence: cache is -1, expected 0 to longest, which is 100");
  CHECK_THROWS_WITH((length::areal_overlong{100, 1, inf}(5)),
                    "hence: factor is inf, expected a finite number");
  CHECK_THROWS_WITH(length::stop_properly{nan}(1, false),
                    "hence: coef is nan, expected a finite number");
  const length::cosine good{1.0, 0.5, -1.0, -0.5, -10.0, 1000};
  CHECK_THROWS_WITH(good(true, -1), "hence: tokens is -1, expected 0 or more");
  CHECK_THROWS_WITH((length::open_r1_cosine{good}(true, -1)),
                    "hence: tokens is -1, expected 0 or more");
  length::cosine bad = good;
  bad.longest = 0;
  CHECK_THROWS_WITH(bad(true, 5), "hence: longest is 0, expected 1 or more");
  CHECK_THROWS_WITH((length::open_r1_cosine{bad}(true, 5)),
                    "hence: longest is 0, expected 1 or more");
  bad.longest = 1;
  CHECK(bad(true, 0) == 1.0);
  double length::cosine::* const members[] = {
      &length::cosine::correct_at_zero, &length::cosine::correct_at_longest,
      &length::cosine::wrong_at_zero, &length::cosine::wrong_at_longest, &length::cosine::exceeded};
  const char* const names[] = {"correct_at_zero", "correct_at_longest", "wrong_at_zero",
                               "wrong_at_longest", "exceeded"};
  for (int i = 0; i < 5; ++i) {
    bad = good;
    bad.*members[i] = nan;
    const std::string sentence =
        std::string("hence: ") + names[i] + " is nan, expected a finite number";
    CHECK_THROWS_WITH(bad(true, 5), sentence.c_str());
  }
  static_assert(length::soft_overlong{20480, 4096}(18432) == -0.5);
  static_assert(length::cosine{1.0, 0.5, -1.0, -0.5, -10.0, 1000}(true, 0) == 1.0);
}
