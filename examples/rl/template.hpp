/// \file
/// The template of R1-Zero in the corpora and in the judgement, the same for all tasks.
#pragma once

#include "task.hpp"

namespace demo {

/// A thought and an answer in the template, or with the chance 1/2 in one of its five breaks.
/// \param may_break false: always as it should be.
inline std::vector<lm::token> in_template(dice& d, const std::vector<lm::token>& thought,
                                          const std::vector<lm::token>& answer,
                                          bool may_break = true) {
  std::vector<lm::token> r;
  // 0 to 4: without one of the tags, or the answer first; 5 to 9: as it should be
  const std::int64_t broken = may_break ? d.below(10) : 9;
  const auto put_thought = [&] {
    if (broken != 0) r.push_back(vocabulary::think);
    r.insert(r.end(), thought.begin(), thought.end());
    if (broken != 1) r.push_back(vocabulary::think_end);
  };
  const auto put_answer = [&] {
    if (broken != 2) r.push_back(vocabulary::answer);
    r.insert(r.end(), answer.begin(), answer.end());
    if (broken != 3) r.push_back(vocabulary::answer_end);
  };
  if (broken == 4) {
    put_answer(), put_thought();
  } else {
    put_thought(), put_answer();
  }
  r.push_back(vocabulary::end);
  return r;
}

/// A solution without the template.
inline std::vector<lm::token> raw(std::vector<lm::token> solution) {
  solution.push_back(vocabulary::end);
  return solution;
}

/// The text in the last `<answer>` tag that is closed; blank if there is none.
inline std::string_view tagged_answer(std::string_view s) {
  const std::string_view open = "<answer>", close = "</answer>";
  const std::size_t end = s.rfind(close);
  if (end == s.npos) return {};
  const std::size_t begin = s.rfind(open, end);
  if (begin == s.npos) return {};
  return hence::reward::trimmed(s.substr(begin + open.size(), end - begin - open.size()));
}

/// R1's language reward of the thought: the share of its words that the list has; 0 without a
/// thought in the template. \param words sorted.
inline double consistency(std::string_view text, hence::view<const std::string_view> words) {
  namespace reward = hence::reward;
  const auto parts = reward::parse(reward::format::r1_zero{reward::matching::strict}, text);
  if (!parts.ok()) return 0;
  return reward::language_reward(parts.thought, reward::language::word_list{words}, 0.0);
}

/// Format, and how many tokens of a kind the thought has.
/// \param text the reply's. \param is_step whether a token counts as a step.
template <class IsStep>
void judge_form(verdict& v, std::span<const lm::token> reply, std::string_view text,
                bool is_finished, const IsStep& is_step) {
  namespace reward = hence::reward;
  const auto parts = reward::parse(reward::format::r1_zero{reward::matching::strict}, text);
  v.format = is_finished && parts.ok() ? 1 : 0;
  v.strict = v.format * v.accuracy;
  v.has_think = text.find("<think>") != text.npos;
  if (!parts.ok()) return;
  for (const lm::token t : reply) {
    if (t == vocabulary::think_end) break;
    v.steps += is_step(t);
  }
}

}  // namespace demo
