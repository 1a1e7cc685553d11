// The operation moe_route. float32 cases run on the CPU and as scalars, which must agree bit for
// bit; a row that the library reports as malformed or infinite is refused here, as the contract
// says.

#include "operation.hpp"

#include <hence/moe/gate.hpp>
#include <hence/moe/gate_backward.hpp>

#include <bit>
#include <cmath>
#include <optional>

namespace conformance {
namespace {

namespace moe = hence::moe;

/// The three group scores as one type.
struct group_score {
  int which;
  std::int64_t terms(std::int64_t k, std::int64_t kept) const {
    return which == 0   ? moe::max_score::terms(k, kept)
           : which == 1 ? moe::top2_sum::terms(k, kept)
                        : moe::top_k_over_m_sum::terms(k, kept);
  }
};

enum class score_name { softmax, sigmoid, sqrt_softplus, softmax_after };

struct gate_options {
  score_name score;
  std::int64_t k;
  moe::grouped<group_score> groups;
  bool normalize, single_is_raw;
  double eps, scale;
};

gate_options read_options(const options& o) {
  o.expect({"score", "k", "groups", "groups_kept", "group_score", "normalize", "eps", "scale",
            "k1_policy", "aux", "bias_update"});
  gate_options g{};
  g.score = o.choice<score_name>("score", {{"softmax", score_name::softmax},
                                           {"sigmoid", score_name::sigmoid},
                                           {"sqrt_softplus", score_name::sqrt_softplus},
                                           {"softmax_after", score_name::softmax_after}});
  g.k = o.integer("k");
  g.groups = {
      o.integer("groups"),
      o.integer("groups_kept"),
      {o.choice<int>("group_score", {{"max", 0}, {"top2_sum", 1}, {"top_k_over_m_sum", 2}})}};
  g.normalize = o.flag("normalize");
  if (g.normalize && g.score == score_name::softmax_after) o.reject("normalize");
  g.eps = o.number("eps");
  g.scale = o.number("scale");
  g.single_is_raw = o.choice<bool>("k1_policy", {{"raw", true}, {"normalize", false}});
  o.expect_null("aux");
  o.expect_null("bias_update");
  return g;
}

/// Calls f with the gate as a type.
template <class F> void with_gate(const gate_options& o, F f) {
  const auto with = [&](auto score, auto weights) {
    f(moe::gate{score, o.k, o.groups, weights, o.scale});
  };
  const auto with_weights = [&](auto score) {
    if (!o.normalize)
      with(score, moe::raw{});
    else if (o.single_is_raw)
      with(score, moe::normalized{o.eps, moe::single_raw{}});
    else
      with(score, moe::normalized{o.eps, moe::single_normalized{}});
  };
  switch (o.score) {
    case score_name::softmax:
      return with_weights(moe::score::softmax{});
    case score_name::sigmoid:
      return with_weights(moe::score::sigmoid{});
    case score_name::sqrt_softplus:
      return with_weights(moe::score::sqrt_softplus{});
    case score_name::softmax_after:
      return with(moe::score::softmax_after{}, moe::raw{});
  }
}

template <class S> struct case_inputs {
  std::int64_t tokens = 0, experts = 0;
  std::vector<S> logits, bias, cotangent;
  std::vector<std::uint8_t> valid;
  std::vector<std::int32_t> replay;
};

template <class S> struct case_outputs {
  std::vector<std::int32_t> indices;
  std::vector<S> weights, grad_logits;
  std::vector<std::int64_t> load;
  std::vector<std::uint8_t> faults;
};

template <class T>
hence::view<T, 2> matrix(std::vector<std::remove_const_t<T>>& v, std::int64_t rows,
                         std::int64_t columns) {
  return {v.data(), rows, columns};
}

template <class Executor, class Gate, class S>
void run_gate(const Executor& executor, const Gate& gate, case_inputs<S>& in,
              case_outputs<S>& out) {
  const std::int64_t tokens = in.tokens, experts = in.experts;
  moe::gate_inputs<S> from;
  from.logits = matrix<const S>(in.logits, tokens, experts);
  if (!in.bias.empty()) from.bias = in.bias;
  if (!in.valid.empty()) from.valid = in.valid;
  if (!in.replay.empty()) from.replay = matrix<const std::int32_t>(in.replay, tokens, gate.k);
  moe::gate_outputs<S> to;
  to.ids = matrix<std::int32_t>(out.indices, tokens, gate.k);
  to.weights = matrix<S>(out.weights, tokens, gate.k);
  to.load = out.load;
  to.row_faults = out.faults;
  const auto counts = moe::route(executor, gate, from, to);
  if (counts.infinite_rows + counts.range_rows + counts.repeated_rows > 0)
    throw std::runtime_error("a logit is +inf, or a replayed id is out of range or repeated");
  if (in.cotangent.empty() && tokens > 0) return;
  std::vector<S> at_slots(out.indices.size(), std::numeric_limits<S>::quiet_NaN());
  const auto k = static_cast<std::size_t>(gate.k), width = static_cast<std::size_t>(experts);
  for (std::size_t i = 0; i < at_slots.size(); ++i)
    if (out.indices[i] >= 0)
      at_slots[i] = in.cotangent[i / k * width + static_cast<std::size_t>(out.indices[i])];
  out.grad_logits.assign(in.logits.size(), std::numeric_limits<S>::quiet_NaN());
  moe::gate_backward_inputs<S> back;
  back.logits = from.logits;
  back.ids = matrix<const std::int32_t>(out.indices, tokens, gate.k);
  back.grad_weights = matrix<const S>(at_slots, tokens, gate.k);
  back.valid = from.valid;
  moe::route_backward(executor, gate, back, matrix<S>(out.grad_logits, tokens, experts));
}

template <class Executor, class S>
case_outputs<S> run(const Executor& executor, const gate_options& o, case_inputs<S>& in) {
  case_outputs<S> out;
  const auto slots = static_cast<std::size_t>(in.tokens * std::max<std::int64_t>(o.k, 0));
  // what is not written shows
  out.indices.assign(slots, 77);
  out.weights.assign(slots, std::numeric_limits<S>::quiet_NaN());
  out.load.assign(static_cast<std::size_t>(in.experts), -1);
  out.faults.assign(static_cast<std::size_t>(in.tokens), 99);
  with_gate(o, [&](const auto& gate) { run_gate(executor, gate, in, out); });
  return out;
}

template <class S> bool same_bits(const std::vector<S>& a, const std::vector<S>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(S)) == 0);
}
template <class S> void demand_same(const case_outputs<S>& a, const case_outputs<S>& b) {
  if (!same_bits(a.indices, b.indices) || !same_bits(a.weights, b.weights) ||
      !same_bits(a.grad_logits, b.grad_logits) || !same_bits(a.load, b.load) ||
      !same_bits(a.faults, b.faults))
    throw std::runtime_error("cpu and reference differ");
}

