// The templates: what is found lies in the response, strict is stricter than lenient, and what is
// built from the parts is parsed to them again.

#include "demand.hpp"

#include <hence/reward/format.hpp>
#include <hence/reward/format_peers.hpp>

#include <string>

namespace reward = hence::reward;
namespace format = hence::reward::format;

namespace {

template <class Format> void check(std::string_view s) {
  const auto hard = reward::parse(Format{reward::matching::strict}, s);
  const auto soft = reward::parse(Format{reward::matching::lenient}, s);
  for (const auto& r : {hard, soft}) {
    demand(inside(r.thought, s) && inside(r.answer, s), "parts lie in the response");
    demand(r.ok() == (!r.thought.empty() && !r.answer.empty()), "sound responses have parts");
    demand(*reward::name_of(r.fault) != '\0', "faults have names");
  }
  demand(!hard.ok() || (soft.ok() && soft.thought == hard.thought && soft.answer == hard.answer),
         "lenient agrees with strict");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view s = as_text(data, size);
  check<format::r1_zero>(s);
  check<format::r1>(s);
  check<format::opened_by_prompt>(s);
  check<format::r1_zero_opened_by_prompt>(s);
  const double think = reward::format_reward(format::trl_think{}, s);
  const double lines = reward::format_reward(format::open_r1{}, s);
  demand((think == 0 || think == 1) && (lines == 0 || lines == 1), "rewards are 0 or 1");
  const double tags = reward::format_reward(format::open_r1_tag_count{}, s);
  demand(tags >= 0 && tags <= 1, "tag counts are a share");

  const auto r = reward::parse(format::r1_zero{reward::matching::strict}, s);
  if (r.ok()) {
    std::string room(
        reward::built_size(format::r1_zero{reward::matching::strict}, r.thought, r.answer), ' ');
    const auto again = reward::parse(
        format::r1_zero{reward::matching::strict},
        reward::build(format::r1_zero{reward::matching::strict}, r.thought, r.answer, room.data()));
    demand(again.ok() && again.thought == r.thought && again.answer == r.answer,
           "build and parse are inverse");
  }
  return 0;
}
