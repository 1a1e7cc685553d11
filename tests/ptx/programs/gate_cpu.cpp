// The half of the routing program that the CPU executor runs.
#include "gate.hpp"

namespace gate_case {

std::vector<outcome> on_cpu() {
  std::vector<outcome> all;
  for_each_case([&](const auto& gate, const auto& b) {
    const auto slots = static_cast<std::size_t>(b.tokens * b.slot_stride());
    outcome o;
    o.ids.assign(slots, -7), o.weights.assign(slots, -7), o.gradient.assign(b.logits.size(), -7);
    o.load.assign(b.bias.size(), -7),
        o.faults.assign(b.valid.size(), static_cast<std::uint8_t>(-7));
    o.counts =
        moe::route(hence::cpu<>{}, gate,
                   inputs_of(b, b.logits.data(), b.bias.data(), b.valid.data(), b.replay.data()),
                   outputs_of(b, o.ids.data(), o.weights.data(), o.load.data(), o.faults.data()));
    o.backward = moe::route_backward(
        hence::cpu<>{}, gate,
        backward_of(b, b.logits.data(), ids_of(b, o).data(), b.cotangent.data(), b.valid.data()),
        gradient_of(b, o.gradient.data()));
    all.push_back(o);
  });
  return all;
}

}  // namespace gate_case
