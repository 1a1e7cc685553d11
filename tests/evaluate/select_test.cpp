#include <hence/evaluate/select.hpp>

#include <doctest/doctest.h>
#include <limits>
#include <vector>

namespace evaluate = hence::evaluate;
using evaluate::rejection;
using bytes = std::vector<std::uint8_t>;

TEST_CASE("the first reason counts, of duplicates the best stays") {
  const bytes correct{1, 0, 1, 1, 1, 1, 1, 1}, readable{1, 0, 0, 1, 1, 1, 1, 1},
      language{1, 1, 0, 0, 1, 1, 1, 1}, fresh{1, 1, 1, 0, 0, 1, 1, 1};
  const std::vector<std::uint64_t> key{1, 1, 1, 1, 1, 1, 2, 3};
  const std::vector<float> score{1, 9, 9, 9, 9, 2, 0.5f, 0.25f};
  const std::vector<std::int64_t> groups{0, 8};
  std::vector<rejection> out(8);
  const auto counts = evaluate::select({.correct = correct,
                                        .readable = readable,
                                        .one_language = language,
                                        .without_repetition = fresh,
                                        .key = key,
                                        .score = score},
                                       groups, 2, out);
  CHECK(out == std::vector<rejection>{rejection::duplicate, rejection::wrong, rejection::unreadable,
                                      rejection::mixed_languages, rejection::repetitive,
                                      rejection::kept, rejection::kept, rejection::not_among_best});
  for (int r = 0; r < evaluate::rejections; ++r) CHECK(counts.number[r] == (r == 0 ? 2 : 1));
  CHECK(counts.of(rejection::wrong) == 1);
}

TEST_CASE("prompts do not see each other; absent columns hold; ties go to the lower index") {
  const std::vector<std::uint64_t> key{1, 1, 1, 1};
  const std::vector<std::int64_t> groups{0, 2, 2, 4};
  std::vector<rejection> out(4);
  evaluate::select({.correct = {},
                    .readable = {},
                    .one_language = {},
                    .without_repetition = {},
                    .key = key,
                    .score = {}},
                   groups, 5, out);
  CHECK(out == std::vector<rejection>{rejection::kept, rejection::duplicate, rejection::kept,
                                      rejection::duplicate});
  const std::vector<float> score{1, 2, 3, 3};
  evaluate::select({.correct = {},
                    .readable = {},
                    .one_language = {},
                    .without_repetition = {},
                    .key = {},
                    .score = score},
                   groups, 1, out);
  CHECK(out == std::vector<rejection>{rejection::not_among_best, rejection::kept, rejection::kept,
                                      rejection::not_among_best});
  std::vector<rejection> none;
  const std::vector<std::int64_t> zero{0};
  CHECK(evaluate::select({}, zero, 1, none).of(rejection::kept) == 0);
}

TEST_CASE("whatever the output held before, and the next prompt's better sample, do not matter") {
  const std::vector<float> score{1, 2, 9};
  const std::vector<std::uint64_t> key{1, 2, 2};
  const std::vector<std::int64_t> groups{0, 2, 3};
  for (int r = 0; r < evaluate::rejections; ++r) {
    std::vector<rejection> out(3, static_cast<rejection>(r));
    evaluate::select({.correct = {},
                      .readable = {},
                      .one_language = {},
                      .without_repetition = {},
                      .key = key,
                      .score = score},
                     groups, 1, out);
    CHECK(out ==
          std::vector<rejection>{rejection::not_among_best, rejection::kept, rejection::kept});
  }
}

TEST_CASE("what does not fit is refused before anything is written") {
  std::vector<rejection> out(2, rejection::repetitive);
  const std::vector<std::int64_t> good{0, 2}, short_of{0, 1}, falling{0, 2, 1, 2};
  const bytes three(3);
  const std::vector<float> nan{1, std::numeric_limits<float>::quiet_NaN()};
  evaluate::candidates c{};
  CHECK_THROWS_WITH(evaluate::select(c, good, 0, out), "hence: best is 0, expected 1 or more");
  const char* groups = "hence: cu_groups does not ascend from 0 to 2, the number of samples";
  CHECK_THROWS_WITH(evaluate::select(c, short_of, 1, out), groups);
  CHECK_THROWS_WITH(evaluate::select(c, falling, 1, out), groups);
  CHECK_THROWS_WITH(evaluate::select(c, hence::view<const std::int64_t>(), 1, out), groups);
  const std::vector<std::int64_t> late{1, 2};
  CHECK_THROWS_WITH(evaluate::select(c, late, 1, out), groups);
  c.correct = three;
  CHECK_THROWS_WITH(evaluate::select(c, good, 1, out), "hence: correct has 3 entries, out has 2");
  c.correct = {};
  c.score = nan;
  CHECK_THROWS_WITH(evaluate::select(c, good, 1, out), "hence: score[1] is nan");
  CHECK(out[0] == rejection::repetitive);
}

TEST_CASE("what lies behind the groups is none of them") {
  std::vector<rejection> out(3, rejection::repetitive);
  const std::vector<std::int64_t> more{0, 2, 3};
  evaluate::select({}, hence::view<const std::int64_t>(more.data(), 2), 1,
                   hence::view<rejection>(out.data(), 2));
  CHECK(out ==
        std::vector<rejection>{rejection::kept, rejection::not_among_best, rejection::repetitive});
}
