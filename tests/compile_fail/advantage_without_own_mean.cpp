// expect: ^hence: a group of one is its own mean
// Leave one out of one is 0/0.
#include <hence/policy/advantage.hpp>

namespace {
float rewards[4] = {}, out[4] = {};
const std::int64_t boundaries[2] = {0, 4};
}  // namespace

int main() {
  namespace a = hence::advantage;
  const hence::groups batch{.cu_groups = hence::view<const std::int64_t>(boundaries, 2)};
#ifdef FIXED
  const auto rule = a::rloo(a::singleton_zero{});
#else
  const auto rule = a::rloo(a::singleton_as_group{});
#endif
  hence::advantages(hence::cpu{}, rule, batch, hence::view<const float>(rewards, 4),
                    hence::view<float>(out, 4));
}
