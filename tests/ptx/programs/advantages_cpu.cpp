// The half of the advantages program that the CPU executor runs.
#include "advantages.hpp"

namespace advantage_case {

std::vector<outcome> on_cpu(const batch& b) {
  std::vector<outcome> out;
  for_each_rule([&](const char*, const auto& rule) {
    outcome o{{}, std::vector<float>(b.rewards.size(), -7.0f)};
    o.found = hence::advantages(hence::cpu<>{}, rule, hence::groups{.cu_groups = b.cu},
                                hence::view<const float>(b.rewards), hence::view<float>(o.values));
    out.push_back(o);
  });
  return out;
}

}  // namespace advantage_case
