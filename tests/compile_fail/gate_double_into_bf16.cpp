// expect: ^hence: bf16_scores rounds fp32 numbers
// bf16 emulation is of fp32 arithmetic; a float64 oracle has nothing to round.
#include <hence/moe/gate.hpp>

namespace moe = hence::moe;

int main() {
#ifdef FIXED
  const moe::fp32 precision;
#else
  const moe::bf16_scores precision;
#endif
  moe::route(hence::reference<double>{},
             moe::gate{moe::score::sigmoid{}, 2, moe::all_experts{}, moe::raw{}, 1.0, precision},
             moe::gate_inputs<double>{}, moe::gate_outputs<double>{});
}
