// expect: ^hence: gae has no hole_reset
// What GAE would start anew from is not defined by anyone.
#include <hence/policy/advantage_token.hpp>

namespace {
float rewards[2] = {}, values[4] = {}, out[4] = {};
const std::int64_t boundaries[3] = {0, 1, 4};
}  // namespace

int main() {
  namespace a = hence::advantage;
  const hence::ragged batch{.cu_seqlens = hence::view<const std::int64_t>(boundaries, 3)};
#ifdef FIXED
  const a::gae rule{1.0, 0.95, a::hole_skip{}};
#else
  const a::gae rule{1.0, 0.95, a::hole_reset{}};
#endif
  hence::token_advantages(hence::cpu{}, rule, a::whiten_none{}, batch,
                          {.rewards = hence::view<const float>(rewards, 2),
                           .values = hence::per_token<const float>(values, 4)},
                          hence::per_token<float>(out, 4));
}
