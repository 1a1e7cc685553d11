#include "trainer.hpp"

#include "addition.hpp"
#include "chain.hpp"
#include "countdown.hpp"

#include "lm/initial.hpp"

#include <hence/evaluate.hpp>
#include <hence/moe.hpp>
#include <hence/policy.hpp>
#include <hence/policy/dead_groups.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace demo {

std::unique_ptr<word_task> make_task(const std::string& name) {
  if (name == "chain") return std::make_unique<chain>();
  if (name == "long_chain")
    return std::make_unique<chain>(std::vector<std::string>{}, chain::longer);
  if (name == "countdown") return std::make_unique<countdown>();
  if (name == "addition") return std::make_unique<addition>();
  throw std::invalid_argument("there is no task " + name +
                              ", expected chain, long_chain, countdown or addition");
}

namespace {

/// Mean and deviation (n - 1) of numbers, summed in order.
struct spread {
  double mean = 0, deviation = 0;
  template <class F> spread(std::int64_t n, const F& f) {
    for (std::int64_t i = 0; i < n; ++i) mean += f(i);
    mean /= static_cast<double>(std::max<std::int64_t>(n, 1));
    for (std::int64_t i = 0; i < n; ++i) deviation += (f(i) - mean) * (f(i) - mean);
    deviation = n > 1 ? std::sqrt(deviation / static_cast<double>(n - 1)) : 0;
  }
};

/// Rows that are computed together: whole groups, as far as a minibatch has them.
struct micro_batch {
  lm::packed_batch batch;
  std::vector<float> old, advantages;
};

}  // namespace

trainer::trainer(const settings& s, const word_task& t, hence::thread_pool& pool)
    : trainer(s, t, s.model(t.words().size(), t.longest_prompt() + t.longest_reply()), pool) {}

trainer::trainer(const settings& s, const task& t, const lm::model_config& c,
                 hence::thread_pool& pool)
    : s_(s), task_(t), pool_(pool), model_(c) {
  lm::check_gemm();
  const std::int64_t rollout = s.questions * s.group;
  if (s.minibatches < 1 || s.minibatches > rollout)
    throw std::invalid_argument("minibatches is " + std::to_string(s.minibatches) +
                                ", expected 1 to the " + std::to_string(rollout) +
                                " replies of a rollout (" + std::to_string(s.questions) +
                                " questions x " + std::to_string(s.group) + ")");
  if (s.lora.rank != 0) lora_.emplace(model_, s.lora);
  gradient_.resize(static_cast<std::size_t>(lora_ ? lora_->size() : model_.gradient_size()));
}

const lm::arena_layout& trainer::trained_layout() const {
  return lora_ ? lora_->layout() : model_.parameters().layout;
}

void trainer::initialise() {
  std::vector<float> weights(static_cast<std::size_t>(model_.size()));
  lm::initialise(model_.config(), model_.parameters(), seed_of(s_.seed, purpose::weights),
                 weights.data());
  begin_from(weights);
}

void trainer::begin_from(std::span<const float> weights) {
  state_.weights.assign(weights.begin(), weights.end());
  if (lora_) {
    state_.base = state_.weights;
    state_.adapters.resize(static_cast<std::size_t>(lora_->size()));
    lora_->initialise(seed_of(s_.seed, purpose::weights), state_.adapters.data());
  }
  state_.optimizer = lm::adamw_state(trained_layout().size());
}

void trainer::merge() {
  lora_->merge(pool_, state_.base.data(), state_.adapters.data(), state_.weights.data());
}

void trainer::count_loads() {
  const auto& c = model_.config();
  if (!c.is_moe()) return;
  loads_.resize(static_cast<std::size_t>(c.layers));
  for (std::size_t l = 0; l < loads_.size(); ++l) {
    const auto load = model_.load(activations_, l);
    loads_[l].resize(load.size());
    for (std::size_t e = 0; e < load.size(); ++e) loads_[l][e] += load[e];
  }
}

void trainer::balance(std::int64_t step) {
  const auto experts = model_.config().moe.experts;
  for (std::size_t l = 0; l < loads_.size(); ++l) {
    std::vector<std::int64_t> room(loads_[l].size());
    hence::moe::balancer balancer(
        hence::moe::sign_step{s_.bias_speed},
        hence::view<float>(state_.weights.data() + model_.parameters().layers[l].bias, experts),
        hence::view<std::int64_t>(room));
    balancer.observe({}, loads_[l]);
    balancer.update(step);
  }
  loads_.clear();
}

