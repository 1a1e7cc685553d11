// expect: ^hence: what experts keep for the backward pass
// What is saved are arrays of the executor's scalar, or nothing.
#include <hence/core/gemm/ordered.hpp>
#include <hence/moe/expert_rows.hpp>

namespace moe = hence::moe;

int main() {
  moe::expert_inputs<float> in;
  const moe::expert_mlp mlp{hence::gemm::ordered{}, moe::swiglu{}, moe::after_down{}};
#ifdef FIXED
  moe::expert_rows(hence::cpu{}, mlp, in, moe::recomputed{}, {});
#else
  moe::expert_rows(hence::cpu{}, mlp, in, false, {});
#endif
}
