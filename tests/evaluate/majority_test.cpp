#include <hence/evaluate/majority.hpp>

#include <doctest/doctest.h>
#include <algorithm>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace evaluate = hence::evaluate;
using evaluate::ties;
using ids = std::vector<std::int64_t>;

namespace {

evaluate::vote vote(const ids& answers, std::int64_t reference, ties rule) {
  return evaluate::majority_vote(answers, reference, rule);
}

}  // namespace

TEST_CASE("the most votes win") {
  const auto v = vote({3, 1, 1, -1, 2}, 1, ties::first_seen);
  CHECK(v.winner == 1);
  CHECK(v.votes == 2);
  CHECK(v.correct == 1);
  CHECK(vote({3, 1, 1}, 3, ties::first_seen).correct == 0);
  CHECK(vote({0, 1, 0}, 0, ties::first_seen).correct == 1);  // 0 is an id as any other
  CHECK(vote({0, 1, 0}, 0, ties::lowest_id).correct == 1);
}

TEST_CASE("ties, each rule") {
  CHECK(vote({2, 1}, 2, ties::first_seen).winner == 2);
  CHECK(vote({2, 1}, 2, ties::lowest_id).winner == 1);
  CHECK(vote({2, 1}, 2, ties::fractional).winner == 2);
  CHECK(vote({2, 1}, 1, ties::first_seen).correct == 0);
  CHECK(vote({2, 1}, 1, ties::lowest_id).correct == 1);
  CHECK(vote({2, 1}, 1, ties::fractional).correct == 0.5);
  CHECK(vote({2, 1, 0, 0, 1, 2}, 1, ties::fractional).correct == 1.0 / 3);
  CHECK(vote({2, 1}, 7, ties::fractional).correct == 0);
}

TEST_CASE("no answer at all") {
  for (const ties t : {ties::first_seen, ties::lowest_id, ties::fractional}) {
    for (const ids& answers : {ids{}, ids{-1, -5}}) {
      const auto v = vote(answers, -1, t);
      CHECK(v.winner == -1);
      CHECK(v.votes == 0);
      CHECK(v.correct == 0);
    }
    CHECK(vote({4}, -1, t).correct == 0);
  }
}

TEST_CASE("weights: sums are exact, so that their order breaks no tie") {
  const ids answers{0, 1, 0, 1, 0, 1};  // 0.1 + 0.2 + 0.3 is not 0.3 + 0.2 + 0.1 in doubles
  const std::vector<double> weights{0.1, 0.3, 0.2, 0.2, 0.3, 0.1};
  const auto v = evaluate::majority_vote(answers, 1, ties::fractional, weights);
  CHECK(v.correct == 0.5);
  // an answer's votes are all its weights, not those of its last samples
  const ids twice{1, 1, 2};
  const std::vector<double> mixed{-1, 2, 0.5};
  const auto m = evaluate::majority_vote(twice, 1, ties::first_seen, mixed);
  CHECK(m.winner == 1);
  CHECK(m.votes == 1);
  const std::vector<double> negative{-1, -2};
  const ids ids_of{5, 6};
  CHECK(evaluate::majority_vote(ids_of, 5, ties::first_seen, negative).winner == 5);
}

TEST_CASE("random votes against a map") {
  std::mt19937 random(6);
  for (int i = 0; i < 2000; ++i) {
    ids answers(random() % 12);
    for (auto& a : answers) a = static_cast<std::int64_t>(random() % 5) - 1;
    std::map<std::int64_t, int> votes;
    for (const auto a : answers)
      if (a >= 0) ++votes[a];
    int most = 0;
    for (const auto& [id, n] : votes) most = std::max(most, n);
    ids tied;
    for (const auto& [id, n] : votes)
      if (n == most) tied.push_back(id);
    const std::int64_t reference = static_cast<std::int64_t>(random() % 4);
    const auto first = std::find_if(answers.begin(), answers.end(), [&](std::int64_t a) {
      return std::count(tied.begin(), tied.end(), a) > 0;
    });
    CHECK(vote(answers, reference, ties::first_seen).winner == (tied.empty() ? -1 : *first));
    CHECK(vote(answers, reference, ties::lowest_id).winner == (tied.empty() ? -1 : tied[0]));
    const bool in = std::count(tied.begin(), tied.end(), reference) > 0;
    CHECK(vote(answers, reference, ties::fractional).correct ==
          (in ? 1.0 / static_cast<double>(tied.size()) : 0.0));
  }
}

TEST_CASE("equal answers get equal ids") {
  const std::vector<std::string> answers{"a", "", "B", "A", "b", "c"};
  ids found(6);
  const auto low = [&](std::int64_t i) {
    return static_cast<char>(answers[static_cast<std::size_t>(i)][0] | 32);
  };
  evaluate::answer_ids(
      found, [&](std::int64_t i) { return !answers[static_cast<std::size_t>(i)].empty(); },
      [&](std::int64_t i, std::int64_t j) {
        CHECK(j < i);  // an earlier sample, never itself
        return low(i) == low(j);
      });
  CHECK(found == ids{0, -1, 2, 0, 2, 5});
}

TEST_CASE("weights that do not fit are refused") {
  const ids two{1, 2};
  const std::vector<double> one{1}, bad{1, std::numeric_limits<double>::quiet_NaN()};
  CHECK_THROWS_WITH(evaluate::majority_vote(two, 1, ties::first_seen, one),
                    "hence: weights has 1 entries, answers has 2");
  CHECK_THROWS_WITH(evaluate::majority_vote(two, 1, ties::first_seen, bad),
                    "hence: weights[1] is nan, expected a finite number");
}