std::vector<double> trainer::violations() const {
  std::vector<double> v;
  for (const auto& load : loads_) v.push_back(hence::moe::measure_load(load).max_violation());
  return v;
}

base_metrics trainer::base_step(std::int64_t step) {
  std::vector<document> documents;
  for (std::int64_t i = 0; i < s_.base_documents; ++i)
    documents.push_back(
        task_.make_document(seed_of(s_.seed, purpose::corpus),
                            static_cast<std::uint64_t>(step * s_.base_documents + i)));
  return supervised_step(documents,
                         lm::schedule{.rate = s_.base_rate, .steps = s_.base_steps}.at(step), step);
}

base_metrics trainer::supervised_step(std::span<const document> documents, double rate,
                                      std::int64_t step) {
  base_metrics m;
  std::vector<lm::packed_batch> batches;
  batches.emplace_back(s_.tile_tokens);
  for (const document& doc : documents) {
    if (batches.back().size() >= s_.micro_tokens) batches.emplace_back(s_.tile_tokens);
    batches.back().begin_group(doc.prompt);
    batches.back().add_response(doc.reply);
    m.tokens += static_cast<std::int64_t>(doc.reply.size());
  }
  for (auto& batch : batches) {
    batch.close();
    const auto n = static_cast<std::size_t>(batch.responses());
    // the mean over the whole step's tokens, whatever the micro-batch
    const std::vector<float> cotangent(n, -1.0f / static_cast<float>(m.tokens));
    const auto logp = logprobs(batch, 1.0);
    add_gradient(batch, 1.0, cotangent);
    for (const float x : logp) m.loss -= static_cast<double>(x);
  }
  m.loss /= static_cast<double>(m.tokens);
  m.rate = rate;
  m.gradient_norm = update(rate);
  m.max_violation = violations();
  balance(step);
  return m;
}

std::vector<float> trainer::logprobs(const lm::packed_batch& batch, double temperature,
                                     hence::view<float> entropy) {
  std::vector<float> logp(static_cast<std::size_t>(batch.responses()));
  model_.forward(pool_, state_.weights.data(), batch, activations_, true);
  model_.logprobs(pool_, state_.weights.data(), batch, activations_, temperature, logp, entropy);
  count_loads();
  return logp;
}

void trainer::add_gradient(const lm::packed_batch& batch, double temperature,
                           std::span<const float> cotangent) {
  const hence::view<const float> d(cotangent.data(), static_cast<std::int64_t>(cotangent.size()));
  const float* const weights = state_.weights.data();
  if (!lora_) {
    model_.backward(pool_, weights, batch, activations_, temperature, d, gradient_.data());
    return;
  }
  model_.backward_activations(pool_, weights, batch, activations_, temperature, d);
  lora_->backward(pool_, state_.adapters.data(), batch, activations_, gradient_.data());
}

double trainer::update(double rate) {
  if (!lora_) model_.fold(gradient_.data());
  const double norm = lm::adamw_step(pool_, s_.optimizer, rate, trained_layout(), gradient_,
                                     state_.optimizer, trained());
  std::fill(gradient_.begin(), gradient_.end(), 0.0f);
  if (lora_) merge();
  return norm;
}

void trainer::begin_reinforcement() {
  // what no adapter has moved yet is the base, which need not be kept twice
  if (lora_ && state_.weights == state_.base)
    state_.reference = {};
  else
    state_.reference = state_.weights;
  state_.optimizer = lm::adamw_state(trained_layout().size());
  state_.step = 0;
}

objective r1_zero_objective(const settings& s, const task& t) {
  return {.loss = make_loss(s, t.longest_reply()),
          .temperature = s.temperature,
          .scales_advantage = s.recipe != "dr_grpo",
          .rewards = [weight = s.format_weight](const judged_rollout& r, std::span<float> rewards) {
            for (std::size_t i = 0; i < rewards.size(); ++i)
              rewards[i] = static_cast<float>(hence::recipe::deepseek_r1_zero_reward(
                  r.judged[i].accuracy, weight * r.judged[i].format));
          }};
}

