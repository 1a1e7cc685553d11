// The mixture of experts' part of unit.cpp: every function of the topic is called.
#pragma once

#include <hence/core/gemm/ordered.hpp>
#include <hence/moe.hpp>

#include <vector>

namespace {

/// Expert MLPs of a permutation, shared experts, layouts and choices.
template <class Executor>
double mlps_and_choices(const Executor& executor, const std::vector<float>& z,
                        const std::vector<std::int32_t>& ids, const std::vector<float>& weights,
                        const hence::moe::permutation& p, const std::vector<std::int64_t>& load) {
  using namespace hence;
  constexpr std::int64_t experts = 10, tokens = 10, k = 2, ff = 1, width = 10;
  const std::vector<float> matrix(experts * ff * width, 0.5f);
  std::vector<float> y(z.size()), dx(z.size()), dw(weights.size()), gradient(matrix.size());
  moe::layer_inputs<float> in{};
  in.x = view<const float, 2>(z.data(), tokens, width);
  in.weights = view<const float, 2>(weights.data(), tokens, k);
  in.position = p.position;
  in.segments.first = p.offsets;
  in.segments.count = load;
  in.gate = view<const float, 3>(matrix.data(), experts, ff, width);
  in.up = in.gate;
  in.down = view<const float, 3>(matrix.data(), experts, width, ff);
  const view<float, 2> out(y.data(), tokens, width);
  const moe::expert_mlp mlp{gemm::ordered{}, moe::swiglu{}, moe::after_down{}};
  moe::experts(executor, mlp, in, moe::recomputed{}, out);
  moe::layer_gradients<float> to{};
  to.x = view<float, 2>(dx.data(), tokens, width);
  to.weights = view<float, 2>(dw.data(), tokens, k);
  to.down = view<float, 3>(gradient.data(), experts, width, ff);
  moe::experts_backward(executor, mlp, in, moe::recomputed{}, view<const float, 2>(out), to);
  moe::expert_inputs<float> shared{};
  shared.rows = in.x;
  shared.up = view<const float, 3>(matrix.data(), 1, ff, width);
  shared.down = view<const float, 3>(matrix.data(), 1, width, ff);
  const moe::expert_mlp plain{gemm::ordered{}, moe::gelu_tanh{}, moe::after_down{}};
  moe::add_shared(executor, plain, shared, moe::recomputed{}, out);
  moe::expert_gradients<float> of_shared{};
  of_shared.rows = to.x;
  moe::add_shared_backward(executor, plain, shared, moe::recomputed{}, view<const float, 2>(out),
                           of_shared);
  std::vector<std::int32_t> all(tokens * (k + 1)), chosen(tokens * experts);
  std::vector<float> all_weights(all.size());
  moe::append_shared(view<const std::int32_t, 2>(ids.data(), tokens, k), in.weights, experts, 1,
                     1.0f, view<std::int32_t, 2>(all.data(), tokens, k + 1),
                     view<float, 2>(all_weights.data(), tokens, k + 1));
  std::vector<std::int64_t> rows(ids.size()), masked(ids.size());
  moe::row_tokens(p, k, view<std::int64_t>(rows.data(), p.offsets[experts]));
  moe::masked_positions(p, tokens, view<std::int64_t, 2>(masked.data(), tokens, k));
  const moe::gate gate{moe::score::sigmoid{}, experts, moe::all_experts{}, moe::raw{}, 1.0};
  moe::choice_inputs<float> from{};
  from.logits = view<const float, 2>(z.data(), tokens, experts);
  const view<std::int32_t, 2> choice(chosen.data(), tokens, experts);
  double total = static_cast<double>(moe::choose_tokens(executor, gate, from, 2, choice).taken);
  total += static_cast<double>(moe::round_tokens(executor, gate, from,
                                                 view<const std::int32_t, 2>(ids.data(), tokens, k),
                                                 4, moe::round_nearest{}, choice)
                                   .added);
  for (const float v : y) total += static_cast<double>(v);
  for (const float v : dx) total += static_cast<double>(v);
  for (const float v : gradient) total += static_cast<double>(v);
  for (const auto v : masked) total += static_cast<double>(v);
  return total + static_cast<double>(all_weights.back());
}

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
  total += mlps_and_choices(executor, z, ids, weights, p, load);
  for (const float x : gradient) total += static_cast<double>(x);
  for (const float x : y) total += static_cast<double>(x);
  for (const float x : kept_weights) total += static_cast<double>(x);
  return total;
}

}  // namespace
