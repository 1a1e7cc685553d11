/// \file
/// Sums of two digits behind three worked ones: `3+4=7`, `8+6=14`, `2+9=11`, each on its line, then
/// `5+8=`, which `13` and a line's end complete. 1 to 9, without the sums of the worked lines.
///
/// Some sums are held out of the training, each together with its mirror image: 5+8 with 8+5.
#pragma once

#include "checked_task.hpp"

#include <array>

namespace smollm2 {

class sums final : public checked_task {
 public:
  static constexpr std::size_t held_out_pairs = 10;  // of 42, a sum and its mirror image each

  /// \param seed of the choice of sums that are held out.
  /// Throws std::invalid_argument if the vocabulary has no token for a line's end.
  sums(const lm::tokenizer& tokenizer, std::uint64_t seed) : checked_task(tokenizer) {
    const auto line = encode("\n");
    if (line.size() != 1)
      throw std::invalid_argument("sums: a line's end is " + std::to_string(line.size()) +
                                  " tokens, expected 1");
    end_ = line[0];
    pairs all;
    for (int a = 1; a <= 9; ++a)
      for (int b = a; b <= 9; ++b)
        if (!is_worked(a, b)) all.emplace_back(a, b);
    shuffle(all, seed, 0);
    share_out(all, held_out_pairs, held_out_, training_,
              [this](int a, int b) { return ask(a, b); });
  }

  const char* name() const override { return "sums"; }
  lm::token end() const override { return end_; }
  std::int64_t longest_prompt() const override {
    return static_cast<std::int64_t>(training_[0].prompt.size());
  }
  std::int64_t longest_reply() const override { return 4; }  // two digits, the end, one to spare

  /// A sum of the training with its right answer.
  demo::document make_document(std::uint64_t seed, std::uint64_t index) const override {
    const auto p = make_problem(seed, index);
    return {p.prompt, encode(p.reference + "\n")};
  }

  /// Accuracy: the line is the sum. Format: the reply is one line of digits, closed.
  demo::verdict judge(const demo::problem& p, std::span<const lm::token> reply,
                      bool) const override {
    namespace reward = hence::reward;
    const std::string all = text(reply);
    const std::size_t stop = all.find('\n');
    const bool is_closed = stop != all.npos;
    const std::string_view line = std::string_view(all).substr(0, stop);
    demo::verdict v;
    v.format = is_closed && !line.empty() &&
               std::ranges::all_of(line, [](char c) { return reward::is_digit(c); });
    if (v.format > 0 && line.size() < 10) {
      v.answer = std::stoll(std::string(line));
      v.accuracy = reward::accuracy_reward(reward::extract::whole{}, line, p.reference,
                                           reward::answer::strict);
    }
    v.strict = v.format * v.accuracy;
    return v;
  }

 private:
  static constexpr const char* worked = "3+4=7\n8+6=14\n2+9=11\n";
  static bool is_worked(int a, int b) {
    constexpr std::array<std::pair<int, int>, 3> shots{{{3, 4}, {6, 8}, {2, 9}}};
    return std::ranges::find(shots, std::pair(a, b)) != shots.end();
  }
  demo::problem ask(int a, int b) const {
    demo::problem p;
    p.prompt = encode(worked + std::to_string(a) + "+" + std::to_string(b) + "=");
    p.reference = std::to_string(a + b);
    p.numbers = {a, b};
    return p;
  }

  lm::token end_ = 0;
};

}  // namespace smollm2
