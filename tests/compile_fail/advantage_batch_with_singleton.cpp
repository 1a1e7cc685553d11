// expect: ^hence: baseline_batch does not look at groups
// Where the batch's mean is subtracted, a group of one is nothing special.
#include <hence/policy/advantage.hpp>

namespace {
float rewards[4] = {}, out[4] = {};
const std::int64_t boundaries[2] = {0, 4};
}  // namespace

int main() {
  namespace a = hence::advantage;
  const hence::groups batch{.cu_groups = hence::view<const std::int64_t>(boundaries, 2)};
#ifdef FIXED
  const a::group_baseline rule{a::baseline_batch{}, a::scale_none{}, a::singleton_as_group{}};
#else
  const a::group_baseline rule{a::baseline_batch{}, a::scale_none{}, a::singleton_zero{}};
#endif
  hence::advantages(hence::cpu{}, rule, batch, hence::view<const float>(rewards, 4),
                    hence::view<float>(out, 4));
}
