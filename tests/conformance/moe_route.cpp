// The operation moe_route. float32 cases run on the CPU and as scalars, which must agree bit for
// bit; a row that the library reports as malformed or infinite is refused here, as the contract
// says.

#include "operation.hpp"

#include <hence/moe/balance_loss.hpp>
#include <hence/moe/balancer.hpp>
#include <hence/moe/gate.hpp>
#include <hence/moe/gate_backward.hpp>

#include <bit>
#include <cmath>
#include <optional>
#include <stdexcept>

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
  return g;
}

/// Calls f with the score as a type.
template <class F> void with_score(score_name score, F f) {
  switch (score) {
    case score_name::softmax:
      return f(moe::score::softmax{});
    case score_name::sigmoid:
      return f(moe::score::sigmoid{});
    case score_name::sqrt_softplus:
      return f(moe::score::sqrt_softplus{});
    case score_name::softmax_after:
      return f(moe::score::softmax_after{});
  }
}

/// Calls f with the gate as a type.
template <class F> void with_gate(const gate_options& o, F f) {
  with_score(o.score, [&](auto score) {
    const auto with = [&](auto weights) { f(moe::gate{score, o.k, o.groups, weights, o.scale}); };
    if constexpr (std::is_same_v<decltype(score), moe::score::softmax_after>)
      with(moe::raw{});
    else if (!o.normalize)
      with(moe::raw{});
    else if (o.single_is_raw)
      with(moe::normalized{o.eps, moe::single_raw{}});
    else
      with(moe::normalized{o.eps, moe::single_normalized{}});
  });
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

/// Rows of the sequences that have a valid one, each in its order.
std::vector<std::vector<std::size_t>> sequences(const std::vector<std::int64_t>& ids,
                                                const std::vector<std::uint8_t>& valid) {
  std::map<std::int64_t, std::vector<std::size_t>> rows;
  for (std::size_t t = 0; t < ids.size(); ++t)
    if (valid.empty() || valid[t] != 0) rows[ids[t]].push_back(t);
  std::vector<std::vector<std::size_t>> out;
  for (auto& [id, list] : rows) out.push_back(std::move(list));
  return out;
}

/// A loss of some rows and its gradient on them.
template <class S> struct loss_of_rows {
  double loss = 0;
  std::vector<S> gradient;
};

template <class Executor, class S, class Loss>
loss_of_rows<S> switch_of_rows(const Executor& executor, const gate_options& o, const Loss& loss,
                               const std::vector<S>& logits, const std::vector<std::uint8_t>& valid,
                               std::int64_t tokens, std::int64_t experts,
                               const std::vector<std::int64_t>* routed) {
  loss_of_rows<S> out{0, std::vector<S>(logits.size(), std::numeric_limits<S>::quiet_NaN())};
  std::vector<std::int64_t> probability(static_cast<std::size_t>(experts)), top_k(probability);
  moe::balance_inputs<S> in;
  in.logits = hence::view<const S, 2>(logits.data(), tokens, experts);
  if (!valid.empty()) in.valid = valid;
  with_score(o.score, [&](const auto& score) {
    const auto counts = moe::measure_balance(executor, score, o.k, in, probability, top_k);
    const moe::balance_window window{routed != nullptr ? *routed : top_k, counts.rows};
    out.loss = moe::balance_loss(loss, o.k, probability, window);
    moe::balance_gradient(executor, loss, score, o.k, in, window,
                          hence::view<S, 2>(out.gradient.data(), tokens, experts),
                          moe::overwrite{});
  });
  return out;
}

/// The loads of some rows' ids.
std::vector<std::int64_t> load_of(const std::vector<std::int32_t>& ids, std::int64_t k,
                                  const std::vector<std::size_t>& rows, std::size_t experts) {
  std::vector<std::int64_t> load(experts, 0);
  for (const std::size_t t : rows)
    for (std::size_t j = 0; j < static_cast<std::size_t>(k); ++j) {
      const std::int32_t e = ids[t * static_cast<std::size_t>(k) + j];
      if (e >= 0) ++load[static_cast<std::size_t>(e)];
    }
  return load;
}

template <class Executor, class S, class Loss>
loss_of_rows<S> sequence_loss(const Executor& executor, const gate_options& o, const Loss& loss,
                              const case_inputs<S>& in, const std::vector<std::int64_t>& ids,
                              bool by_routed, const std::vector<std::int32_t>& indices) {
  const auto experts = static_cast<std::size_t>(in.experts);
  loss_of_rows<S> out{0, std::vector<S>(in.logits.size(), S(0))};
  const auto parts = sequences(ids, in.valid);
  for (const auto& rows : parts) {
    std::vector<S> logits;
    for (const std::size_t t : rows)
      logits.insert(logits.end(), in.logits.begin() + static_cast<std::int64_t>(t * experts),
                    in.logits.begin() + static_cast<std::int64_t>((t + 1) * experts));
    const auto routed = load_of(indices, o.k, rows, experts);
    Loss mean = loss;
    mean.coef /= static_cast<double>(parts.size());
    const auto part =
        switch_of_rows(executor, o, mean, logits, {}, static_cast<std::int64_t>(rows.size()),
                       in.experts, by_routed ? &routed : nullptr);
    out.loss += part.loss;
    for (std::size_t i = 0; i < rows.size(); ++i)
      std::copy_n(part.gradient.begin() + static_cast<std::int64_t>(i * experts), experts,
                  out.gradient.begin() + static_cast<std::int64_t>(rows[i] * experts));
  }
  return out;
}

template <class Executor, class S>
loss_of_rows<S> one_loss(const Executor& executor, const std::string& name, const options& o,
                         const gate_options& gate, const case_inputs<S>& in,
                         const std::vector<std::int64_t>& sequence, const case_outputs<S>& routed) {
  const double coef = o.number("coef");
  if (name == "z") {
    o.expect({"coef"});
    loss_of_rows<S> out{0, std::vector<S>(in.logits.size(), std::numeric_limits<S>::quiet_NaN())};
    std::vector<std::int64_t> probability(static_cast<std::size_t>(in.experts)), top_k(probability);
    moe::balance_inputs<S> from;
    from.logits = hence::view<const S, 2>(in.logits.data(), in.tokens, in.experts);
    if (!in.valid.empty()) from.valid = in.valid;
    const auto counts =
        moe::measure_balance(executor, moe::score::softmax{}, gate.k, from, probability, top_k);
    out.loss = moe::balance_loss(moe::z_loss{coef}, counts);
    moe::balance_gradient(executor, moe::z_loss{coef}, from, counts.rows,
                          hence::view<S, 2>(out.gradient.data(), in.tokens, in.experts),
                          moe::overwrite{});
    return out;
  }
  o.expect({"coef", "counts", "at_balance"});
  const bool by_routed = o.choice<bool>("counts", {{"unbiased_topk", false}, {"routed", true}});
  const bool is_k = o.choice<bool>("at_balance", {{"one", false}, {"k", true}});
  const auto with = [&](const auto& loss) {
    if (name == "sequence")
      return sequence_loss(executor, gate, loss, in, sequence, by_routed, routed.indices);
    return switch_of_rows(executor, gate, loss, in.logits, in.valid, in.tokens, in.experts,
                          by_routed ? &routed.load : nullptr);
  };
  return is_k ? with(moe::switch_loss{coef, moe::balance_is_k{}})
              : with(moe::switch_loss{coef, moe::balance_is_one{}});
}

template <class S>
void add_losses(const request& r, const gate_options& gate, const case_inputs<S>& in,
                const case_outputs<S>& routed, answer& a) {
  const options all = r.options_of_case();
  if (all.is_null("aux")) return;
  const options aux = all.object("aux");
  const std::vector<std::int64_t> shape{in.tokens, in.experts};
  for (const std::string& name : aux.keys()) {
    if (name != "z" && name != "switch" && name != "sequence") aux.reject(name.c_str());
    std::vector<std::int64_t> sequence;
    if (name == "sequence") sequence = r.ids("sequence", {in.tokens});
    const options o = aux.object(name.c_str());
    loss_of_rows<S> got;
    if constexpr (std::is_same_v<S, float>) {
      got = one_loss(hence::cpu{}, name, o, gate, in, sequence, routed);
      const auto same = one_loss(hence::reference<float>{}, name, o, gate, in, sequence, routed);
      if (got.loss != same.loss || !same_bits(got.gradient, same.gradient))
        throw std::runtime_error("cpu and reference differ in " + name);
    } else {
      got = one_loss(hence::reference<double>{}, name, o, gate, in, sequence, routed);
    }
    a.emplace("loss_" + name, scalar(got.loss));
    a.emplace("grad_" + name, make_tensor(shape, got.gradient));
  }
}

template <class S>
void add_bias(const request& r, const case_inputs<S>& in, const case_outputs<S>& routed,
              answer& a) {
  const options all = r.options_of_case();
  if (all.is_null("bias_update")) return;
  const options o = all.object("bias_update");
  o.expect({"speed", "center"});
  std::vector<S> bias = in.bias;
  bias.resize(static_cast<std::size_t>(in.experts), S(0));
  std::vector<std::int64_t> load(bias.size());
  const auto update = [&](auto step) {
    moe::balancer<decltype(step), S> balancer(step, bias, load);
    balancer.observe({}, routed.load);
    balancer.update(1);
  };
  const moe::sign_step step{o.number("speed")};
  if (o.flag("center"))
    update(moe::centred{step});
  else
    update(step);
  a.emplace("bias_new", make_tensor<S>({in.experts}, bias));
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
  add_losses(r, o, in, out, a);
  add_bias(r, in, out, a);
  return a;
}

const operation registered("moe_route", [](const request& r) {
  return r.is_double() ? route<double>(r) : route<float>(r);
});

}  // namespace
}  // namespace conformance
