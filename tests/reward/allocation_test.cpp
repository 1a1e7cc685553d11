// Nothing is allocated, whatever the text: every operator new of this program counts.

#include <hence/evaluate.hpp>
#include <hence/reward.hpp>

#include <doctest/doctest.h>
#include <atomic>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

namespace {

std::atomic<long> allocations{0};

void* counted(std::size_t size) {
  ++allocations;
  void* p = std::malloc(size == 0 ? 1 : size);
  if (p == nullptr) std::abort();
  return p;
}

}  // namespace

void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }

TEST_CASE("rewards and evaluation allocate nothing") {
  namespace reward = hence::reward;
  namespace evaluate = hence::evaluate;
  std::vector<std::string> texts{"",
                                 "<think>so it is</think><answer>\\boxed{\\frac{1}{2}}</answer>",
                                 "\\{3, 1, 2\\}",
                                 "(1, 2) \\cup [3, 4)",
                                 "No solution: x^2 + 1",
                                 "\\frac{1+\\sqrt{5}}{2}",
                                 "x = 1, y = 1 + \\sqrt{2}"};
  texts.emplace_back(100000, '{');
  std::string list;
  for (int i = 0; i < 60; ++i) list += std::to_string(i) + " cm, ";
  texts.push_back(list);
  std::vector<std::int64_t> ids(100000), table(1 << 18), room(4096);
  std::vector<double> means(100), ways(400);
  const std::vector<std::int64_t> few{5, 4, 3, 2, 1}, few_sizes{6, 3};
  std::vector<std::int64_t> chunk(5), taken(2), source(9);
  const std::vector<float> metric{1, 0, 1, 1, 0}, columns{1, 0, 0.5f, 1};
  const std::vector<double> weights{1, 2};
  std::vector<float> totals(2);
  std::vector<std::uint8_t> keep(2), truncated(2);
  const std::vector<std::int64_t> groups{0, 2, 5};
  std::vector<evaluate::rejection> fate(5);
  evaluate::refill state;
  evaluate::candidates known{};
  known.score = metric;
  const auto passed = [](std::int64_t) { return true; };
  const auto model = [](std::string_view, std::string_view part) {
    return static_cast<double>(part.size());
  };

  const long before = allocations;
  double sum = 0;
  for (const std::string& s : texts) {
    sum += reward::format_reward(reward::format::r1_zero{reward::matching::lenient}, s);
    sum += reward::format_reward(reward::format::open_r1{}, s);
    sum += reward::format_reward(reward::format::trl_think{}, s);
    sum += reward::format_reward(reward::format::open_r1_tag_count{}, s);
    sum += reward::parse(reward::format::r1{reward::matching::strict}, s).ok();
    sum += reward::parse(reward::format::opened_by_prompt{reward::matching::lenient}, s).ok();
    sum += reward::find_answer(reward::extract::only_boxed{}, s).ok();
    sum += reward::model_reward(reward::shown::summary,
                                reward::format::r1{reward::matching::lenient}, s, s, 0, model);
    sum += static_cast<double>(reward::hash_text(s) & 1);
    sum += reward::language_reward(s, reward::language::scripts{reward::script::latin}, 0);
    for (const std::string& t : texts)
      sum += reward::accuracy_reward(reward::extract::boxed_or_whole{}, s, t, reward::answer::math);
    const std::int64_t n = reward::word_ids(s, ids);
    const hence::view<const std::int64_t> tokens(ids.data(), n);
    sum += reward::count_ngrams(tokens, 2, table).repeated_share();
    sum += static_cast<double>(reward::find_loop(tokens, 2, table).tokens);
    sum += reward::check_countdown(s, few, 1, reward::usage::all_once) ==
           reward::countdown_fault::none;
  }
  sum += reward::test_reward(reward::verdicts::share, 3, passed);
  reward::weighted_sum(hence::view<const float, 2>(columns.data(), 2, 2), weights, totals);
  reward::length::truncation_mask(keep, truncated);
  sum += reward::length::cosine{1, 0, 0, 0, 0, 10}(true, 5);
  evaluate::keep_informative(metric, groups, 0, {0, 1}, keep, state);
  sum +=
      static_cast<double>(evaluate::select(known, groups, 1, fate).of(evaluate::rejection::kept));
  evaluate::mix(few_sizes, taken, source);
  evaluate::answer_ids(
      chunk, [](std::int64_t) { return true; },
      [](std::int64_t i, std::int64_t j) { return i == j; });
  sum += evaluate::wilson(3, 4, evaluate::z95).low;
  sum += evaluate::pass_at_k(1000, 10, 100);
  sum += evaluate::majority_vote(few, 5, evaluate::ties::first_seen).votes;
  sum += evaluate::expected_majority(few, 0, 1, 8, evaluate::ties::fractional, ways);
  sum += evaluate::bootstrap(hence::view<const double>(ways), 0.9, 1, means).low;
  sum += static_cast<double>(evaluate::pack_chunks(few, 10, 2, chunk, room).chunks);
  const long after = allocations;
  CHECK(after == before);
  CHECK(sum > 0);
}
