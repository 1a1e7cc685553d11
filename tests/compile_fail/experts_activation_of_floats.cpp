// expect: ^hence: the activation of an expert is swiglu
// An activation is a functor of hence's numbers, so that its slope is known.
#include <hence/core/gemm/ordered.hpp>
#include <hence/moe/expert_rows.hpp>

namespace moe = hence::moe;

struct relu {
#ifdef FIXED
  template <class X> auto operator()(const X& x) const { return max(x, 0); }
#else
  float operator()(float x) const { return x > 0 ? x : 0; }
#endif
};

int main() {
  moe::expert_inputs<float> in;
  const moe::expert_mlp mlp{hence::gemm::ordered{}, relu{}, moe::after_down{}};
  moe::expert_rows(hence::cpu{}, mlp, in, moe::recomputed{}, {});
}
