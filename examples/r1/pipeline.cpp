#include "pipeline.hpp"

#include <hence/evaluate.hpp>

#include <cstdio>
#include <numeric>

namespace demo {
namespace {

/// A permutation of [0, n) from dice.
std::vector<std::size_t> shuffled(std::size_t n, std::uint64_t seed, std::uint64_t index) {
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  dice d(seed, 7, index);
  for (std::size_t i = n; i-- > 1;)
    std::swap(order[i], order[static_cast<std::size_t>(d.below(static_cast<std::int64_t>(i) + 1))]);
  return order;
}

}  // namespace

void pipeline::pretrain(std::int64_t steps) {
  model_.initialise();
  for (std::int64_t i = 0; i < steps; ++i) {
    if (stop_()) throw stopped{};
    const auto m = model_.base_step(i);
    report_(i, steps, {{"loss", m.loss}});
  }
}

void pipeline::tune(std::span<const document> documents, std::int64_t steps, std::int64_t batch,
                    stage g) {
  model_.begin_reinforcement();  // the optimizer anew
  const lm::schedule rate{.rate = s_.tune_rate, .steps = steps};
  std::vector<std::size_t> order;
  std::uint64_t epoch = 0;
  for (std::int64_t i = 0; i < steps; ++i) {
    if (stop_()) throw stopped{};
    std::vector<document> mine;
    while (static_cast<std::int64_t>(mine.size()) < batch) {
      if (order.empty()) order = shuffled(documents.size(), seed(purpose::split, g), epoch++);
      mine.push_back(documents[order.back()]);
      order.pop_back();
    }
    const auto m = model_.supervised_step(mine, rate.at(i), i);
    report_(i, steps, {{"loss", m.loss}});
  }
}

void pipeline::reinforce(const objective& goal, std::int64_t steps) {
  model_.begin_reinforcement();
  for (std::int64_t i = 0; i < steps; ++i) {
    if (stop_()) throw stopped{};
    const auto m = model_.reinforce(goal, nullptr);
    report_(i, steps,
            {{"reward", m.reward},
             {"strict", m.strict},
             {"format", m.format},
             {"language", m.consistency},
             {"kl", m.kl},
             {"length", m.mean_length},
             {"think", m.thinking}});
  }
}

void pipeline::cold_start() {
  std::vector<document> documents;
  for (std::int64_t i = 0; i < s_.cold_documents; ++i)
    documents.push_back(
        world_.reasoning().make_solution(seed(purpose::data, cold), static_cast<std::uint64_t>(i)));
  tune(documents, s_.cold_steps, s_.cold_batch, cold);
}

void pipeline::reason() {
  reinforce({.loss = hence::recipe::deepseek_r1_stage1(),
             .temperature = hence::recipe::deepseek_r1_stage1_schedule.temperature,
             .stage = reasoning,
             .rewards =
                 [this](const judged_rollout& r, std::span<float> rewards) {
                   for (std::size_t i = 0; i < rewards.size(); ++i)
                     rewards[i] = static_cast<float>(hence::recipe::deepseek_r1_stage1_reward(
                         r.judged[i].accuracy, s_.rl.format_weight * r.judged[i].format,
                         s_.language_weight * r.judged[i].consistency));
                 }},
            s_.reasoning_steps);
}

row pipeline::evaluate() const {
  row r;
  r.reasoning = model_.evaluate(0);
  std::vector<problem> asked;
  const std::uint64_t seed = seed_of(s_.rl.seed, purpose::tests, 1);
  for (std::int64_t i = 0; i < s_.test_questions; ++i)
    asked.push_back(world_.make_question(seed, static_cast<std::uint64_t>(i)));
  const auto replies = model_.answer(asked, 1, s_.rl.temperature, seed, 3);
  double helpful = 0, harmless = 0;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const double worth = world_.worth(asked[i], replies[i].tokens);
    const bool is_helpful = asked[i].kind == everyday::helpful;
    (is_helpful ? r.helpful : r.harmless) += worth;
    (is_helpful ? helpful : harmless) += 1;
    r.consistency += world_.judge(asked[i], replies[i].tokens, replies[i].is_finished).consistency;
  }
  r.helpful /= std::max(helpful, 1.0), r.harmless /= std::max(harmless, 1.0);
  r.consistency /= std::max(helpful + harmless, 1.0);
  return r;
}

}  // namespace demo
