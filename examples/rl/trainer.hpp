/// \file
/// Supervised steps, GRPO steps, evaluation. The formulas are hence's; what is here is the order in
/// which they are called.
#pragma once

#include "losses.hpp"
#include "task.hpp"

#include "lm/generate.hpp"
#include "lm/lora.hpp"

#include <hence/threads/pool.hpp>

#include <functional>
#include <optional>

namespace demo {

/// What is drawn independently.
enum class purpose : std::uint64_t { weights = 1, corpus, problems, replies, split, tests, data };
/// The seed of one purpose. \param part separates stages of a run.
constexpr std::uint64_t seed_of(std::uint64_t seed, purpose p, std::uint64_t part = 0) {
  return seed * 64 + static_cast<std::uint64_t>(p) + (part << 32);
}

/// A step of pretraining.
struct base_metrics {
  double loss = 0, gradient_norm = 0, rate = 0;
  std::int64_t tokens = 0;
  std::vector<double> max_violation{};  ///< of each layer's experts: 0 at balance
};

/// A step of GRPO.
struct step_metrics {
  std::int64_t step = 0;
  double reward = 0, reward_std = 0;  ///< means over rollouts and over groups
  double accuracy = 0, format = 0, strict = 0, has_think = 0, thinking = 0, consistency = 0;
  double accuracy_std = 0, format_std = 0;
  double loss = 0, kl = 0, entropy = 0, clip_low = 0, clip_high = 0, clip_region = 0;
  double gradient_norm = 0, rate = 0;
  double mean_length = 0, mean_finished_length = 0, cut_share = 0;
  std::int64_t shortest = 0, longest = 0;
  double dead_groups = 0;
  std::int64_t tokens = 0;            ///< generated so far
  std::vector<double> max_violation;  ///< of each layer's experts, over the step
  std::vector<std::int64_t> load;     ///< of the experts, all layers together
};

/// One reply of a rollout, for the samples.
struct sample_row {
  std::string text;
  double reward = 0, advantage = 0;
  verdict judged{};
};
struct sample_group {
  std::string prompt, reference;
  std::vector<sample_row> rows;
};

struct evaluation {
  double strict = 0, format = 0, thinking = 0, length = 0, consistency = 0;
  std::int64_t problems = 0, correct = 0;
  double pass_1 = 0, pass_k[3] = {};  ///< pass@4, 16, 64 as far as there are samples
  double consensus = 0;
  double pass_1_low = 0, pass_1_high = 0;  ///< 95% over problems
};

/// A rollout that is judged, `[questions group]` each but the problems, `[questions]`.
struct judged_rollout {
  std::span<const problem> asked;
  std::span<const lm::generated> replies;
  std::span<const verdict> judged;
};

/// What an RL stage is for.
struct objective {
  any_loss loss;
  double temperature = 1;
  bool scales_advantage = true;  ///< by the group's deviation; if not, Dr. GRPO's r - mean
  std::uint64_t stage = 0;       ///< separates its draws from those of other stages
  /// The rewards of a rollout, `[questions group]`.
  std::function<void(const judged_rollout&, std::span<float>)> rewards;
  /// Problem of a seed and an index; empty: the task's.
  std::function<problem(std::uint64_t, std::uint64_t)> problems{};
};

/// R1-Zero's: the loss of the settings and the two rewards of rules. Throws as `make_loss`.
objective r1_zero_objective(const settings& s, const task& t);

/// What is saved and read again.
struct run_state {
  std::vector<float> weights;
  std::vector<float> reference;       ///< of the KL; empty: the base of the adapters
  std::vector<float> base, adapters;  ///< with LoRA: weights are both, merged
  lm::adamw_state optimizer;          ///< of the weights, or of the adapters
  std::int64_t step = 0;              ///< GRPO steps that are done
  std::int64_t tokens = 0;
};

class trainer {
 public:
  /// Of the miniature.
  trainer(const settings& s, const word_task& t, hence::thread_pool& pool);
  /// Of any model.
  trainer(const settings& s, const task& t, const lm::model_config& c, hence::thread_pool& pool);

  const lm::transformer<float>& model() const { return model_; }
  /// Null: all weights are trained.
  const lm::lora<float>* adapters() const { return lora_ ? &*lora_ : nullptr; }
  run_state& state() { return state_; }
  const run_state& state() const { return state_; }

  /// New weights.
  void initialise();
  /// Weights that somebody else made: with LoRA the frozen base of new adapters.
  void begin_from(std::span<const float> weights);
  /// After `state().adapters` were read: makes the weights anew.
  void merge();
  /// One step on documents of the corpus.
  base_metrics base_step(std::int64_t step);
  /// One step on these documents; the loss is the mean over their replies' tokens.
  base_metrics supervised_step(std::span<const document> documents, double rate, std::int64_t step);
  /// Log-probs of the responses, and what `add_gradient` needs of the forward pass.
  std::vector<float> logprobs(const lm::packed_batch& batch, double temperature,
                              hence::view<float> entropy = {});
  /// After `logprobs` of the same batch: adds the gradient of sum cotangent logp.
  void add_gradient(const lm::packed_batch& batch, double temperature,
                    std::span<const float> cotangent);
  /// One step of the optimizer along what was added. \return the gradient's norm.
  double update(double rate);
  /// The base becomes the reference, and the optimizer begins anew.
  void begin_reinforcement();
  /// Rollout, rewards, advantages, minibatches. Accuracy and the form are those of problems that
  /// have a right answer.
  /// \param shown where not null: the first group of the rollout.
  step_metrics reinforce(const objective& goal, sample_group* shown);
  /// Replies to problems, problem after problem. \param seed, part of the draws.
  std::vector<lm::generated> answer(std::span<const problem> asked, std::int64_t each,
                                    double temperature, std::uint64_t seed,
                                    std::uint32_t part) const;
  /// \param use separates the problems from those of other evaluations.
  evaluation evaluate(std::uint64_t use) const;
  /// Replies to one problem, for before and after.
  sample_group show(std::uint64_t index, std::int64_t replies) const;

 private:
  /// What the optimizer sees: all weights, or the adapters.
  const lm::arena_layout& trained_layout() const;
  std::vector<float>& trained() { return lora_ ? state_.adapters : state_.weights; }
  /// Adds the loads of the batch that was computed last.
  void count_loads();
  /// Moves the selection biases by the loads since the last call, and clears these.
  void balance(std::int64_t step);
  std::vector<double> violations() const;

  settings s_;
  const task& task_;
  hence::thread_pool& pool_;
  lm::transformer<float> model_;
  std::optional<lm::lora<float>> lora_;
  run_state state_;
  std::vector<float> gradient_;
  lm::activations<float> activations_;
  std::vector<std::vector<std::int64_t>> loads_;  // [layers][experts]
};

}  // namespace demo
