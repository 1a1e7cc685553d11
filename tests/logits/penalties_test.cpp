// Penalties against what the frameworks' loops do with maps and lists.
#include <doctest/doctest.h>
#include <hence/logits/penalties.hpp>

#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace hence;
using ints = std::vector<std::int64_t>;
constexpr float inf = std::numeric_limits<float>::infinity();

/// Hugging Face's processors and OpenAI's formula, in float64.
std::vector<double> by_hand(std::vector<double> x, const penalty_rule& rule, const ints& prompt,
                            const ints& response) {
  ints all = prompt;
  all.insert(all.end(), response.begin(), response.end());
  std::map<std::int64_t, int> seen, count;
  for (const auto id : all) ++seen[id];
  for (const auto id : response) ++count[id];
  for (const auto& [id, n] : seen) {
    double& v = x[static_cast<std::size_t>(id)];
    v = v < 0 ? v * double(rule.repetition) : v / double(rule.repetition);
  }
  for (const auto& [id, n] : count)
    x[static_cast<std::size_t>(id)] -= n * double(rule.frequency) + double(rule.presence);
  if (rule.no_repeat_ngram > 0) {
    const auto n = static_cast<std::size_t>(rule.no_repeat_ngram);
    std::map<ints, ints> follow;
    for (std::size_t i = 0; i + n <= all.size(); ++i)
      follow[ints(all.begin() + std::ptrdiff_t(i), all.begin() + std::ptrdiff_t(i + n - 1))]
          .push_back(all[i + n - 1]);
    if (all.size() + 1 >= n)
      for (const auto id : follow[ints(all.end() - std::ptrdiff_t(n - 1), all.end())])
        x[static_cast<std::size_t>(id)] = -HUGE_VAL;
  }
  return x;
}

struct lists {
  ints ids, cu{0};
  void add(const ints& row) {
    ids.insert(ids.end(), row.begin(), row.end());
    cu.push_back(static_cast<std::int64_t>(ids.size()));
  }
};

}  // namespace

TEST_CASE("rows of every kind against the frameworks' loops") {
  std::mt19937 random(11);
  std::normal_distribution<float> normal(0, 4);
  for (const penalty_rule rule : {penalty_rule{1.5f, 0.25f, 0.5f, 0}, penalty_rule{0.5f, 0, 0, 0},
                                  penalty_rule{1, -0.5f, 0, 2}, penalty_rule{1, 0, 1, 1},
                                  penalty_rule{1.25f, 0.125f, 0, 3}, penalty_rule{}}) {
    const std::int64_t rows = 40, columns = 12;
    lists prompt, response;
    std::vector<ints> prompts, responses;
    for (std::int64_t i = 0; i < rows; ++i) {
      ints p(random() % 9), r(random() % 14);
      for (auto& id : p) id = static_cast<std::int64_t>(random() % 5);
      for (auto& id : r) id = static_cast<std::int64_t>(random() % 7);
      prompt.add(p), response.add(r);
      prompts.push_back(p), responses.push_back(r);
    }
    std::vector<float> x(static_cast<std::size_t>(rows * (columns + 3)));
    for (float& v : x) v = normal(random);
    const std::vector<float> before = x;
    std::vector<std::int32_t> counts(static_cast<std::size_t>(columns), 0);
    CHECK(penalize(cpu{}, rule, view<float, 2>(x.data(), rows, columns, columns + 3),
                   {prompt.ids, prompt.cu, response.ids, response.cu}, counts) == status::ok);
    CHECK(counts == std::vector<std::int32_t>(12, 0));
    for (std::size_t i = 0; i < 40; ++i) {
      const std::vector<double> row(before.begin() + std::ptrdiff_t(i * 15),
                                    before.begin() + std::ptrdiff_t(i * 15 + 12));
      const auto expected = by_hand(row, rule, prompts[i], responses[i]);
      for (std::size_t j = 0; j < 12; ++j) {
        const double got = double(x[i * 15 + j]);
        if (std::isinf(expected[j]))
          CHECK(got == expected[j]);
        else
          CHECK(std::abs(got - expected[j]) <= 2e-6 * (1 + std::abs(expected[j])));
      }
      for (std::size_t j = 12; j < 15; ++j) CHECK(x[i * 15 + j] == before[i * 15 + j]);
    }
  }
}

TEST_CASE("signs, zero, infinities and storage") {
  std::vector<bf16> x;
  for (const float v : {3.0f, -3.0f, 0.0f, -inf, 8.0f}) x.push_back(bf16(v));
  const ints ids{0, 1, 2, 3}, cu{0, 4};
  std::vector<std::int32_t> counts(5, 0);
  CHECK(penalize(reference<float>{}, {.repetition = 2, .frequency = 0, .presence = 1},
                 view<bf16, 2>(x.data(), 1, 5), {.response = ids, .cu_response = cu},
                 counts) == status::ok);
  CHECK(float(x[0]) == 0.5f);
  CHECK(float(x[1]) == -7.0f);
  CHECK(float(x[2]) == -1.0f);
  CHECK(float(x[3]) == -inf);
  CHECK(float(x[4]) == 8.0f);
}

