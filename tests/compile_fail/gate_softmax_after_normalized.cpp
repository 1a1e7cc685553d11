// expect: ^hence: softmax_after is a softmax of the selected logits
// The weights of softmax_after sum to 1 already; logits are no weights to normalise.
#include <hence/moe/gate.hpp>

namespace moe = hence::moe;

int main() {
#ifdef FIXED
  const moe::raw weights;
#else
  const moe::normalized weights{1e-20, moe::single_raw{}};
#endif
  moe::route(hence::cpu{},
             moe::gate{moe::score::softmax_after{}, 2, moe::all_experts{}, weights, 1.0},
             moe::gate_inputs<float>{}, moe::gate_outputs<float>{});
}
