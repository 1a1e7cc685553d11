#include <hence/moe/metrics.hpp>

#include <doctest/doctest.h>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

hence::moe::load_metrics measure(const std::vector<std::int64_t>& load) {
  return hence::moe::measure_load(load);
}

TEST_CASE("balance, one expert for all, dead experts") {
  const auto even = measure({7, 7, 7, 7});
  CHECK(even.max_violation() == 0);
  CHECK(even.entropy == doctest::Approx(std::log(4.0)).epsilon(1e-6));
  CHECK(even.normalized_entropy() == doctest::Approx(1.0).epsilon(1e-6));
  CHECK(even.least == 7);
  CHECK(even.dead == 0);
  const auto one = measure({0, 12, 0, 0});
  CHECK(one.max_violation() == 3);
  CHECK(one.entropy == 0);
  CHECK(one.dead == 3);
  const auto some = measure({1, 2, 3, 0});
  CHECK(some.slots == 6);
  CHECK(some.most == 3);
  CHECK(some.least == 0);
  CHECK(some.max_violation() == 1);
  CHECK(some.entropy ==
        doctest::Approx(std::log(6.0) - (2 * std::log(2.0) + 3 * std::log(3.0)) / 6).epsilon(1e-6));
  CHECK(some.normalized_entropy() == doctest::Approx(some.entropy / std::log(4.0)).epsilon(1e-6));
}

TEST_CASE("no slot, no expert") {
  CHECK(measure({0, 0}).max_violation() == 0);
  CHECK(measure({0, 0}).entropy == 0);
  CHECK(measure({0, 0}).dead == 2);
  CHECK(measure({}).mean() == 0);
  CHECK(measure({5}).normalized_entropy() == 1);
}

TEST_CASE("a negative count is refused") {
  try {
    measure({1, -2});
    FAIL("was not refused");
  } catch (const std::invalid_argument& e) {
    CHECK(std::string(e.what()) == "hence: load[1] is -2, expected 0 or more");
  }
  try {
    hence::moe::measure_load(hence::view<const std::int64_t>(nullptr, 3));
    FAIL("was not refused");
  } catch (const std::invalid_argument& e) {
    CHECK(std::string(e.what()) == "hence: load is null, expected 3 entries");
  }
}

}  // namespace
