#include "on_thrust.hpp"

#include <hence/moe/permute.hpp>
#include <hence/policy/loss.hpp>

namespace thrust_case {

outcome on_cpu(const batch& b) {
  using namespace hence;
  outcome out;
  out.advantages.resize(12);
  out.found = advantages(cpu{}, rule(), {b.cu_groups}, b.rewards, out.advantages);
  out.gradient.resize(b.logp.size());
  ragged rows{.cu_seqlens = b.cu_seqlens};
  rows.mask.response = b.response;
  const auto result = loss_and_gradient(cpu{}, loss(), rows,
                                        {.logp = {b.logp, {.temperature = 1.0}},
                                         .old = {b.old, {.temperature = 1.0}},
                                         .ref = {b.ref, {.temperature = 1.0}},
                                         .advantages = out.advantages},
                                        over_this_call, out.gradient, with_metrics);
  out.loss = result.loss(), out.counts = result.counts();
  out.ratio_mean = result.metrics().ratio_mean();
  out.ids.resize(tokens * k), out.weights.resize(tokens * k), out.load.resize(experts);
  out.offsets.resize(experts + 1), out.order.resize(tokens * k), out.position.resize(tokens * k);
  out.aligned_offsets.resize(experts + 1), out.aligned_position.resize(tokens * k);
  const view<std::int32_t, 2> ids(out.ids.data(), tokens, k);
  out.rows =
      moe::route(cpu{}, gate(), {.logits = {b.logits.data(), tokens, experts}, .bias = b.bias},
                 {.ids = ids, .weights = {out.weights.data(), tokens, k}, .load = out.load})
          .rows;
  out.filled = moe::permute(ids, experts, align,
                            {.offsets = out.offsets,
                             .order = out.order,
                             .position = {out.position.data(), tokens, k},
                             .aligned_offsets = out.aligned_offsets,
                             .aligned_position = {out.aligned_position.data(), tokens, k}});
  return out;
}

}  // namespace thrust_case
