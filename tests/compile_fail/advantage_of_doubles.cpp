// expect: ^hence: rewards and out are one-dimensional arrays of the executor's scalar
// cpu computes fp32 results; float64 rewards are for reference<double>.
#include <hence/policy/advantage.hpp>

namespace {
double rewards[4] = {}, out[4] = {};
const std::int64_t boundaries[2] = {0, 4};
}  // namespace

int main() {
  const hence::groups batch{.cu_groups = hence::view<const std::int64_t>(boundaries, 2)};
  const auto rule = hence::advantage::grpo(1, 1e-4, hence::advantage::singleton_zero{});
#ifdef FIXED
  const hence::reference<double> executor;
#else
  const hence::cpu executor;
#endif
  hence::advantages(executor, rule, batch, hence::view<const double>(rewards, 4),
                    hence::view<double>(out, 4));
}
