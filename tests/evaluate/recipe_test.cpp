#include <hence/evaluate/recipe.hpp>

#include <doctest/doctest.h>
#include <initializer_list>

namespace recipe = hence::recipe;
using recipe::benchmark;

TEST_CASE("R1's evaluation, the paper's numbers") {
  for (const benchmark b : {benchmark::aime_2024, benchmark::gpqa_diamond, benchmark::math_500,
                            benchmark::codeforces, benchmark::livecodebench}) {
    const auto e = recipe::deepseek_r1_evaluation(b);
    CHECK(e.temperature == 0.6);
    CHECK(e.top_p == 0.95);
    CHECK(e.longest == 32768);
    CHECK(e.consensus_samples == (b == benchmark::aime_2024 ? 64 : 0));
  }
  CHECK(recipe::deepseek_r1_evaluation(benchmark::aime_2024).samples == 64);
  CHECK(recipe::deepseek_r1_evaluation(benchmark::gpqa_diamond).samples == 64);
  CHECK(recipe::deepseek_r1_evaluation(benchmark::math_500).samples == 16);
  CHECK(recipe::deepseek_r1_evaluation(benchmark::codeforces).samples == 16);
  CHECK(recipe::deepseek_r1_evaluation(benchmark::livecodebench).samples == 8);
}
