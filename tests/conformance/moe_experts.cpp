// The operation moe_experts. Every case runs with the weights after and before the down projection,
// with saved and with recomputed activations; what must have the same bits is compared, and float32
// also on the CPU against scalars.

#include "logits.hpp"

#include <hence/core/gemm/ordered.hpp>
#include <hence/moe/experts.hpp>
#include <hence/moe/permute.hpp>

#include <stdexcept>

namespace conformance {
namespace {

namespace moe = hence::moe;
using hence::view;

template <class S> struct expert_case {
  std::int64_t tokens, k, experts, inner, width;
  std::vector<S> x, weights, gate, up, down, cotangent;
  std::vector<std::int64_t> offsets, order, position, count;
  bool differentiates;
};

template <class S> struct expert_answer {
  std::vector<S> y, x, weights, gate, up, down;
};

std::size_t size(std::int64_t n) { return static_cast<std::size_t>(n); }

template <class S> expert_case<S> read_experts(const request& r) {
  const options o = r.options_of_case();
  o.expect({"activation"});
  o.choice<int>("activation", {{"silu", 0}});
  const tensor& ids_tensor = r.input("indices");
  const auto shape = r.input("up").shape;
  if (shape.size() != 3) throw std::invalid_argument("input up is not of the shape [E, F, D]");
  if (ids_tensor.type != dtype::i32 || ids_tensor.shape.size() != 2)
    throw std::invalid_argument("input indices is not I32 of the shape [T, k]");
  expert_case<S> c{ids_tensor.shape[0],
                   ids_tensor.shape[1],
                   shape[0],
                   shape[1],
                   shape[2],
                   {},
                   {},
                   {},
                   {},
                   {},
                   {},
                   {},
                   {},
                   {},
                   {},
                   r.has("cot_y")};
  c.x = r.floats<S>("x", {c.tokens, c.width});
  c.weights = r.floats<S>("weights", {c.tokens, c.k});
  c.gate = r.floats<S>("gate", shape);
  c.up = r.floats<S>("up", shape);
  c.down = r.floats<S>("down", {c.experts, c.width, c.inner});
  if (c.differentiates) c.cotangent = r.floats<S>("cot_y", {c.tokens, c.width});
  const auto ids = ids_tensor.as<std::int32_t>();
  c.offsets.resize(size(c.experts + 1));
  c.order.resize(ids.size());
  c.position.resize(ids.size());
  moe::permute(view<const std::int32_t, 2>(ids.data(), c.tokens, c.k), c.experts, 1,
               moe::permutation{c.offsets, c.order,
                                view<std::int64_t, 2>(c.position.data(), c.tokens, c.k)});
  for (std::size_t e = 0; e + 1 < c.offsets.size(); ++e)
    c.count.push_back(c.offsets[e + 1] - c.offsets[e]);
  return c;
}

template <class Executor, class Gemm, class Weights, class S>
expert_answer<S> run(const Executor& executor, const Gemm& gemm, Weights place, bool saves,
                     const expert_case<S>& c) {
  const auto filled = [](std::size_t n) { return std::vector<S>(n, nan<S>()); };
  expert_answer<S> out{filled(c.x.size()),    filled(c.x.size()),  filled(c.weights.size()),
                       filled(c.gate.size()), filled(c.up.size()), filled(c.down.size())};
  moe::layer_inputs<S> in;
  in.x = view<const S, 2>(c.x.data(), c.tokens, c.width);
  in.weights = view<const S, 2>(c.weights.data(), c.tokens, c.k);
  in.position = moe::slot_positions(c.position.data(), c.tokens, c.k);
  in.segments = {c.offsets, c.count};
  in.gate = view<const S, 3>(c.gate.data(), c.experts, c.inner, c.width);
  in.up = view<const S, 3>(c.up.data(), c.experts, c.inner, c.width);
  in.down = view<const S, 3>(c.down.data(), c.experts, c.width, c.inner);
  moe::layer_gradients<S> to;
  to.x = view<S, 2>(out.x.data(), c.tokens, c.width);
  to.weights = view<S, 2>(out.weights.data(), c.tokens, c.k);
  to.gate = view<S, 3>(out.gate.data(), c.experts, c.inner, c.width);
  to.up = view<S, 3>(out.up.data(), c.experts, c.inner, c.width);
  to.down = view<S, 3>(out.down.data(), c.experts, c.width, c.inner);
  const view<S, 2> y(out.y.data(), c.tokens, c.width);
  const view<const S, 2> cotangent(c.cotangent.data(), c.tokens, c.width);
  const moe::expert_mlp mlp{gemm, moe::swiglu{}, place};
  const auto both = [&](const auto& kept) {
    moe::experts(executor, mlp, in, kept, y);
    if (c.differentiates) moe::experts_backward(executor, mlp, in, kept, cotangent, to);
  };
  if (saves) {
    const std::int64_t rows = c.tokens * c.k;
    std::vector<S> gate = filled(size(rows * c.inner)), up(gate);
    both(moe::saved_activations<S>{view<S, 2>(gate.data(), rows, c.inner),
                                   view<S, 2>(up.data(), rows, c.inner)});
  } else {
    both(moe::recomputed{});
  }
  return out;
}

template <class S>
void demand_equal(const expert_answer<S>& a, const expert_answer<S>& b, const char* which) {
  demand_same_bits(a.y, b.y, which);
  demand_same_bits(a.x, b.x, which);
  demand_same_bits(a.weights, b.weights, which);
  demand_same_bits(a.gate, b.gate, which);
  demand_same_bits(a.up, b.up, which);
  demand_same_bits(a.down, b.down, which);
}

template <class S> answer moe_experts(const request& r) {
  const auto c = read_experts<S>(r);
  expert_answer<S> out;
  const hence::gemm::chain<S> chain;
  out = run(hence::reference<S>{}, chain, moe::after_down{}, true, c);
  demand_equal(out, run(hence::reference<S>{}, chain, moe::after_down{}, false, c),
               "saved and recomputed");
  auto before = run(hence::reference<S>{}, chain, moe::before_down{}, false, c);
  if constexpr (std::is_same_v<S, float>) {
    const hence::gemm::ordered ordered;
    demand_equal(out, run(hence::cpu{}, ordered, moe::after_down{}, false, c), "cpu and scalars");
    demand_equal(before, run(hence::cpu{}, ordered, moe::before_down{}, true, c),
                 "cpu and scalars, weights before down");
  }
  before.y = out.y;  // rounded otherwise; the gradients are the same
  demand_equal(out, before, "weights after and before down");
  answer a{{"y", make_tensor({c.tokens, c.width}, out.y)}};
  if (!c.differentiates) return a;
  a.emplace("grad_x", make_tensor({c.tokens, c.width}, out.x));
  a.emplace("grad_weights", make_tensor({c.tokens, c.k}, out.weights));
  a.emplace("grad_gate", make_tensor({c.experts, c.inner, c.width}, out.gate));
  a.emplace("grad_up", make_tensor({c.experts, c.inner, c.width}, out.up));
  a.emplace("grad_down", make_tensor({c.experts, c.width, c.inner}, out.down));
  return a;
}

const operation registered("moe_experts", [](const request& r) {
  return r.is_double() ? moe_experts<double>(r) : moe_experts<float>(r);
});

}  // namespace
}  // namespace conformance
