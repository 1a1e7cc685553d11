#include <hence/evaluate/consensus.hpp>

#include <doctest/doctest.h>
#include <random>
#include <vector>

namespace evaluate = hence::evaluate;
using evaluate::ties;
using counts = std::vector<std::int64_t>;

namespace {

double expected(const counts& c, std::int64_t reference, std::int64_t unanswered, std::int64_t k,
                ties rule) {
  std::vector<double> workspace(static_cast<std::size_t>(evaluate::consensus_workspace_size(k)));
  return evaluate::expected_majority(c, reference, unanswered, k, rule, workspace);
}

/// The mean of `majority_vote` over every subset of k samples.
double over_all_subsets(const counts& c, std::int64_t reference, std::int64_t unanswered,
                        std::int64_t k, ties rule) {
  std::vector<std::int64_t> samples(static_cast<std::size_t>(unanswered), -1);
  for (std::size_t id = 0; id < c.size(); ++id)
    for (std::int64_t i = 0; i < c[id]; ++i) samples.push_back(static_cast<std::int64_t>(id));
  double sum = 0, subsets = 0;
  for (unsigned mask = 0; mask < 1u << samples.size(); ++mask) {
    if (__builtin_popcount(mask) != k) continue;
    std::vector<std::int64_t> drawn;
    for (unsigned i = 0; i < samples.size(); ++i)
      if ((mask >> i & 1) != 0) drawn.push_back(samples[i]);
    sum += evaluate::majority_vote(drawn, reference, rule).correct;
    ++subsets;
  }
  return sum / subsets;
}

}  // namespace

TEST_CASE("against every subset") {
  std::mt19937 random(9);
  for (int i = 0; i < 200; ++i) {
    counts c(1 + random() % 4);
    std::int64_t n = 0;
    for (auto& x : c) n += x = static_cast<std::int64_t>(random() % 4);
    const std::int64_t unanswered = static_cast<std::int64_t>(random() % 3);
    n += unanswered;
    if (n == 0) continue;
    const std::int64_t k = 1 + static_cast<std::int64_t>(random()) % n,
                       reference = static_cast<std::int64_t>(random() % c.size());
    for (const ties t : {ties::fractional, ties::lowest_id})
      CHECK(expected(c, reference, unanswered, k, t) ==
            doctest::Approx(over_all_subsets(c, reference, unanswered, k, t)).epsilon(1e-13));
    // the first seen of a random order
    CHECK(expected(c, reference, unanswered, k, ties::first_seen) ==
          expected(c, reference, unanswered, k, ties::fractional));
  }
}

TEST_CASE("k = 1 is pass@1, k = n is the vote itself") {
  CHECK(expected({30, 20, 10}, 1, 4, 1, ties::fractional) ==
        doctest::Approx(20.0 / 64).epsilon(1e-14));
  CHECK(expected({30, 20, 10}, 0, 4, 64, ties::fractional) == doctest::Approx(1).epsilon(1e-13));
  CHECK(expected({30, 20, 10}, 1, 4, 64, ties::fractional) == 0);
  CHECK(expected({30, 30, 4}, 1, 0, 64, ties::fractional) == doctest::Approx(0.5).epsilon(1e-13));
  CHECK(expected({30, 30, 4}, 1, 0, 64, ties::lowest_id) == 0);
  CHECK(expected({5}, -1, 0, 2, ties::fractional) == 0);
}

TEST_CASE("a thousand samples neither overflow nor cancel") {
  const double most = expected({600, 400}, 0, 0, 101, ties::fractional),
               least = expected({600, 400}, 1, 0, 101, ties::fractional);
  CHECK(most + least == doctest::Approx(1).epsilon(1e-12));
  CHECK(most > 0.97);
}

TEST_CASE("a thousand samples of one answer, or without any") {
  CHECK(expected({1000}, 0, 0, 1, ties::fractional) == 1);
  CHECK(expected({0}, 0, 1000, 1, ties::fractional) == 0);
}

TEST_CASE("bad counts are refused") {
  std::vector<double> room(100);
  const counts bad{1, -1}, many{600, 401}, good{2, 1};
  const char* limit =
      "hence: counts and unanswered hold a negative number or more than 1000 samples";
  CHECK_THROWS_WITH(evaluate::expected_majority(bad, 0, 0, 1, ties::fractional, room), limit);
  CHECK_THROWS_WITH(evaluate::expected_majority(many, 0, 0, 1, ties::fractional, room), limit);
  CHECK_THROWS_WITH(evaluate::expected_majority(good, 0, -1, 1, ties::fractional, room), limit);
  const counts one_too_many{1001};
  CHECK_THROWS_WITH(evaluate::expected_majority(good, 0, 1001, 1, ties::fractional, room), limit);
  CHECK_THROWS_WITH(evaluate::expected_majority(one_too_many, 0, 0, 1, ties::fractional, room),
                    limit);
  CHECK_THROWS_WITH(evaluate::expected_majority(good, 0, 0, 0, ties::fractional, room),
                    "hence: k is 0, expected 1 to 3, the number of samples");
  CHECK_THROWS_WITH(evaluate::expected_majority(good, 0, 0, 4, ties::fractional, room),
                    "hence: k is 4, expected 1 to 3, the number of samples");
  CHECK_THROWS_WITH(evaluate::expected_majority(good, 2, 0, 1, ties::fractional, room),
                    "hence: reference is 2, counts has 2 entries");
  std::vector<double> small(3);
  CHECK_THROWS_WITH(evaluate::expected_majority(good, 0, 0, 1, ties::fractional, small),
                    "hence: workspace has 3 entries, expected at least 4");
}
