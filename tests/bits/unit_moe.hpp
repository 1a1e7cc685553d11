// The mixture of experts' part of unit.cpp: every function of the topic is called.
#pragma once

#include <hence/moe.hpp>

#include <vector>

namespace {

template <class Executor>
double route_and_back(const Executor& executor, const std::vector<float>& z) {
  using namespace hence;
  constexpr std::int64_t experts = 10, tokens = 10, k = 2;
  const moe::gate gate{moe::score::sigmoid{}, k, moe::grouped{5, 3, moe::top2_sum{}},
                       moe::normalized{1e-20, moe::single_raw{}}, 2.5};
  std::vector<std::int32_t> ids(tokens * k), kept(ids);
  std::vector<float> weights(ids.size()), kept_weights(ids.size()), gradient(z.size()),
      bias(experts), rows(ids.size() * experts), y(z.size());
  std::vector<std::int64_t> load(experts), seen(experts), probability(experts), top_k(experts),
      offsets(experts + 1), order(ids.size()), position(ids.size());
  moe::gate_inputs<float> in{};
  in.logits = view<const float, 2>(z.data(), tokens, experts);
  in.bias = bias;
  moe::gate_outputs<float> out{};
  out.ids = view<std::int32_t, 2>(ids.data(), tokens, k);
  out.weights = view<float, 2>(weights.data(), tokens, k);
  out.load = load;
  auto counts = moe::route(executor, gate, in, out);
  moe::gate_backward_inputs<float> back{};
  back.logits = in.logits;
  back.ids = out.ids;
  back.grad_weights = out.weights;
  counts +=
      moe::route_backward(executor, gate, back, view<float, 2>(gradient.data(), tokens, experts));
  moe::balance_inputs<float> balance{};
  balance.logits = in.logits;
  const auto sums = moe::measure_balance(executor, gate.score, k, balance, probability, top_k);
  const moe::balance_window window{top_k, sums.rows};
  const moe::switch_loss loss{0.1, moe::balance_is_one{}};
  double total = moe::balance_loss(loss, k, probability, window) +
                 moe::balance_loss(moe::z_loss{0.1}, sums + sums);
  const view<float, 2> to(gradient.data(), tokens, experts);
  moe::balance_gradient(executor, loss, gate.score, k, balance, window, to, moe::accumulate{});
  moe::balance_gradient(executor, moe::z_loss{0.1}, balance, sums.rows, to, moe::accumulate{});
  moe::balancer balancer(moe::centred{moe::sign_step{0.1}}, view<float>(bias),
                         view<std::int64_t>(seen));
  balancer.observe(counts, load);
  balancer.update(1);
  moe::permutation p{};
  p.offsets = offsets;
  p.order = order;
  p.position = view<std::int64_t, 2>(position.data(), tokens, k);
  moe::permute(out.ids, experts, 1, p);
  moe::capacity_arrays<float> capacity{};
  capacity.ids = out.ids;
  capacity.weights = out.weights;
  capacity.sorted = p;
  capacity.kept_ids = view<std::int32_t, 2>(kept.data(), tokens, k);
  capacity.kept_weights = view<float, 2>(kept_weights.data(), tokens, k);
  total += static_cast<double>(moe::apply_capacity(moe::capacity_ceil{1.0}(tokens, k, experts),
                                                   moe::drop_by_weight{}, capacity)
                                   .kept);
  const view<float, 2> expert_rows(rows.data(), tokens * k, experts),
      sum(y.data(), tokens, experts);
  moe::gather(executor, in.logits, p.position, expert_rows);
  moe::spread(executor, in.logits, p.position, view<const float, 2>(out.weights), expert_rows);
  moe::combine(executor, view<const float, 2>(expert_rows), p.position,
               view<const float, 2>(out.weights), sum);
  moe::dot_rows(executor, in.logits, p.position, view<const float, 2>(expert_rows),
                capacity.kept_weights);
  moe::jitter(executor, in.logits, 0.1, moe::jitter_place{1}, sum);
  total += moe::measure_load(load).entropy;
  for (const float x : gradient) total += static_cast<double>(x);
  for (const float x : y) total += static_cast<double>(x);
  for (const float x : kept_weights) total += static_cast<double>(x);
  return total;
}

}  // namespace
