#include <doctest/doctest.h>
#include <hence/core/sum_lanes.hpp>

#include <bit>
#include <cmath>
#include <random>
#include <vector>

using namespace hence;
using namespace hence::detail;

namespace {

/// A warp's sum: what cuda/exact_sum.cuh does with 32 lanes, one lane after the other.
struct lanes {
  std::int64_t word[32] = {};

  void add(const exact_sum::parts& p) {
    for (int lane = 0; lane < 32; ++lane) word[lane] += word_of(p, lane);
  }
  /// Returns how many rounds of splitting it took.
  int add(std::vector<float> rest) {
    for (int round = 0;; ++round) {
      std::int32_t largest = 0;
      for (const float x : rest) largest = std::max(largest, to_bits(abs(num<float>(x))));
      if (largest == 0) return round;
      const term_splitter splitter(largest);
      if (!splitter.usable) break;
      std::int64_t coarse = 0, fine = 0;
      for (float& x : rest) {
        const split_term s(x, splitter);
        CHECK(std::abs(s.coarse) <= 1 << 22);
        CHECK(std::abs(s.fine) <= 1 << 22);
        coarse += s.coarse, fine += s.fine, x = s.rest.v;
      }
      CHECK(coarse == static_cast<std::int32_t>(coarse));
      CHECK(fine == static_cast<std::int32_t>(fine));
      add(coarse_parts(coarse, splitter));
      add(fine_parts(fine, splitter));
    }
    for (const float x : rest) add(exact_sum::parts_of(static_cast<double>(x)));
    carry();
    return -1;
  }
  void carry() {
    std::int64_t out[32];
    for (int lane = 0; lane < 32; ++lane) out[lane] = carry_of(word[lane], lane);
    for (int lane = 0; lane < 32; ++lane)
      word[lane] += (lane == 0 ? 0 : out[lane - 1]) - (out[lane] << 32);
  }
  double value() const {
    std::int64_t copy[32];
    for (int lane = 0; lane < 32; ++lane) copy[lane] = word[lane];
    return exact_sum::value_of(copy);
  }
};

std::uint64_t bits(double x) { return std::bit_cast<std::uint64_t>(x); }

void compare(const std::vector<std::vector<float>>& steps) {
  lanes warp;
  exact_sum wanted;
  for (const auto& step : steps) {
    warp.add(step);
    for (const float x : step) wanted.add(x);
  }
  const double got = warp.value(), value = wanted.value();
  CHECK((bits(got) == bits(value) || (got != got && value != value)));
  warp.carry();
  CHECK((bits(warp.value()) == bits(value) || value != value));
}

}  // namespace

TEST_CASE("a sum over lanes is the exact sum") {
  std::mt19937 random(7);
  for (int trial = 0; trial < 400; ++trial) {
    const int spread = trial % 8 * 8;
    std::vector<std::vector<float>> steps(1 + static_cast<unsigned>(trial) % 5,
                                          std::vector<float>(128));
    for (auto& step : steps)
      for (float& x : step) {
        x = std::ldexp(static_cast<float>(random()) - 2147483648.0f,
                       static_cast<int>(random() % static_cast<unsigned>(1 + spread)) - 60);
        if (random() % 3 == 0) x = 0;
      }
    compare(steps);
  }
}

TEST_CASE("any bit pattern") {
  std::mt19937 random(8);
  for (int trial = 0; trial < 300; ++trial) {
    std::vector<float> step(128);
    for (float& x : step) {
      x = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
      if (trial % 2 == 0 && !std::isfinite(x)) x = 1;
    }
    compare({step, step});
  }
}

TEST_CASE("infinities, NaN, subnormals, cancellation") {
  const float tiny = std::bit_cast<float>(1u), huge = 3.4028235e38f;
  for (const auto& few : {std::vector<float>{INFINITY},
                          {-INFINITY},
                          {INFINITY, -INFINITY},
                          {NAN},
                          {tiny},
                          {tiny, -tiny},
                          {huge, huge, -huge},
                          {1, -1},
                          {1e10f, 1, -1e10f},
                          {-0.0f},
                          {0x1p121f, 1},
                          {0x1p-80f},
                          {0x1p-81f, tiny},
                          {1, 0x1p-100f},
                          {-1, tiny}}) {
    std::vector<float> step(128);
    for (std::size_t i = 0; i < few.size(); ++i) step[i * 37] = few[i];
    compare({step});
    compare({step, step, step});
  }
}

TEST_CASE("one round holds 44 bits below the largest term") {
  std::vector<float> step(128, 1.0f);
  CHECK(lanes{}.add(step) == 1);
  step[5] = 0x1p-43f;
  CHECK(lanes{}.add(step) == 1);
  step[5] = 0x1p-46f;
  CHECK(lanes{}.add(step) == 2);
  CHECK(lanes{}.add(std::vector<float>(128)) == 0);
}

TEST_CASE("the largest magnitudes do not overflow the integers") {
  for (const int exponent : {-80, -1, 0, 1, 120}) {
    const float largest = std::nextafterf(std::ldexp(1.0f, exponent + 1), 0.0f);
    compare({std::vector<float>(128, largest), std::vector<float>(128, -largest)});
    compare({std::vector<float>(256, largest)});
    compare({std::vector<float>(256, -largest)});
  }
}
