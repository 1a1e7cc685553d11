// expect: ^hence: the score of a gate is score::sigmoid
// A score is a functor of hence's numbers, so that its slope is known.
#include <hence/moe/gate.hpp>

namespace moe = hence::moe;

struct square {
#ifdef FIXED
  template <class X> auto operator()(const X& x) const { return x * x; }
#else
  float operator()(float x) const { return x * x; }
#endif
};

int main() {
  const moe::gate gate{square{}, 2, moe::all_experts{}, moe::raw{}, 1.0};
  moe::route(hence::cpu{}, gate, moe::gate_inputs<float>{}, moe::gate_outputs<float>{});
}
