// expect: ^hence: ids are signed integers, an empty slot is -1
// An unsigned id has no -1, so a padded row would flood expert 0 or 255.
#include <hence/moe/gate.hpp>

namespace moe = hence::moe;

int main() {
#ifdef FIXED
  using id = std::int16_t;
#else
  using id = std::uint8_t;
#endif
  moe::route(hence::cpu{}, moe::gate{moe::score::sigmoid{}, 2, moe::all_experts{}, moe::raw{}, 1.0},
             moe::gate_inputs<float>{}, moe::gate_outputs<float, id>{});
}
