// Rewards are pure: eight threads that judge the same texts at once give what one gives. Run under
// the thread sanitizer.

#include "../reward/answer_attacks.hpp"

#include <hence/evaluate.hpp>
#include <hence/reward.hpp>

#include <doctest/doctest.h>
#include <string>
#include <thread>
#include <vector>

namespace {

namespace reward = hence::reward;
namespace evaluate = hence::evaluate;

std::vector<double> judge_all() {
  std::vector<double> found;
  for (const fixture::answer_case& c : fixture::answer_attacks) {
    const auto m = reward::compare_answers(c.answer, c.reference, reward::answer::strict);
    found.push_back(static_cast<double>(m));
    const std::string whole =
        std::string("<think>") + c.reference + "</think><answer>" + c.answer + "</answer>";
    const auto r = reward::parse(reward::format::r1_zero{reward::matching::lenient}, whole);
    found.push_back(static_cast<double>(r.fault));
    found.push_back(
        reward::language_reward(r.thought, reward::language::scripts{reward::script::latin}, 0.5));
    found.push_back(static_cast<double>(reward::hash_text(c.answer) >> 12));
  }
  std::vector<double> means(100);
  const auto i = evaluate::bootstrap(found, 0.9, 1, means);
  found.push_back(i.low), found.push_back(i.high);
  found.push_back(evaluate::pass_at_k(1000, 10, 100));
  return found;
}

}  // namespace

TEST_CASE("eight threads judge as one does") {
  const std::vector<double> alone = judge_all();
  std::vector<std::vector<double>> together(8);
  std::vector<std::thread> threads;
  for (auto& t : together) threads.emplace_back([&t] { t = judge_all(); });
  for (auto& t : threads) t.join();
  for (const auto& t : together) CHECK(t == alone);
}
