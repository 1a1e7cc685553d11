// Held-out pairs are none of the training's.
#include "r1/preference.hpp"

#include <doctest/doctest.h>

using demo::preference_pair;
using demo::shown_reply;

namespace {

preference_pair pair(int question, int chosen, int rejected) {
  return {shown_reply{{question}, {chosen, 9}}, shown_reply{{question}, {rejected}}};
}

}  // namespace

TEST_CASE("pairs of the training are taken out of the held-out ones") {
  const std::vector<preference_pair> training{pair(1, 2, 3), pair(1, 4, 3), pair(2, 5, 6)};
  preference_pair turned = pair(1, 2, 3);  // a flipped label: still the same two replies
  std::swap(turned.chosen, turned.rejected);
  std::vector<preference_pair> held_out{pair(1, 2, 3), pair(2, 2, 3), pair(1, 2, 4),
                                        turned,        pair(2, 5, 6), pair(1, 3, 2)};
  demo::drop_seen(held_out, training);
  REQUIRE(held_out.size() == 3);
  CHECK(held_out[0].chosen.question == std::vector<lm::token>{2});  // another question
  CHECK(held_out[1].rejected.part ==
        std::vector<lm::token>{4});  // both replies known, not together
  CHECK(held_out[2].chosen.part == std::vector<lm::token>{3, 9});
  demo::drop_seen(held_out, {});
  CHECK(held_out.size() == 3);
}
