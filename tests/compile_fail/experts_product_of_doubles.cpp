// expect: ^hence: this gemm does not multiply rows and matrices of these types
// A product in float64 has no place on the CPU executor, whose numbers are fp32.
#include <hence/core/gemm/ordered.hpp>
#include <hence/moe/expert_rows.hpp>

namespace moe = hence::moe;

int main() {
  moe::expert_inputs<float> in;
#ifdef FIXED
  const moe::expert_mlp mlp{hence::gemm::ordered{}, moe::swiglu{}, moe::after_down{}};
#else
  const moe::expert_mlp mlp{hence::gemm::chain<double>{}, moe::swiglu{}, moe::after_down{}};
#endif
  moe::expert_rows(hence::cpu{}, mlp, in, moe::recomputed{}, {});
}
