/// \file
/// A reward model: a small language model that reads a question and a reply's part and says
/// `<good>` or `<bad>`. Its score is log P(good) - log P(bad); it learns from preference pairs by
/// Bradley and Terry's loss, -log sigmoid(score(chosen) - score(rejected)) (arXiv:2203.02155 eq.
/// 1), which is SimPO's rule without a margin on these scores.
#pragma once

#include "preference.hpp"
#include "scenarios.hpp"

#include "rl/trainer.hpp"

namespace demo {

class reward_model {
 public:
  /// \param seed of its first weights.
  reward_model(const scenarios& world, hence::thread_pool& pool, std::uint64_t seed)
      : world_(world), model_(sizes(seed), world, pool) {
    model_.initialise();
  }

  /// \param steps of `batch` pairs each. \param rate falls in a line to 0.
  void train(std::span<const preference_pair> pairs, std::int64_t steps, std::int64_t batch,
             double rate);
  /// [replies]
  std::vector<float> scores(std::span<const shown_reply> replies);
  /// The share of pairs that the model orders as their labels do.
  double accuracy(std::span<const preference_pair> pairs);
  /// sigmoid of (score - mean) / deviation, both of the pairs that `train` had: a reward of the
  /// size of the rules'.
  double reward(float score) const;

  /// The shown reply of a question with padding.
  static shown_reply shown(std::span<const lm::token> prompt, std::vector<lm::token> part) {
    shown_reply r{{}, std::move(part)};
    for (const lm::token t : prompt)
      if (t != vocabulary::pad) r.question.push_back(t);
    return r;
  }

 private:
  static settings sizes(std::uint64_t seed) {
    settings s;
    s.seed = seed;
    s.width = 32, s.layers = 2, s.heads = 2, s.ff = 64;
    return s;
  }
  /// A group per reply, the two labels behind it.
  void add(lm::packed_batch& batch, const shown_reply& r) const;
  static float score(std::span<const float> logp, std::size_t reply) {
    return logp[2 * reply] - logp[2 * reply + 1];
  }

  const scenarios& world_;
  trainer model_;
  double mean_ = 0, deviation_ = 1;
};

}  // namespace demo
