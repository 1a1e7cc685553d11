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
  // of the batch: TRL's scale_rewards="batch", and the others that read it
  check(group_baseline{baseline_group{}, scale_batch{1, 1e-4}, singleton_zero{}});
  check(group_baseline{baseline_group{}, scale_batch_centred{0, 1e-4}, singleton_raw{}});
  check(group_baseline{baseline_batch{}, scale_batch{1, 1e-4}, singleton_as_group{}});
  check(gpg(singleton_raw{}));
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

TEST_CASE("the deviation of a batch is that of the scored rows, as TRL has it") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::mt19937 random(42);
  const std::vector<std::int64_t> cu{0, 4, 8, 9, 12};
  for (int trial = 0; trial < 50; ++trial) {
    auto r = draw<float>(trial % 3, 12, random);
    for (auto& x : r)
      if (random() % 4 == 0) x = nan;
    r[8] = trial % 2 ? nan : 1.0f;
    const auto mean_of = [&](std::int64_t begin, std::int64_t end, quad& n) {
      quad sum = 0;
      n = 0;
      for (auto i = begin; i < end; ++i)
        if (!std::isnan(r[std::size_t(i)])) sum += quad(r[std::size_t(i)]), n += 1;
      return n > 0 ? sum / n : quad(0);
    };
    quad n, squares = 0;
    const quad mean = mean_of(0, 12, n);
    for (const float x : r)
      if (!std::isnan(x)) squares += (quad(x) - mean) * (quad(x) - mean);
    const quad divisor = square_root(squares / (n > 2 ? n - 1 : quad(1))) + quad(1e-4);
    const group_baseline rule{baseline_group{}, scale_batch{1, 1e-4}, singleton_zero{}};
    const auto a = run<float>(cpu{}, drop_unscored{rule}, cu, r);
    for (std::size_t g = 0; g + 1 < cu.size(); ++g) {
      quad own;
      const quad mu = mean_of(cu[g], cu[g + 1], own);
      for (auto i = std::size_t(cu[g]); i < std::size_t(cu[g + 1]); ++i) {
        const quad want = std::isnan(r[i]) ? quad(0) : (quad(r[i]) - mu) / divisor;
        CHECK(magnitude(quad(a[i]) - want) <= quad(0x1p-23) * magnitude(want) + quad(1e-12));
      }
    }
  }
}

TEST_CASE("a batch without a score is 0, one with an infinity is NaN where it has a score") {
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  const drop_unscored rule{group_baseline{baseline_group{}, scale_batch{1, 0.0}, singleton_zero{}}};
  status s;
  const auto none =
      run<double>(reference<double>{}, rule, {0, 2, 3}, std::vector<double>{nan, nan, nan}, &s);
  CHECK(same_bits(none, std::vector<double>(3, 0.0)));
  CHECK(s == status::ok);
  const auto a =
      run<double>(reference<double>{}, rule, {0, 2, 4}, std::vector<double>{1, nan, inf, 2}, &s);
  CHECK((std::isnan(a[0]) && a[1] == 0 && std::isnan(a[2]) && std::isnan(a[3])));
  CHECK(s == status::non_finite);
}
