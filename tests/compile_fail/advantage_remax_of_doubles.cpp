// expect: ^hence: the baselines of remax are of the executor's scalar
// cpu computes fp32 results.
#include <hence/policy/advantage.hpp>
#include <hence/policy/advantage_remax.hpp>

namespace {
float rewards[4] = {}, out[4] = {};
const std::int64_t boundaries[2] = {0, 4};
#ifdef FIXED
const float baselines[4] = {};
#else
const double baselines[4] = {};
#endif
}  // namespace

int main() {
  const hence::groups batch{.cu_groups = hence::view<const std::int64_t>(boundaries, 2)};
  hence::advantages(hence::cpu{}, hence::advantage::remax{hence::view(baselines, 4)}, batch,
                    hence::view<const float>(rewards, 4), hence::view<float>(out, 4));
}
