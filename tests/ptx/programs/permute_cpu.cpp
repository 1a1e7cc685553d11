// The half of the permutation program that runs on the CPU.
#include "permute.hpp"

namespace permute_case {

outcome on_cpu(const batch& b) {
  const auto experts = static_cast<std::size_t>(b.experts), slots = b.ids.size();
  outcome o;
  o.offsets.resize(experts + 1), o.aligned_offsets.resize(experts + 1);
  o.order.assign(slots, -7), o.position.resize(slots), o.aligned_position.resize(slots);
  hence::moe::permute(hence::view<const std::int32_t, 2>(b.ids.data(), b.tokens, b.k), b.experts,
                      b.align,
                      {o.offsets,
                       o.order,
                       {o.position.data(), b.tokens, b.k},
                       o.aligned_offsets,
                       {o.aligned_position.data(), b.tokens, b.k}});
  return o;
}

}  // namespace permute_case
