/// \file
/// The stages of DeepSeek-R1 (arXiv:2501.12948, section 3) in miniature, each from weights to
/// weights.
#pragma once

#include "reward_model.hpp"
#include "settings.hpp"

#include "rl/trainer.hpp"

#include <functional>
#include <optional>

namespace demo {

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
