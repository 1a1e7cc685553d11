// expect: ^hence: a selection bias is fp32 or wider
// Steps of 0.001 vanish in bf16 beyond 0.25.
#include <hence/core/storage.hpp>
#include <hence/moe/balancer.hpp>

namespace moe = hence::moe;

#ifdef FIXED
using bias_type = float;
#else
using bias_type = hence::bf16;
#endif

int main() {
  bias_type bias[2] = {};
  std::int64_t load[2] = {};
  moe::balancer balancer(moe::sign_step{0.001}, hence::view<bias_type>(bias, 2),
                         hence::view<std::int64_t>(load, 2));
  balancer.update(1);
}
