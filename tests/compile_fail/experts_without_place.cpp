// expect: ^hence: experts need to know where their weights go
// Before or after the down projection: both are in use, so neither is a default.
#include <hence/core/gemm/ordered.hpp>
#include <hence/moe/expert_rows.hpp>

namespace moe = hence::moe;

int main() {
  moe::expert_inputs<float> in;
#ifdef FIXED
  const moe::expert_mlp mlp{hence::gemm::ordered{}, moe::swiglu{}, moe::after_down{}};
#else
  const moe::expert_mlp mlp{hence::gemm::ordered{}, moe::swiglu{}};
#endif
  moe::expert_rows(hence::cpu{}, mlp, in, moe::recomputed{}, {});
}
