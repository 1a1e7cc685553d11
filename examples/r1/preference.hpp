/// \file
/// Preference pairs: two replies to a question of which one is better.
#pragma once

#include "lm/batch.hpp"

#include <set>
#include <utility>
#include <vector>

namespace demo {

/// What a reward model is shown of a reply: all of it or the answer alone, without padding.
struct shown_reply {
  std::vector<lm::token> question, part;
};
struct preference_pair {
  shown_reply chosen, rejected;
};

/// Takes the pairs out of `held_out` that are in `training` too, whichever reply is called better
/// there. With few questions and short replies a good part of both are the same, and being right on
/// these is memory.
inline void drop_seen(std::vector<preference_pair>& held_out,
                      const std::vector<preference_pair>& training) {
  using reply = std::pair<std::vector<lm::token>, std::vector<lm::token>>;
  const auto key = [](const preference_pair& p) {
    reply a(p.chosen.question, p.chosen.part), b(p.rejected.question, p.rejected.part);
    if (b < a) std::swap(a, b);
    return std::pair(std::move(a), std::move(b));
  };
  std::set<std::pair<reply, reply>> seen;
  for (const auto& p : training) seen.insert(key(p));
  std::erase_if(held_out, [&](const preference_pair& p) { return seen.contains(key(p)); });
}

}  // namespace demo
