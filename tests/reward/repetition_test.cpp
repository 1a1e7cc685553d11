#include <hence/reward/repetition.hpp>

#include <doctest/doctest.h>
#include <algorithm>
#include <array>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace reward = hence::reward;
namespace repetition = hence::reward::repetition;
using ids = std::vector<std::int64_t>;

namespace {

repetition::ngram_counts count(const ids& tokens, std::int64_t n) {
  ids workspace(static_cast<std::size_t>(
      repetition::workspace_size(static_cast<std::int64_t>(tokens.size()))));
  return reward::count_ngrams(hence::view<const std::int64_t>(tokens), n, workspace);
}
double penalty(const ids& tokens, std::int64_t n) {
  ids workspace(64);
  return reward::repetition_penalty(hence::view<const std::int64_t>(tokens), n, -1, workspace);
}
repetition::loop loop(const ids& tokens, std::int64_t times) {
  ids workspace(tokens.size());
  return reward::find_loop(hence::view<const std::int64_t>(tokens), times, workspace);
}

}  // namespace

TEST_CASE("TRL's examples") {
  CHECK(penalty({1, 2, 3, 4}, 2) == 0);
  CHECK(penalty({5, 5, 5, 5, 5}, 2) == -0.75);
  CHECK(penalty({1}, 2) == 0);
  CHECK(penalty({}, 2) == 0);
}

TEST_CASE("n-grams against a set") {
  std::mt19937 random(2);
  for (int i = 0; i < 300; ++i) {
    ids tokens(random() % 200);
    for (auto& t : tokens) t = static_cast<std::int64_t>(random() % 4) - 2;
    const std::int64_t n = 1 + static_cast<std::int64_t>(random() % 5);
    std::set<ids> seen;
    std::int64_t total = 0;
    for (std::size_t j = 0; j + static_cast<std::size_t>(n) <= tokens.size(); ++j, ++total)
      seen.emplace(tokens.begin() + static_cast<std::ptrdiff_t>(j),
                   tokens.begin() + static_cast<std::ptrdiff_t>(j) + n);
    const auto c = count(tokens, n);
    CHECK(c.total == total);
    CHECK(c.distinct == static_cast<std::int64_t>(seen.size()));
  }
}

TEST_CASE("a hundred thousand different tokens are counted in linear time") {
  ids tokens(100000);
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<std::int64_t>(i);
  const auto c = count(tokens, 2);
  CHECK(c.distinct == 99999);
  CHECK(c.total == 99999);
  CHECK(repetition::workspace_size(0) == 2);
  CHECK(repetition::workspace_size(4) == 8);
  CHECK(repetition::workspace_size(5) == 16);
}

TEST_CASE("words as ids") {
  ids room(8, -1);
  CHECK(reward::word_ids(" The the  THE\ncat", room) == 4);
  CHECK(room[0] == room[1]);
  CHECK(room[1] == room[2]);
  CHECK(room[2] != room[3]);
  CHECK(room[0] >= 0);
  CHECK(room[4] == -1);
  ids two(2);
  CHECK(reward::word_ids("a b c d", two) == 4);  // counted, not written
  CHECK(reward::word_ids(" \n", two) == 0);
  CHECK(reward::word_ids(std::string_view("a    b", 3), two) == 1);  // nothing behind the text
  CHECK(reward::word_ids(std::string_view("ab", 1), room) == 1);
  CHECK(reward::word_ids("a ", two) == 1);
  CHECK(room[0] == two[0]);
}

TEST_CASE("endless repetition at the end") {
  CHECK(loop({1, 2, 3, 9, 9, 9, 9}, 3).period == 1);
  CHECK(loop({1, 2, 3, 9, 9, 9, 9}, 3).tokens == 4);
  CHECK(loop({7, 1, 2, 1, 2, 1, 2}, 3).period == 2);
  CHECK(loop({7, 1, 2, 1, 2, 1, 2}, 3).tokens == 6);
  CHECK(loop({1, 2, 1, 2, 1, 2, 7}, 3).period == 0);
  CHECK(loop({1, 2, 3}, 2).period == 0);
  CHECK(loop({}, 2).period == 0);
  // against every period tried
  std::mt19937 random(4);
  for (int i = 0; i < 500; ++i) {
    ids tokens(random() % 40);
    for (auto& t : tokens) t = static_cast<std::int64_t>(random() % 2);
    const std::int64_t times = 2 + static_cast<std::int64_t>(random() % 3);
    const auto size = static_cast<std::int64_t>(tokens.size());
    std::int64_t best = 0;
    for (std::int64_t p = 1; p <= size; ++p) {
      std::int64_t n = p;  // the longest end that has period p
      while (n < size && tokens[static_cast<std::size_t>(size - 1 - n)] ==
                             tokens[static_cast<std::size_t>(size - 1 - n + p)])
        ++n;
      if (n / p >= times && n > best) best = n;
    }
    CHECK(loop(tokens, times).tokens == best);
  }
}

TEST_CASE("bad arguments are refused") {
  ids small(1);
  const ids tokens{1, 2, 3};
  const hence::view<const std::int64_t> t(tokens);
  CHECK_THROWS_WITH(reward::count_ngrams(t, 0, small), "hence: n is 0, expected 1 or more");
  CHECK_THROWS_WITH(reward::count_ngrams(t, 1, small),
                    "hence: workspace has 1 entries, expected at least 8");
  CHECK_THROWS_WITH(reward::repetition_penalty(t, 1, 0.5, small),
                    "hence: penalty is 0.5, expected 0 or less");
  ids room(8);
  CHECK(reward::repetition_penalty(t, 1, 0.0, room) == 0);  // no penalty is one too
  CHECK_THROWS_WITH(reward::find_loop(t, 1, small), "hence: times is 1, expected 2 or more");
  CHECK_THROWS_WITH(reward::find_loop(t, 2, small),
                    "hence: workspace has 1 entries, expected at least 3");
}

TEST_CASE("different words have different ids") {
  std::string s;
  for (int i = 0; i < 1000; ++i) s += "w" + std::to_string(i) + " ";
  ids found(1000);
  CHECK(reward::word_ids(s, found) == 1000);
  std::sort(found.begin(), found.end());
  CHECK(std::unique(found.begin(), found.end()) == found.end());
  CHECK(found[0] >= 0);
}

TEST_CASE("words beyond the room are counted and not written") {
  ids room(3, -7);
  CHECK(reward::word_ids("a b c d", hence::view<std::int64_t>(room.data(), 2)) == 4);
  CHECK(room[1] >= 0);
  CHECK(room[2] == -7);
}

TEST_CASE("tokens in containers, arrays and views that may be written") {
  std::vector<std::int32_t> tokens{1, 2, 1, 2, 1, 2};
  std::vector<std::int64_t> room(static_cast<std::size_t>(reward::repetition::workspace_size(6)));
  const hence::view<std::int32_t> writable(tokens);
  const hence::view<const std::int32_t> read(tokens);
  const auto judge = [&](const auto& list) {
    const auto counts = reward::count_ngrams(list, 2, room);
    CHECK(counts.distinct == 2);
    CHECK(counts.total == 5);
    CHECK(reward::repetition_penalty(list, 2, -1.0, room) == doctest::Approx(-0.6));
    const auto loop = reward::find_loop(list, 3, room);
    CHECK(loop.period == 2);
    CHECK(loop.tokens == 6);
  };
  judge(tokens), judge(writable), judge(read);
  judge(std::array<std::int64_t, 6>{1, 2, 1, 2, 1, 2});
}
