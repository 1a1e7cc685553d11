// The constants of a short run.
#include "r1/settings.hpp"

#include <doctest/doctest.h>

TEST_CASE("a short run has its share of the steps, and none where there were none") {
  demo::pipeline_settings s;
  s.last_steps = 60, s.preference_steps = 0, s.model_steps = 250, s.held_out = 2;
  const auto r = s.scaled(0.25);
  CHECK(r.preference_steps == 0);
  CHECK(r.last_steps == 15);
  CHECK(r.model_steps == 62);
  CHECK(r.held_out == 1);
  CHECK(r.rl.base_steps == s.rl.base_steps / 4);
  CHECK(r.rl.questions == s.rl.questions);
  CHECK(s.scaled(1).preference_steps == 0);
}
