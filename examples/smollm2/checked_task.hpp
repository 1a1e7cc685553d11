/// \file
/// A task of texts for a pretrained model: some problems are trained on, others held out.
#pragma once

#include "lm/tokenizer.hpp"
#include "rl/task.hpp"

#include <utility>

namespace smollm2 {

class checked_task : public demo::task {
 public:
  explicit checked_task(const lm::tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  const std::vector<demo::problem>& training() const { return training_; }
  const std::vector<demo::problem>& held_out() const { return held_out_; }
  /// Held out too, of a harder kind and judged apart; may be empty.
  const std::vector<demo::problem>& harder() const { return harder_; }
  std::string text(std::span<const lm::token> tokens) const override {
    return tokenizer_.decode(tokens);
  }

  /// Of the training's problems: all of them in a random order, then all in another.
  demo::problem make_problem(std::uint64_t seed, std::uint64_t index) const override {
    std::vector<std::size_t> order(training_.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    shuffle(order, seed, 1 + index / order.size());
    return training_[order[index % order.size()]];
  }

 protected:
  using pairs = std::vector<std::pair<int, int>>;

  std::vector<lm::token> encode(const std::string& s) const {
    return tokenizer_.encode(s, {lm::control_text::recognised, lm::lost_byte::refused});
  }
  template <class T>
  static void shuffle(std::vector<T>& all, std::uint64_t seed, std::uint64_t index) {
    demo::dice d(seed, 4, index);
    for (std::size_t i = all.size(); i-- > 1;)
      std::swap(all[i], all[static_cast<std::size_t>(d.below(static_cast<std::int64_t>(i) + 1))]);
  }
  /// a + b for each pair with its mirror image: the first `kept` pairs into `first`.
  template <class Ask>
  static void share_out(const pairs& all, std::size_t kept, std::vector<demo::problem>& first,
                        std::vector<demo::problem>& rest, const Ask& ask) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      auto& side = i < kept ? first : rest;
      const auto [a, b] = all[i];
      side.push_back(ask(a, b));
      if (a != b) side.push_back(ask(b, a));
    }
  }

  const lm::tokenizer& tokenizer_;
  std::vector<demo::problem> training_, held_out_, harder_;
};

}  // namespace smollm2
