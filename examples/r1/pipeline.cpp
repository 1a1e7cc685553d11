#include "pipeline.hpp"

#include <hence/evaluate.hpp>

#include <cstdio>
#include <numeric>

namespace demo {
namespace {

/// A permutation of [0, n) from dice.
std::vector<std::size_t> shuffled(std::size_t n, std::uint64_t seed) {
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  dice d(seed, 7, 0);
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

void pipeline::tune(std::span<const document> documents, std::int64_t steps, std::int64_t batch) {
  model_.begin_reinforcement();  // the optimizer anew
  const lm::schedule rate{.rate = s_.tune_rate, .steps = steps};
  std::size_t next = 0;
  for (std::int64_t i = 0; i < steps; ++i) {
    if (stop_()) throw stopped{};
    std::vector<document> mine;
    for (std::int64_t n = 0; n < batch; ++n) mine.push_back(documents[next++ % documents.size()]);
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
  tune(documents, s_.cold_steps, s_.cold_batch);
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

std::vector<document> pipeline::keep_good(const trainer& from, std::int64_t problems, stage g,
                                          std::span<const document> others) {
  namespace evaluate = hence::evaluate;
  std::vector<problem> asked;
  for (std::int64_t i = 0; i < problems; ++i)
    asked.push_back(world_.make_problem(seed(purpose::problems, g), static_cast<std::uint64_t>(i)));
  const auto each = static_cast<std::size_t>(s_.samples_each);
  const auto replies =
      from.answer(asked, s_.samples_each, s_.rl.temperature, seed(purpose::replies, g), 0);
  const std::size_t n = replies.size();
  std::vector<std::uint8_t> correct(n), readable(n), one_language(n);
  std::vector<std::uint64_t> key(n);
  std::vector<std::int64_t> cu_groups;
  for (std::int64_t q = 0; q <= problems; ++q) cu_groups.push_back(q * s_.samples_each);
  for (std::size_t i = 0; i < n; ++i) {
    const auto v = world_.judge(asked[i / each], replies[i].tokens, replies[i].is_finished);
    correct[i] = v.accuracy > 0, readable[i] = v.format > 0, one_language[i] = v.consistency == 1;
    key[i] = hence::reward::hash_text(world_.words().text(replies[i].tokens));
  }
  std::vector<evaluate::rejection> fates(n);
  const auto counts = evaluate::select({.correct = correct,
                                        .readable = readable,
                                        .one_language = one_language,
                                        .without_repetition = {},
                                        .key = key,
                                        .score = {}},
                                       cu_groups, s_.best, hence::view<evaluate::rejection>(fates));
  std::vector<document> kept;
  for (const std::size_t i : shuffled(n, seed(purpose::split, g)))
    if (fates[i] == evaluate::rejection::kept)
      kept.push_back({asked[i / each].prompt, replies[i].tokens});
  tell_(std::to_string(n) + " samples: " + std::to_string(kept.size()) + " kept, " +
        std::to_string(counts.of(evaluate::rejection::wrong)) + " wrong, " +
        std::to_string(counts.of(evaluate::rejection::unreadable)) + " unreadable, " +
        std::to_string(counts.of(evaluate::rejection::mixed_languages)) + " of mixed languages, " +
        std::to_string(counts.of(evaluate::rejection::duplicate)) + " duplicates, " +
        std::to_string(counts.of(evaluate::rejection::not_among_best)) + " beyond the best " +
        std::to_string(s_.best) + " of a problem");

  // other data by their share, spread evenly
  const double ratio = s_.other_share / (1 - s_.other_share);
  const auto wanted = static_cast<std::size_t>(static_cast<double>(kept.size()) * ratio);
  const auto more = static_cast<std::int64_t>(std::min(others.size(), wanted));
  const std::vector<std::int64_t> sizes{static_cast<std::int64_t>(kept.size()), more};
  std::vector<std::int64_t> taken(2), source(kept.size() + static_cast<std::size_t>(more));
  evaluate::mix(sizes, taken, source);
  std::vector<document> all;
  std::size_t next[2] = {};
  for (const std::int64_t from_where : source) {
    const auto w = static_cast<std::size_t>(from_where);
    all.push_back(w == 0 ? kept[next[0]++] : others[next[1]++]);
  }
  if (all.empty())
    throw std::runtime_error("rejection sampling: no sample of " + std::to_string(n) +
                             " is kept; the stage before it needs more steps");
  return all;
}

void pipeline::reject_and_tune(const trainer& from) {
  std::vector<document> others;
  for (std::int64_t i = 0; i < s_.sampled_problems * s_.best; ++i)
    others.push_back(world_.make_answered(seed(purpose::data, tuning),
                                          static_cast<std::uint64_t>(i), everyday::written));
  tune(keep_good(from, s_.sampled_problems, tuning, others), s_.tune_steps, s_.tune_batch);
}

pipeline::pairs pipeline::preferences(everyday::kind kind) const {
  pairs all;
  std::vector<problem> asked;
  const std::uint64_t questions = seed(purpose::problems, preferring);
  for (std::uint64_t i = 0; static_cast<std::int64_t>(asked.size()) < s_.preference_problems; ++i)
    if (problem p = world_.make_question(questions, i); p.kind == kind)
      asked.push_back(std::move(p));
  constexpr std::int64_t drawn = 2;
  const auto replies =
      model_.answer(asked, drawn, s_.rl.temperature, seed(purpose::replies, preferring),
                    static_cast<std::uint32_t>(kind));
  const std::uint64_t data = seed(purpose::data, preferring);
  for (std::size_t q = 0; q < asked.size(); ++q) {
    // two of the policy's replies, one of each corpus: as unlike as what RL will come upon
    std::vector<std::vector<lm::token>> some;
    for (std::size_t i = 0; i < drawn; ++i) some.push_back(replies[q * drawn + i].tokens);
    for (const auto* quality : {&everyday::found, &everyday::written})
      some.push_back(
          world_.questions().make_reply(data, 2 * q + some.size() % 2, asked[q], *quality));
    dice d(data, static_cast<std::uint32_t>(8 + kind), q);
    const auto a = static_cast<std::size_t>(d.below(4));
    const auto b = (a + 1 + static_cast<std::size_t>(d.below(3))) % 4;
    double better = world_.worth(asked[q], some[a]) - world_.worth(asked[q], some[b]);
    if (better == 0) continue;
    const bool is_test = static_cast<std::int64_t>(q) < s_.held_out;
    if (!is_test && d.chance(s_.flipped)) better = -better;
    const auto first = part(asked[q], some[a]), second = part(asked[q], some[b]);
    if (!first || !second) continue;
    (is_test ? all.held_out : all.training)
        .push_back(better > 0 ? preference_pair{*first, *second}
                              : preference_pair{*second, *first});
  }
  drop_seen(all.held_out, all.training);
  return all;
}

std::optional<shown_reply> pipeline::part(const problem& p,
                                          std::span<const lm::token> reply) const {
  namespace reward = hence::reward;
  // R1's helpfulness model sees "only the final summary", the safety model "the entire response"
  const auto what =
      p.kind == everyday::helpful ? reward::shown::summary : reward::shown::whole_response;
  std::optional<shown_reply> r;
  const auto model = [&](std::string_view, std::string_view seen) {
    r = reward_model::shown(p.prompt, world_.words().tokens(seen));
    return 0.0;
  };
  reward::model_reward(what, scenarios::form(), "", world_.words().text(reply), 0.0, model);
  return r;
}

void pipeline::all_scenarios() {
  reward_model helpful(world_, pool_, seed(purpose::weights, preferring));
  reward_model harmless(world_, pool_, seed(purpose::weights, preferring) + 1);
  for (const auto kind : {everyday::helpful, everyday::harmless}) {
    if (stop_()) throw stopped{};
    auto& judge = kind == everyday::helpful ? helpful : harmless;
    const pairs p = preferences(kind);
    judge.train(p.training, s_.model_steps, s_.model_batch, s_.model_rate);
    char text[128];
    std::snprintf(text, sizeof text, "reward model: %s, %zu pairs, right on %.3f of %zu new ones",
                  kind == everyday::helpful ? "helpful" : "harmless", p.training.size(),
                  judge.accuracy(p.held_out), p.held_out.size());
    tell_(text);
  }

  const auto rewards = [&](const judged_rollout& r, std::span<float> out) {
    const std::size_t group = r.replies.size() / r.asked.size();
    // the models' scores, all of a kind at once
    std::vector<double> by_model(out.size());
    for (const auto kind : {everyday::helpful, everyday::harmless}) {
      auto& judge = kind == everyday::helpful ? helpful : harmless;
      std::vector<shown_reply> seen;
      std::vector<std::size_t> rows;
      for (std::size_t i = 0; i < out.size(); ++i)
        if (r.asked[i / group].kind == kind)
          if (auto shown = part(r.asked[i / group], r.replies[i].tokens)) {
            seen.push_back(std::move(*shown));
            rows.push_back(i);
          }
      const auto scores = judge.scores(seen);
      for (std::size_t k = 0; k < rows.size(); ++k) by_model[rows[k]] = judge.reward(scores[k]);
    }
    for (std::size_t i = 0; i < out.size(); ++i) {
      const verdict& v = r.judged[i];
      const double form = s_.rl.format_weight * v.format;
      const bool is_reasoning = r.asked[i / group].kind == everyday::reasoning;
      out[i] = static_cast<float>(hence::recipe::deepseek_r1_stage2_reward(
          is_reasoning ? v.accuracy + form : 0, by_model[i], is_reasoning ? 0 : form,
          s_.language_weight * v.consistency));
    }
  };
  // everyday questions in the last steps alone, then half of all
  const auto first = static_cast<std::uint64_t>(
      std::max<std::int64_t>(0, s_.last_steps - s_.preference_steps) * s_.rl.questions);
  const auto problems = [&](std::uint64_t from, std::uint64_t index) {
    return index >= first && index % 2 == 1 ? world_.make_question(from, index)
                                            : world_.make_problem(from, index);
  };
  reinforce({.loss = hence::recipe::deepseek_r1_stage2(),
             .temperature = s_.last_temperature,
             .stage = last,
             .rewards = rewards,
             .problems = problems},
            s_.last_steps);
}

void pipeline::distill(const trainer& teacher) {
  std::vector<problem> asked;
  for (std::int64_t i = 0; i < s_.distill_problems; ++i)
    asked.push_back(
        world_.make_question(seed(purpose::data, distilling), static_cast<std::uint64_t>(i)));
  const auto replies =
      teacher.answer(asked, 1, s_.rl.temperature, seed(purpose::data, distilling), 1);
  std::vector<document> others;
  for (std::size_t i = 0; i < asked.size(); ++i)
    if (world_.judge(asked[i], replies[i].tokens, replies[i].is_finished).format > 0)
      others.push_back({asked[i].prompt, replies[i].tokens});
  tune(keep_good(teacher, s_.distill_problems, distilling, others), s_.distill_steps,
       s_.tune_batch);
}

void pipeline::reinforce_student(std::int64_t steps, std::uint64_t part) {
  auto goal = r1_zero_objective(s_.rl, world_);
  goal.stage = student + part;
  reinforce(goal, steps);
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
    if (i < 6) {
      char text[16];
      std::snprintf(text, sizeof text, "%4.1f  ", worth);
      tell_(text + world_.words().text(asked[i].prompt) + " : " +
            world_.words().text(replies[i].tokens));
    }
    r.consistency += world_.judge(asked[i], replies[i].tokens, replies[i].is_finished).consistency;
  }
  r.helpful /= std::max(helpful, 1.0), r.harmless /= std::max(harmless, 1.0);
  r.consistency /= std::max(helpful + harmless, 1.0);
  return r;
}

}  // namespace demo