template <class S>
std::vector<S> read_logits(const request& r, const std::vector<std::int64_t>& shape) {
  const tensor& t = r.input("logits", shape);
  const bool is_half = t.type == dtype::bf16 || t.type == dtype::f16;
  if (std::is_same_v<S, float> && is_half) return t.as<S>();
  return r.floats<S>("logits", shape);
}

template <class S> answer route(const request& r) {
  const gate_options o = read_options(r.options_of_case());
  const std::vector<std::int64_t> shape = r.input("logits").shape;
  if (shape.size() != 2) throw std::invalid_argument("input logits does not have the shape [T, E]");
  const std::vector<std::int64_t> rows{shape[0]}, experts{shape[1]}, slots{shape[0], o.k};
  case_inputs<S> in;
  in.tokens = shape[0], in.experts = shape[1];
  in.logits = read_logits<S>(r, shape);
  if (r.has("bias")) in.bias = r.floats<S>("bias", experts);
  if (r.has("valid")) in.valid = r.mask("valid", rows);
  if (r.has("cotangent")) in.cotangent = r.floats<S>("cotangent", shape);
  if (r.has("replay")) {
    const tensor& t = r.input("replay", slots);
    if (t.type != dtype::i32) throw std::invalid_argument("input replay is not I32");
    in.replay = t.as<std::int32_t>();
  }
  case_outputs<S> out;
  if constexpr (std::is_same_v<S, float>) {
    out = run(hence::cpu{}, o, in);
    demand_same(out, run(hence::reference<float>{}, o, in));
  } else {
    out = run(hence::reference<double>{}, o, in);
  }
  for (std::uint8_t& f : out.faults) f &= moe::row_fault::nan_logit;
  answer a{{"indices", make_tensor(slots, out.indices)},
           {"weights", make_tensor(slots, out.weights)},
           {"load", make_tensor(experts, out.load)},
           {"status", make_tensor(rows, out.faults)}};
  if (r.has("cotangent")) a.emplace("grad_logits", make_tensor(shape, out.grad_logits));
  return a;
}

const operation registered("moe_route", [](const request& r) {
  return r.is_double() ? route<double>(r) : route<float>(r);
});

}  // namespace
}  // namespace conformance
