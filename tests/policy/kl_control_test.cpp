#include <hence/policy/kl_control.hpp>

#include <doctest/doctest.h>
#include <cmath>
#include <stdexcept>
#include <string>

using hence::kl::adaptive;

TEST_CASE("the coefficient follows the target by at most 20% of steps/horizon") {
  adaptive k{.coef = 0.2, .target = 6, .horizon = 1000};
  CHECK(k.update(6, 256) == hence::status::ok);
  CHECK(k.coef == 0.2);
  k.update(6.6, 100);  // 10% above: 1 + 0.1 x 0.1
  CHECK(k.coef == doctest::Approx(0.2 * 1.01).epsilon(1e-15));
  k.coef = 1;
  k.update(600, 500);
  CHECK(k.coef == doctest::Approx(1.1).epsilon(1e-15));
  k.coef = 1;
  k.update(-3, 500);  // k1 may be negative
  CHECK(k.coef == doctest::Approx(0.9).epsilon(1e-15));
  k.update(6, 0);
  CHECK(k.coef == doctest::Approx(0.9).epsilon(1e-15));
}

TEST_CASE("a KL that is not finite leaves the coefficient and says so; bad numbers are refused") {
  adaptive k{.coef = 0.2, .target = 6, .horizon = 1000};
  CHECK(k.update(std::nan(""), 10) == hence::status::non_finite);
  CHECK(k.update(INFINITY, 10) == hence::status::non_finite);
  CHECK(k.coef == 0.2);
  const auto refusal = [](adaptive a, double steps) -> std::string {
    try {
      a.update(1, steps);
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "accepted";
  };
  CHECK(refusal({-1, 6, 1000}, 1) ==
        "hence: kl::adaptive has coef -1, target 6 and horizon 1000, expected positive numbers");
  CHECK(refusal({1, 0, 1000}, 1).starts_with("hence: kl::adaptive has coef 1, target 0"));
  CHECK(refusal({1, 6, std::nan("")}, 1).starts_with("hence: kl::adaptive has coef 1, target 6"));
  CHECK(refusal({1, 6, 1000}, 1001) ==
        "hence: kl::adaptive is updated by 1001 steps, expected 0 to its horizon 1000");
  CHECK(refusal({0, 6, 1000}, 1000) == "accepted");
  CHECK(refusal({1, 6, 1000}, 0) == "accepted");
  CHECK(refusal({1, 6, 0}, 0).starts_with("hence: kl::adaptive has coef 1, target 6"));
  CHECK(refusal({1, -6, 1000}, 0).starts_with("hence: kl::adaptive has coef 1, target -6"));
  CHECK(refusal({std::nan(""), 6, 1000}, 0).starts_with("hence: kl::adaptive has coef nan"));
  CHECK(refusal({1, 6, 1000}, std::nan("")).starts_with("hence: kl::adaptive is updated by nan"));
  CHECK(refusal({1, 6, 1000}, -1).starts_with("hence: kl::adaptive is updated by -1 steps"));
}
