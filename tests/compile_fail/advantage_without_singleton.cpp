// expect: ^hence: advantage::grpo needs to know what a group of one gets
// Frameworks differ: 0, the reward, NaN.
#include <hence/policy/advantage.hpp>

namespace {
float rewards[4] = {}, out[4] = {};
const std::int64_t boundaries[2] = {0, 4};
}  // namespace

int main() {
  const hence::groups batch{.cu_groups = hence::view<const std::int64_t>(boundaries, 2)};
#ifdef FIXED
  const auto rule = hence::advantage::grpo(1, 1e-4, hence::advantage::singleton_zero{});
#else
  const auto rule = hence::advantage::grpo(1, 1e-4);
#endif
  hence::advantages(hence::cpu{}, rule, batch, hence::view<const float>(rewards, 4),
                    hence::view<float>(out, 4));
}
