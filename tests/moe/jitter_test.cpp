// The factors' range and mean, linearity, and that only the place decides.

#include <hence/core/storage.hpp>
#include <hence/moe/jitter.hpp>

#include <doctest/doctest.h>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

namespace moe = hence::moe;
using hence::view;

template <class X>
std::vector<X> run(const std::vector<X>& x, std::int64_t width, double eps,
                   moe::jitter_place place) {
  std::vector<X> out(x.size(), X(77.0f));
  const auto tokens = static_cast<std::int64_t>(x.size()) / width;
  moe::jitter(hence::cpu{}, view<const X, 2>(x.data(), tokens, width), eps, place,
              view<X, 2>(out.data(), tokens, width));
  return out;
}

TEST_CASE("factors lie in [1 - eps, 1 + eps) with mean 1") {
  const std::vector<float> ones(500 * 30, 1.0f);
  const auto f = run(ones, 30, 0.1, {.seed = 3});
  double sum = 0, squares = 0;
  for (const float x : f) {
    REQUIRE((x >= 0.8999999f && x <= 1.1f));
    sum += x, squares += (x - 1.0) * (x - 1.0);
  }
  const auto n = static_cast<double>(f.size());
  CHECK(std::abs(sum / n - 1) < 4 * 0.1 / std::sqrt(3 * n));
  CHECK(squares / n == doctest::Approx(0.01 / 3).epsilon(0.03));
  CHECK(run(ones, 30, 0.0, {.seed = 3}) == ones);
}

TEST_CASE("the place decides: rows of another call or rank, step, seed") {
  const std::vector<float> ones(10 * 7, 1.0f), half(5 * 7, 1.0f);
  const auto whole = run(ones, 7, 0.2, {.seed = 1, .first_row = 100});
  const auto second = run(half, 7, 0.2, {.seed = 1, .first_row = 105});
  CHECK(std::equal(second.begin(), second.end(), whole.begin() + 35));
  CHECK(run(ones, 7, 0.2, {.seed = 1, .first_row = 100}) == whole);
  CHECK(run(ones, 7, 0.2, {.seed = 2, .first_row = 100}) != whole);
  CHECK(run(ones, 7, 0.2, {.seed = 1, .first_row = 100, .step = 1}) != whole);
}

TEST_CASE("word d % 4 of the block at (d / 4, step, row), times the element") {
  const std::int64_t tokens = 3, width = 11;
  std::vector<float> x;
  for (int i = 0; i < tokens * width; ++i) x.push_back(static_cast<float>(i) - 7.5f);
  const moe::jitter_place place{.seed = 5, .first_row = 1ull << 40, .step = 12};
  const auto got = run(x, width, 0.25, place);
  for (std::int64_t t = 0; t < tokens; ++t)
    for (std::int64_t d = 0; d < width; ++d) {
      const auto i = static_cast<std::size_t>(t * width + d);
      const auto words = hence::philox(
          5, {static_cast<std::uint32_t>(d / 4), 12, (1ull << 40) + std::uint64_t(t)});
      const double u = double(hence::uniform(words.word[d % 4]));
      CHECK(double(got[i]) == doctest::Approx(x[i] * (0.75 + 0.5 * u)).epsilon(2e-7));
    }
}

template <class X> void rounded_once() {
  const std::vector<X> x(16, X(3.0f));
  const auto f = run(std::vector<float>(16, 3.0f), 16, 0.3, {.seed = 9});
  const auto got = run(x, 16, 0.3, {.seed = 9});
  for (std::size_t i = 0; i < 16; ++i) CHECK(got[i].bits == X(f[i]).bits);
}
TEST_CASE("bf16 and f16 are multiplied in fp32 and rounded once") {
  rounded_once<hence::bf16>();
  rounded_once<hence::f16>();
}

TEST_CASE("eps beyond [0, 1) is refused") {
  const auto refusal = [](double eps) -> std::string {
    try {
      run(std::vector<float>(4), 2, eps, {.seed = 1});
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "";
  };
  CHECK(refusal(1) == "hence: eps is 1, expected 0 or more, below 1");
  CHECK(refusal(-0.5) == "hence: eps is -0.5, expected 0 or more, below 1");
  CHECK(refusal(__builtin_nan("")) == "hence: eps is nan, expected 0 or more, below 1");
}

}  // namespace
