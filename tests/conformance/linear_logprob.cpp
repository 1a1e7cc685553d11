// The operation linear_logprob. float32 cases run with the ordered product in one call and split,
// with memory for one token and for all, and by scalars; all must agree bit for bit.

#include "logits.hpp"

#include <hence/logits/linear_logprob.hpp>

#include <stdexcept>

namespace conformance {
namespace {

using hence::view;

template <class S> struct outputs {
  std::vector<S> logp, entropy, hidden, weight, bias;
  hence::status found = hence::status::ok;
};

template <class S> struct inputs {
  logits_case<S> c;
  std::int64_t width;
  std::vector<S> hidden, weight, bias;
};

template <class Executor, class Gemm, class S>
outputs<S> run(const Executor& executor, const Gemm& gemm, const inputs<S>& in, std::int64_t tile,
               bool in_one_call) {
  const auto tokens = static_cast<std::size_t>(in.c.rows);
  // NaN shows an entry that is not written.
  outputs<S> out{std::vector<S>(tokens, nan<S>()), std::vector<S>(tokens, nan<S>()),
                 std::vector<S>(in.hidden.size(), nan<S>()),
                 std::vector<S>(in.weight.size(), nan<S>()),
                 std::vector<S>(in.bias.size(), nan<S>())};
  std::vector<hence::softmax_state> states(tokens);
  std::vector<std::byte> memory(
      static_cast<std::size_t>(hence::linear_logprob_bytes<Gemm, S>(tile, in.width, in.c.columns)));
  const view<const S, 2> hidden(in.hidden.data(), in.c.rows, in.width);
  hence::linear_head<const S, S> head{
      .weight = view<const S, 2>(in.weight.data(), in.c.columns, in.width)};
  hence::linear_gradients<S> gradients{
      .hidden = view<S, 2>(out.hidden.data(), in.c.rows, in.width),
      .weight = view<S, 2>(out.weight.data(), in.c.columns, in.width)};
  if (!in.bias.empty()) head.bias = in.bias, gradients.bias = out.bias;
  const hence::token_results<S> results{.logp = out.logp, .entropy = out.entropy, .states = states};
  if (in_one_call) {
    out.found =
        hence::linear_logprob_and_gradient(executor, gemm, in.c.rule, hidden, head, in.c.labels,
                                           in.c.cot(), results, gradients, memory);
  } else {
    out.found = hence::linear_logprob(executor, gemm, in.c.rule, hidden, head, in.c.labels, results,
                                      memory);
    out.found |= hence::linear_logprob_gradient(executor, gemm, in.c.rule, hidden, head,
                                                in.c.labels, states, in.c.cot(), gradients, memory);
  }
  return out;
}

template <class S> void demand_same(const outputs<S>& a, const outputs<S>& b, const char* which) {
  if (a.found != b.found) throw std::runtime_error(std::string(which) + " differ in status");
  demand_same_bits(a.logp, b.logp, which);
  demand_same_bits(a.entropy, b.entropy, which);
  demand_same_bits(a.hidden, b.hidden, which);
  demand_same_bits(a.weight, b.weight, which);
  demand_same_bits(a.bias, b.bias, which);
}

template <class S> answer linear_logprob(const request& r) {
  const auto shape = r.input("hidden").shape, weight_shape = r.input("weight").shape;
  if (shape.size() != 2 || weight_shape.size() != 2 || shape[1] != weight_shape[1])
    throw std::invalid_argument("hidden and weight do not have the shapes [T, D] and [V, D]");
  inputs<S> in{read_logits_case<S>(r, {shape[0], weight_shape[0]}),
               shape[1],
               r.floats<S>("hidden", shape),
               r.floats<S>("weight", weight_shape),
               {}};
  if (r.has("bias")) in.bias = r.floats<S>("bias", {weight_shape[0]});
  outputs<S> out;
  if constexpr (std::is_same_v<S, double>) {
    out = run(hence::reference<double>{}, hence::gemm::chain<double>{}, in, 4, true);
  } else {
    out = run(hence::cpu{}, hence::gemm::ordered{}, in, 100, true);
    demand_same(out, run(hence::cpu{}, hence::gemm::ordered{}, in, 1, false), "two tilings");
    demand_same(out, run(hence::reference<float>{}, hence::gemm::chain<float>{}, in, 3, false),
                "cpu and reference");
  }
  refuse_bad_rows(out.found);
  answer a{{"logp", make_tensor({in.c.rows}, out.logp)},
           {"entropy", make_tensor({in.c.rows}, out.entropy)},
           {"grad_hidden", make_tensor(shape, out.hidden)},
           {"grad_weight", make_tensor(weight_shape, out.weight)}};
  if (!in.bias.empty()) a.emplace("grad_bias", make_tensor({weight_shape[0]}, out.bias));
  return a;
}

const operation registered("linear_logprob", [](const request& r) {
  return r.is_double() ? linear_logprob<double>(r) : linear_logprob<float>(r);
});

}  // namespace
}  // namespace conformance
