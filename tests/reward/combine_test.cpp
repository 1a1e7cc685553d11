#include <hence/policy/advantage_gdpo.hpp>
#include <hence/reward/combine.hpp>

#include <doctest/doctest.h>
#include <cmath>
#include <limits>
#include <vector>

namespace reward = hence::reward;
namespace recipe = hence::recipe;

TEST_CASE("weighted sums of columns") {
  const std::vector<float> columns{1, 0, 0.5f, 0, 1, 0.25f};  // accuracy, format, language
  const std::vector<double> weights{2, 1, 0.5};
  std::vector<float> out(2);
  reward::weighted_sum(hence::view<const float, 2>(columns.data(), 2, 3), weights, out);
  CHECK(out == std::vector<float>{2.25f, 1.125f});
}

TEST_CASE("more rows than columns, a stride between the rows") {
  const std::vector<float> columns{1, 2, 99, 3, 4, 99, 5, 6, 99, 7, 8, 99};
  const std::vector<double> weights{1, 10};
  std::vector<float> out(5, -1);
  reward::weighted_sum(hence::view<const float, 2>(columns.data(), 4, 2, 3), weights,
                       hence::view<float>(out.data(), 4));
  CHECK(out == std::vector<float>{21, 43, 65, 87, -1});
}

TEST_CASE("columns and weights that do not fit are refused before anything is written") {
  const std::vector<float> columns(6, 1);
  std::vector<float> out(2, 7);
  const hence::view<const float, 2> c(columns.data(), 2, 3);
  const std::vector<double> two(2, 1), three(3, 1),
      bad{1, 1, std::numeric_limits<double>::infinity()};
  CHECK_THROWS_WITH(reward::weighted_sum(c, two, out),
                    "hence: weights has 2 entries, columns has 3 columns");
  CHECK_THROWS_WITH(reward::weighted_sum(c, bad, out),
                    "hence: weights[2] is inf, expected a finite number");
  const std::vector<double> worse{std::numeric_limits<double>::quiet_NaN(), 1, 1};
  CHECK_THROWS_WITH(reward::weighted_sum(c, worse, out),
                    "hence: weights[0] is nan, expected a finite number");
  std::vector<float> one(1);
  CHECK_THROWS_WITH(reward::weighted_sum(c, three, one),
                    "hence: out has 1 entries, columns has 2 rows");
  CHECK(out[0] == 7);
}

TEST_CASE("the gate") {
  CHECK(reward::gate{0}(1, true) == 1);
  CHECK(reward::gate{0}(1, false) == 0);
  CHECK(reward::gate{-1}(1, false) == -1);
}

TEST_CASE("R1's sums") {
  CHECK(recipe::deepseek_r1_zero_reward(1, 1) == 2);
  CHECK(recipe::deepseek_r1_stage1_reward(1, 1, 0.5) == 2.5);
  CHECK(recipe::deepseek_r1_stage2_reward(0, 0.75, 1, 0.5) == 2.25);
}

TEST_CASE("a weight behind the last is not looked at") {
  const std::vector<double> weights{1, 2, std::nan("")};
  const std::vector<float> columns{1, 10};
  std::vector<float> out(1);
  hence::reward::weighted_sum(hence::view<const float, 2>(columns.data(), 1, 2),
                              hence::view<const double>(weights.data(), 2), out);
  CHECK(out[0] == 21.0f);
}

TEST_CASE("the same columns go into GDPO, which tells apart what the sum does not") {
  // accuracy is rare and format is common: right without format, wrong with format, three of these
  const std::vector<float> columns{1, 0, 0, 1, 0, 1, 0, 1};
  const hence::view<const float, 2> both(columns.data(), 4, 2);
  const std::vector<double> equal{1, 1};
  std::vector<float> sums(4), advantages(4);
  reward::weighted_sum(both, equal, sums);
  CHECK(sums == std::vector<float>{1, 1, 1, 1});
  const std::vector<std::int64_t> cu{0, 4};
  const hence::advantage::gdpo rule{{2.0, 1.0}, 0.0, 0.0, hence::advantage::singleton_zero{}};
  hence::advantages(hence::reference<float>{}, rule, hence::groups{.cu_groups = cu}, both,
                    advantages);
  // each column is +-3/2 for the rare one and -+1/2 for the others: 3 - 3/2 and -1 + 1/2
  CHECK(advantages[0] == doctest::Approx(1.5));
  for (int i = 1; i < 4; ++i)
    CHECK(advantages[static_cast<std::size_t>(i)] == doctest::Approx(-0.5));
}