std::vector<lm::generated> trainer::answer(std::span<const problem> asked, std::int64_t each,
                                           double temperature, std::uint64_t seed,
                                           std::uint32_t part) const {
  std::vector<std::vector<lm::token>> prompts;
  for (const problem& p : asked) prompts.push_back(p.prompt);
  return lm::generate(pool_, model_, state_.weights.data(), prompts, each,
                      {.sample = {.temperature = temperature},
                       .end = task_.end(),
                       .longest = task_.longest_reply(),
                       .seed = seed,
                       .step = part});
}

step_metrics trainer::reinforce(const objective& goal, sample_group* shown) {
  step_metrics m;
  m.step = state_.step;
  const std::int64_t rows = s_.questions * s_.group;
  const auto count = static_cast<std::size_t>(rows);

  // Rollout. A token's log-prob has the bits of the trainer's, so it is the old policy's.
  const auto seed = [&](purpose p) { return seed_of(s_.seed, p, goal.stage); };
  std::vector<problem> asked;
  for (std::int64_t q = 0; q < s_.questions; ++q) {
    const auto index = static_cast<std::uint64_t>(m.step * s_.questions + q);
    asked.push_back(goal.problems ? goal.problems(seed(purpose::problems), index)
                                  : task_.make_problem(seed(purpose::problems), index));
  }
  const auto replies = answer(asked, s_.group, goal.temperature, seed(purpose::replies),
                              static_cast<std::uint32_t>(m.step));

  // Rewards and advantages.
  std::vector<verdict> judged(count);
  std::vector<float> rewards(count), advantages(count);
  std::vector<std::int64_t> cu_groups;
  for (std::int64_t q = 0; q <= s_.questions; ++q) cu_groups.push_back(q * s_.group);
  for (std::size_t i = 0; i < count; ++i)
    judged[i] = task_.judge(asked[i / static_cast<std::size_t>(s_.group)], replies[i].tokens,
                            replies[i].is_finished);
  goal.rewards({asked, replies, judged}, rewards);
  const hence::groups groups{.cu_groups = cu_groups};
  const hence::advantage::singleton_zero alone{};
  if (goal.scales_advantage)
    hence::advantages(hence::cpu{}, hence::advantage::grpo(/*ddof=*/1, /*eps=*/1e-4, alone), groups,
                      rewards, advantages);
  else
    hence::advantages(hence::cpu{}, hence::advantage::dr_grpo(alone), groups, rewards, advantages);

  // The rows at random to the minibatches, in each of them again prompt after prompt.
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t i = count; i-- > 1;) {
    dice d(seed(purpose::split), static_cast<std::uint32_t>(m.step), i);
    std::swap(order[i], order[static_cast<std::size_t>(d.below(static_cast<std::int64_t>(i) + 1))]);
  }
  hence::policy_metrics<float> policy;
  double entropy_sum = 0;
  m.rate = s_.rate;
  for (std::int64_t k = 0; k < s_.minibatches; ++k) {
    const auto begin = order.begin() + k * rows / s_.minibatches;
    const auto end = order.begin() + (k + 1) * rows / s_.minibatches;
    std::vector<std::size_t> mine(begin, end);
    std::sort(mine.begin(), mine.end());
    std::vector<micro_batch> parts;
    auto group = static_cast<std::size_t>(-1);
    for (const std::size_t i : mine) {
      const std::size_t g = i / static_cast<std::size_t>(s_.group);
      if (g != group) {
        if (parts.empty() || parts.back().batch.size() >= s_.micro_tokens)
          parts.push_back({lm::packed_batch(s_.tile_tokens), {}, {}});
        parts.back().batch.begin_group(asked[group = g].prompt);
      }
      micro_batch& part = parts.back();
      part.batch.add_response(replies[i].tokens);
      part.old.insert(part.old.end(), replies[i].logp.begin(), replies[i].logp.end());
      part.advantages.push_back(advantages[i]);
    }
    // One quotient for the whole minibatch: count first.
    hence::counts counts{};
    for (micro_batch& part : parts) {
      part.batch.close();
      counts = counts + hence::count(part.batch.ragged());
    }
    for (const auto& [batch, old, row_advantages] : parts) {
      const auto n = static_cast<std::size_t>(batch.responses());
      std::vector<float> ref(n), entropy(n), cotangent(n);
      const float* const reference =
          (state_.reference.empty() ? state_.base : state_.reference).data();
      model_.forward(pool_, reference, batch, activations_, false);
      model_.logprobs(pool_, reference, batch, activations_, goal.temperature, ref);
      const auto logp = logprobs(batch, goal.temperature, entropy);
      const hence::sampled how{.temperature = goal.temperature};
      const loss_part part = loss_and_gradient(
          goal.loss, counts, batch.ragged(),
          {.logp = {logp, how}, .old = {old, how}, .ref = {ref, how}, .advantages = row_advantages},
          cotangent);
      if (!part.is_finite)
        throw std::runtime_error("step " + std::to_string(m.step) + ": the loss is not finite");
      add_gradient(batch, goal.temperature, cotangent);
      m.loss += part.loss;
      policy += part.metrics;
      for (const float e : entropy) entropy_sum += static_cast<double>(e);
    }
    m.gradient_norm += update(m.rate);
    for (std::size_t l = 0; l < loads_.size(); ++l) {
      m.max_violation.resize(loads_.size());
      m.load.resize(loads_[l].size());
      m.max_violation[l] +=
          hence::moe::measure_load(loads_[l]).max_violation() / static_cast<double>(s_.minibatches);
      for (std::size_t e = 0; e < loads_[l].size(); ++e) m.load[e] += loads_[l][e];
    }
    balance(m.step * s_.minibatches + k);
  }
  ++state_.step;
  if (state_.step % s_.refresh_reference == 0) state_.reference = state_.weights;

  const auto mean_of = [&](const auto& f) {
    return spread(rows, [&](std::int64_t i) { return f(static_cast<std::size_t>(i)); });
  };
  m.loss /= static_cast<double>(s_.minibatches);
  m.gradient_norm /= static_cast<double>(s_.minibatches);
  m.kl = policy.kl_mean(), m.clip_low = policy.clip_low_mean();
  m.clip_high = policy.clip_high_mean(), m.clip_region = policy.clip_region_mean();
  m.reward = mean_of([&](std::size_t i) { return static_cast<double>(rewards[i]); }).mean;
  for (std::int64_t q = 0; q < s_.questions; ++q)
    m.reward_std +=
        spread(s_.group,
               [&](std::int64_t i) {
                 return static_cast<double>(rewards[static_cast<std::size_t>(q * s_.group + i)]);
               })
            .deviation /
        static_cast<double>(s_.questions);
  std::vector<std::size_t> reasoning;  // rows of problems that have a right answer
  for (std::size_t i = 0; i < count; ++i)
    if (asked[i / static_cast<std::size_t>(s_.group)].kind == 0) reasoning.push_back(i);
  const auto of_reasoning = [&](const auto& f) {
    return spread(static_cast<std::int64_t>(reasoning.size()), [&](std::int64_t i) {
      return f(judged[reasoning[static_cast<std::size_t>(i)]]);
    });
  };
  const spread accuracy = of_reasoning([](const verdict& v) { return v.accuracy; });
  const spread format = of_reasoning([](const verdict& v) { return v.format; });
  m.accuracy = accuracy.mean, m.accuracy_std = accuracy.deviation;
  m.format = format.mean, m.format_std = format.deviation;
  m.strict = of_reasoning([](const verdict& v) { return v.strict; }).mean;
  m.has_think = of_reasoning([](const verdict& v) { return v.has_think ? 1.0 : 0.0; }).mean;
  m.thinking = of_reasoning([](const verdict& v) { return static_cast<double>(v.steps); }).mean;
  m.consistency = of_reasoning([](const verdict& v) { return v.consistency; }).mean;
  m.dead_groups = hence::dead_groups(hence::cpu{}, groups, rewards, 0.0).frac_reward_zero_std();
  std::int64_t finished = 0, finished_tokens = 0, tokens = 0;
  m.shortest = task_.longest_reply();
  for (const auto& r : replies) {
    const auto n = static_cast<std::int64_t>(r.tokens.size());
    tokens += n, m.shortest = std::min(m.shortest, n), m.longest = std::max(m.longest, n);
    if (r.is_finished) ++finished, finished_tokens += n;
  }
  m.entropy = entropy_sum / static_cast<double>(tokens);
  m.mean_length = static_cast<double>(tokens) / static_cast<double>(rows);
  m.mean_finished_length = static_cast<double>(finished_tokens) /
                           static_cast<double>(std::max<std::int64_t>(finished, 1));
  m.cut_share = static_cast<double>(rows - finished) / static_cast<double>(rows);
  m.tokens = state_.tokens += tokens;

  if (shown != nullptr) {
    *shown = {task_.text(asked[0].prompt), asked[0].reference, {}};
    for (std::size_t i = 0; i < static_cast<std::size_t>(s_.group); ++i)
      shown->rows.push_back({task_.text(replies[i].tokens), static_cast<double>(rewards[i]),
                             static_cast<double>(advantages[i]), judged[i]});
  }
  return m;
}

