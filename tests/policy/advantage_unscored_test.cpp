// Rows that nobody could score: the others get what they would get without them.
#include "advantage_oracle.hpp"

#include <doctest/doctest.h>
#include <hence/policy/advantage_unscored.hpp>

#include <stdexcept>

using namespace hence;
using namespace advantage_oracle;
using namespace hence::advantage;

TEST_CASE("unscored rows count for nothing") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::mt19937 random(41);
  const auto check = [&](const auto& rule) {
    for (int trial = 0; trial < 100; ++trial) {
      std::vector<std::int64_t> sizes, scored_sizes;
      std::vector<float> r, scored;
      std::vector<std::size_t> rows;
      for (int g = 0; g < 20; ++g) {
        const auto n = std::size_t(random() % 12);
        const auto group = draw<float>(trial % 6, n, random);
        scored_sizes.push_back(0);
        for (const float x : group) {
          const bool drop = random() % 3 == 0;
          if (!drop) scored.push_back(x), rows.push_back(r.size()), ++scored_sizes.back();
          r.push_back(drop ? nan : x);
        }
        sizes.push_back(std::int64_t(n));
      }
      status s, other;
      std::vector<float> want(r.size(), 0.0f);
      const auto a = run<float>(cpu{}, rule, offsets_of(scored_sizes), scored, &other);
      for (std::size_t i = 0; i < rows.size(); ++i) want[rows[i]] = a[i];
      CHECK(same_bits(run<float>(cpu{}, drop_unscored{rule}, offsets_of(sizes), r, &s), want));
      CHECK((s == other || other == status::empty));
      CHECK(same_bits(run<float>(reference<float>{}, drop_unscored{rule}, offsets_of(sizes), r),
                      want));
      reversed_pool pool{2};
      CHECK(same_bits(run<float>(cpu{pool}, drop_unscored{rule}, offsets_of(sizes), r), want));
    }
  };
  check(grpo(1, 1e-4, singleton_raw{}));
  check(rloo(singleton_zero{}));
  // an infinity is no missing score
  status s;
  const float inf = std::numeric_limits<float>::infinity();
  const auto a = run<float>(cpu{}, drop_unscored{dr_grpo(singleton_zero{})}, {0, 3},
                            std::vector<float>{inf, nan, 1}, &s);
  CHECK((std::isnan(a[0]) && a[1] == 0 && std::isnan(a[2])));
  CHECK(s == status::non_finite);
  std::vector<float> out(3, -7.0f);
  const std::vector<std::int64_t> cu{0, 3};
  CHECK_THROWS_AS(advantages(cpu{}, drop_unscored{grpo(1, -1.0, singleton_zero{})},
                             groups{.cu_groups = cu}, view<const float>(out.data(), 0), out),
                  std::invalid_argument);
}
