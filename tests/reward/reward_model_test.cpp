#include <hence/reward/reward_model.hpp>

#include <doctest/doctest.h>
#include <string>

namespace reward = hence::reward;
using reward::shown;

TEST_CASE("helpfulness sees the summary, safety the whole response") {
  std::string seen;
  const auto model = [&](std::string_view prompt, std::string_view part) {
    seen = std::string(prompt) + "|" + std::string(part);
    return 0.5f;
  };
  const reward::format::r1 form{reward::matching::strict};
  const std::string_view good = "<think>t</think>s", bad = "s";
  CHECK(reward::model_reward(shown::summary, form, "p", good, -1, model) == 0.5);
  CHECK(seen == "p|s");
  CHECK(reward::model_reward(shown::whole_response, form, "p", good, -1, model) == 0.5);
  CHECK(seen == "p|<think>t</think>s");
  seen.clear();
  CHECK(reward::model_reward(shown::summary, form, "p", bad, -1, model) == -1);
  CHECK(seen.empty());
  CHECK(reward::model_reward(shown::whole_response, form, "p", bad, -1, model) == 0.5);
}
