// The bounds of a sampling rule and of its arrays, at the bound itself, and what is written of a
// row.
#include <doctest/doctest.h>
#include <hence/logits/sample_rule.hpp>

#include <cmath>
#include <limits>

#include "refusal.hpp"

namespace {

using namespace hence;

std::string of_rule(const sample_rule& rule) {
  return refusal([&] { detail::check_sample_rule(rule); });
}

TEST_CASE("the bounds of a rule belong to it") {
  for (const double t : {0.0, 1e-20, 1e20}) CHECK(of_rule({.temperature = t}) == "accepted");
  for (const double t : {std::nextafter(1e-20, 0), std::nextafter(1e20, 1e21), -1e-20})
    CHECK(of_rule({.temperature = t}).find("hence: sample_rule.temperature is ") == 0);
  CHECK(of_rule({.temperature = 1.0, .top_p = 1.0, .min_p = 1.0, .typical_p = 1.0}) == "accepted");
  CHECK(of_rule({.temperature = 1.0, .min_p = 0.0}) == "accepted");
}

TEST_CASE("any number of rows, none too; the widest vocabulary is the last one") {
  float x = 0;
  const auto call = [&](std::int64_t rows, std::int64_t columns) {
    return refusal([&] {
      detail::check_sample_arrays({.temperature = 1.0}, view<const float, 2>(&x, rows, columns), {},
                                  {});
    });
  };
  CHECK(call(0, 0xffffff) == "accepted");
  CHECK(call(0, 0x1000000).find("hence: logits has shape [0, 16777216]") == 0);
}

TEST_CASE("the stride of one byte is nobody's") {
  std::byte room[4];
  float x = 0;
  const auto call = [&](std::int64_t bytes, std::int64_t stride) {
    view<std::byte> memory(room, bytes);
    memory.stride[0] = stride;
    return refusal(
        [&] { detail::check_sample_memory(memory, view<const float, 2>(&x, 1, 1), {}, {}); });
  };
  CHECK(call(1, 3) == "accepted");
  CHECK(call(2, 3) == "hence: memory has stride 3, expected 1");
}

TEST_CASE("a log-prob is never above 0, nor -0") {
  float logp = 7;
  const auto written = [&](double value) {
    detail::write_drawn_row({.logp = view<float>(&logp, 1)}, 0, 0, value, 0);
    return logp;
  };
  CHECK(written(-0.5) == -0.5f);
  for (const double x : {1e-9, 0.0, -0.0}) {
    CHECK(written(x) == 0);
    CHECK(!std::signbit(logp));
  }
  CHECK(std::isnan(written(std::numeric_limits<double>::quiet_NaN())));
}

}  // namespace
