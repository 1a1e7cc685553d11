// expect: ^hence: a rule for the advantages of tokens is gae
// Group advantages are per row: compute them first, then spread and whiten them with as_given.
#include <hence/policy/advantage.hpp>
#include <hence/policy/advantage_token.hpp>

namespace {
float rewards[2] = {}, out[4] = {};
const std::int64_t boundaries[3] = {0, 1, 4};
}  // namespace

int main() {
  namespace a = hence::advantage;
  const hence::ragged batch{.cu_seqlens = hence::view<const std::int64_t>(boundaries, 3)};
#ifdef FIXED
  const a::as_given rule;
#else
  const auto rule = a::dr_grpo(a::singleton_zero{});
#endif
  hence::token_advantages(hence::cpu{}, rule, a::whiten_add{1, 1e-8}, batch,
                          {.rewards = hence::view<const float>(rewards, 2)},
                          hence::per_token<float>(out, 4));
}