evaluation trainer::evaluate(std::uint64_t use) const {
  evaluation e;
  const std::uint64_t seed = seed_of(s_.seed, purpose::tests, use);
  const auto ask = [&](std::int64_t n, std::int64_t each, std::uint32_t part, const auto& f) {
    std::vector<problem> asked;
    for (std::int64_t i = 0; i < n; ++i)
      asked.push_back(task_.make_problem(seed + part, static_cast<std::uint64_t>(i)));
    const auto replies = answer(asked, each, s_.temperature, seed, part);
    for (std::size_t i = 0; i < replies.size(); ++i) {
      const problem& p = asked[i / static_cast<std::size_t>(each)];
      f(i, p, task_.judge(p, replies[i].tokens, replies[i].is_finished), replies[i]);
    }
  };
  ask(s_.test_problems, 1, 1,
      [&](std::size_t, const problem&, const verdict& v, const lm::generated& g) {
        e.correct += v.strict > 0, e.format += v.format;
        e.thinking += static_cast<double>(v.steps), e.consistency += v.consistency;
        e.length += static_cast<double>(g.tokens.size());
      });
  e.problems = s_.test_problems;
  const auto n = static_cast<double>(e.problems);
  e.strict = static_cast<double>(e.correct) / n;
  e.format /= n, e.thinking /= n, e.length /= n, e.consistency /= n;

  const auto problems = static_cast<std::size_t>(s_.pass_problems);
  const auto samples = static_cast<std::size_t>(s_.pass_samples);
  if (problems == 0 || samples == 0) return e;
  std::vector<std::int64_t> drawn(problems, s_.pass_samples), correct(problems),
      answers(problems * samples), references(problems);
  ask(s_.pass_problems, s_.pass_samples, 2,
      [&](std::size_t i, const problem& p, const verdict& v, const lm::generated&) {
        correct[i / samples] += v.strict > 0;
        // a vote counts only with the form
        answers[i] = v.format > 0 ? v.answer : -1;
        references[i / samples] = std::stoll(p.reference);
      });
  std::vector<double> each(problems), means(2000);
  e.pass_1 = hence::evaluate::pass_at_k(drawn, correct, 1, each);
  const auto around = hence::evaluate::bootstrap(each, 0.95, seed, means);
  e.pass_1_low = around.low, e.pass_1_high = around.high;
  int slot = 0;
  for (const std::int64_t k : {4, 16, 64})
    e.pass_k[slot++] =
        k <= s_.pass_samples ? hence::evaluate::pass_at_k(drawn, correct, k, each) : 0;
  for (std::size_t p = 0; p < problems; ++p)
    e.consensus +=
        hence::evaluate::majority_vote(
            hence::view<const std::int64_t>(answers.data() + p * samples, s_.pass_samples),
            references[p], hence::evaluate::ties::fractional)
            .correct /
        static_cast<double>(problems);
  return e;
}

sample_group trainer::show(std::uint64_t index, std::int64_t replies) const {
  const problem p = task_.make_problem(seed_of(s_.seed, purpose::tests) + 99, index);
  sample_group g{task_.text(p.prompt), p.reference, {}};
  for (const auto& r :
       answer({&p, 1}, replies, s_.temperature, seed_of(s_.seed, purpose::tests) + 98, 0)) {
    sample_row row;
    row.text = task_.text(r.tokens);
    row.judged = task_.judge(p, r.tokens, r.is_finished);
    row.reward = hence::recipe::deepseek_r1_zero_reward(row.judged.accuracy,
                                                        s_.format_weight * row.judged.format);
    g.rows.push_back(row);
  }
  return g;
}

}  // namespace demo
