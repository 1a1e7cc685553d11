// expect: ^hence: tokens are rounded to a tile by round_down
// A tile's rounding has three names, none of them a number.
#include <hence/moe/choice.hpp>

namespace moe = hence::moe;

int main() {
  const moe::gate gate{moe::score::sigmoid{}, 4, moe::all_experts{}, moe::raw{}, 1.0};
  const moe::choice_inputs<float> in;
  const hence::view<const int, 2> given;
  const hence::view<int, 2> ids;
#ifdef FIXED
  moe::round_tokens(hence::cpu{}, gate, in, given, 128, moe::round_nearest{}, ids);
#else
  moe::round_tokens(hence::cpu{}, gate, in, given, 128, 0.5, ids);
#endif
}
