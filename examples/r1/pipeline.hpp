/// \file
/// The stages of DeepSeek-R1 (arXiv:2501.12948, section 3) in miniature, each from weights to
/// weights. What is R1's stands beside the constant that is ours.
#pragma once

#include "reward_model.hpp"

#include "rl/trainer.hpp"

#include <functional>
#include <optional>

namespace demo {

struct pipeline_settings {
  settings rl;  ///< the base, and GRPO's constants; its steps are not read here

  // Cold start: "thousands of cold-start data" there.
  std::int64_t cold_documents = 256, cold_steps = 40, cold_batch = 64;
  double tune_rate = 2e-3;  ///< of all supervised stages, falls in a line to 0

  // Reasoning RL, hence::recipe::deepseek_r1_stage1: epsilon 10, KL 0.001.
  std::int64_t reasoning_steps = 60;
  double language_weight = 0.5;  ///< 1 there, as that of the form

  // Rejection sampling and fine-tuning of the base: 600k + 200k samples there. A problem has one
  // right thought in each language, so that more samples of one are duplicates: many problems
  // instead.
  std::int64_t sampled_problems = 2048, samples_each = 2, best = 1;
  double other_share = 0.25;  ///< of other data, as there
  std::int64_t tune_steps = 120, tune_batch = 96;

  // RL over all scenarios, hence::recipe::deepseek_r1_stage2.
  std::int64_t preference_problems = 3000, held_out = 500;
  double flipped = 0.05;  ///< labels that are wrong
  std::int64_t model_steps = 250, model_batch = 32;
  double model_rate = 3e-3;
  std::int64_t last_steps = 60;
  std::int64_t preference_steps = 40;  ///< the last 400 of 1700 there; a quarter of 60 is few
  double last_temperature = hence::recipe::deepseek_r1_stage2_schedule.temperature;  ///< 0.7

  // A student.
  std::int64_t student_width = 24, student_base_steps = 1300, student_rl_steps = 100;
  std::int64_t distill_problems = 4096, distill_steps = 300, student_more_steps = 40;

  std::int64_t test_questions = 512;  ///< everyday ones, of each evaluation
};

/// A line of the table.
struct row {
  evaluation reasoning;
  double helpful = 0, harmless = 0;  ///< in truth, means over questions of each kind
  double consistency = 0;            ///< of the thoughts about everyday questions
};

/// What a stage says while it runs: the step, and numbers by name.
using progress = std::function<void(std::int64_t step, std::int64_t steps,
                                    const std::vector<std::pair<const char*, double>>&)>;
/// A line of text, e.g. how many samples met each fate.
using remark = std::function<void(const std::string&)>;

/// The stages, each on the weights that the trainer has. They throw `stopped` where `stop` asks.
class pipeline {
 public:
  struct stopped {};
  pipeline(const pipeline_settings& s, const scenarios& world, hence::thread_pool& pool,
           trainer& model, std::function<bool()> stop, progress report, remark tell)
      : s_(s),
        world_(world),
        pool_(pool),
        model_(model),
        stop_(std::move(stop)),
        report_(std::move(report)),
        tell_(std::move(tell)) {}

  void pretrain(std::int64_t steps);
  /// Stage 1: full solutions without a fault.
  void cold_start();
  /// Stage 2: rewards of accuracy, form and language.
  void reason();
  /// Stage 3: `from` has the weights of stage 2, the trainer those of the base.
  void reject_and_tune(const trainer& from);
  /// Stage 4: reasoning and everyday questions; trains the two reward models first.
  void all_scenarios();
  /// A student learns from what `teacher` says.
  void distill(const trainer& teacher);
  /// RL with R1-Zero's rewards. \param part separates the draws of one such stage from another's.
  void reinforce_student(std::int64_t steps, std::uint64_t part);

  /// Tells some everyday replies with what they are worth.
  row evaluate() const;

 private:
  enum stage : std::uint64_t { cold = 1, reasoning, tuning, preferring, last, distilling, student };
  std::uint64_t seed(purpose p, stage g) const { return seed_of(s_.rl.seed, p, g); }
  /// Over the documents in their order, again and again.
  void tune(std::span<const document> documents, std::int64_t steps, std::int64_t batch);
  void reinforce(const objective& goal, std::int64_t steps);
  /// Samples of correct, readable, unmixed reasoning, mixed with others by their share.
  std::vector<document> keep_good(const trainer& from, std::int64_t problems, stage g,
                                  std::span<const document> others);
  struct pairs {
    /// Labels of the first may be wrong; no pair is in both.
    std::vector<preference_pair> training, held_out;
  };
  pairs preferences(everyday::kind kind) const;
  /// What the reward model of the question's kind is shown; none where the form hides it.
  std::optional<shown_reply> part(const problem& p, std::span<const lm::token> reply) const;

  const pipeline_settings& s_;
  const scenarios& world_;
  hence::thread_pool& pool_;
  trainer& model_;
  std::function<bool()> stop_;
  progress report_;
  remark tell_;
};

}  // namespace demo