TEST_CASE("ids outside the vocabulary are passed over and said") {
  std::vector<float> x(4, 2.0f);
  const ints ids{-1, 4, 1}, cu{0, 3};
  std::vector<std::int32_t> counts(4, 0);
  CHECK(penalize(cpu{}, {.repetition = 2, .no_repeat_ngram = 1}, view<float, 2>(x.data(), 1, 4),
                 {.response = ids, .cu_response = cu}, counts) == status::label);
  CHECK(x == std::vector<float>{2, -inf, 2, 2});
  CHECK(counts == std::vector<std::int32_t>(4, 0));
}

TEST_CASE("no history, no change; no rows are no error") {
  std::vector<float> x(4, 2.0f);
  const ints cu{0, 0}, none{0};
  std::vector<std::int32_t> counts(4, 0);
  CHECK(penalize(cpu{}, {.repetition = 2, .no_repeat_ngram = 1}, view<float, 2>(x.data(), 1, 4),
                 {.cu_response = cu}, counts) == status::ok);
  CHECK(x == std::vector<float>(4, 2.0f));
  CHECK(penalize(cpu{}, {.repetition = 2}, view<float, 2>(x.data(), 0, 4), {.cu_response = none},
                 counts) == status::ok);
  CHECK(penalize(cpu{}, {.repetition = 2}, view<float, 2>(nullptr, 0, 4), {.cu_response = none},
                 counts) == status::ok);
}

TEST_CASE("a vocabulary of one token, one id of any stride, the largest repetition") {
  float x = 2e30f;
  const ints ids{0}, cu{0, 1};
  view<const std::int64_t> apart(ids.data(), 1);
  apart.stride[0] = 9;
  std::vector<std::int32_t> counts(1, 0);
  CHECK(penalize(cpu{}, {.repetition = 1e30f}, view<float, 2>(&x, 1, 1),
                 {.response = apart, .cu_response = cu}, counts) == status::ok);
  CHECK(x == 2);
}

TEST_CASE("a prompt's offsets without ids say that it is empty") {
  std::vector<float> x(4, 2.0f);
  const ints ids{1, 3, 1}, cu{0, 3}, nothing{0, 0};
  std::vector<std::int32_t> counts(4, 0);
  CHECK(penalize(cpu{}, {.repetition = 2, .no_repeat_ngram = 3}, view<float, 2>(x.data(), 1, 4),
                 {.cu_prompt = nothing, .response = ids, .cu_response = cu}, counts) == status::ok);
  CHECK(x == std::vector<float>{2, 1, 2, 1});
}

TEST_CASE("what is refused, before anything is written") {
  std::vector<float> x(8, 2.0f);
  const ints ids{0, 1, 2}, cu{0, 1, 3};
  std::vector<std::int32_t> counts(4, 0), too_few(3, 0);
  const auto message_of = [&](const penalty_rule& rule, const token_history& history,
                              view<std::int32_t> memory) -> std::string {
    try {
      penalize(cpu{}, rule, view<float, 2>(x.data(), 2, 4), history, memory);
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "accepted";
  };
  const token_history good{.response = ids, .cu_response = cu};
  const auto contains = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  CHECK(contains(message_of({.repetition = 0}, good, counts), "repetition is 0"));
  CHECK(contains(message_of({.repetition = -1}, good, counts), "repetition is -1"));
  CHECK(contains(message_of({.repetition = 2e30f}, good, counts), "repetition is "));
  CHECK(contains(message_of({.presence = inf}, good, counts), "presence"));
  CHECK(contains(message_of({.no_repeat_ngram = -1}, good, counts), "no_repeat_ngram is -1"));
  CHECK(contains(message_of({}, good, too_few), "counts has 3 entries"));
  const ints short_cu{0, 3}, long_cu{0, 1, 4};
  CHECK(contains(message_of({}, {.response = ids, .cu_response = short_cu}, counts),
                 "history.cu_response describes 1 rows, logits has 2"));
  CHECK(contains(message_of({}, {.response = ids, .cu_response = long_cu}, counts),
                 "history.response has 3 ids, history.cu_response describes 4"));
  CHECK(contains(message_of({}, {.prompt = ids, .response = ids, .cu_response = cu}, counts),
                 "history.cu_prompt is empty"));
  const ints apart{0, -1, 1, -1, 2, -1};
  view<const std::int64_t> strided(apart.data(), 3);
  strided.stride[0] = 2;
  CHECK(contains(message_of({}, {.response = strided, .cu_response = cu}, counts),
                 "history.response is not contiguous"));
  const auto of_logits = [&](view<float, 2> logits) -> std::string {
    try {
      penalize(cpu{}, {}, logits, good, counts);
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "accepted";
  };
  for (const view<float, 2>& wrong :
       {view<float, 2>(x.data(), 2, 0), view<float, 2>(x.data(), -1, 4)})
    CHECK(contains(of_logits(wrong), "hence: logits has shape ["));
  CHECK(of_logits(view<float, 2>(nullptr, 2, 4)) == "hence: logits is null, expected shape [2, 4]");
  CHECK(x == std::vector<float>(8, 2.0f));
}
