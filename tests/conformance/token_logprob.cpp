// The operation token_logprob. float32 cases run on two executors, with the states kept and in one
// call, alone and as rows of a wider matrix; all must agree bit for bit.

#include "logits.hpp"

#include <hence/logits/token_logprob.hpp>

#include <stdexcept>

namespace conformance {
namespace {

using hence::view;

template <class S> struct outputs {
  std::vector<S> logp, entropy, gradient;
  hence::status found = hence::status::ok;
};

template <class Executor, class S, class T>
outputs<S> run(const Executor& executor, const logits_case<S>& c, const std::vector<T>& x,
               std::int64_t row_stride, bool in_one_call) {
  const auto rows = static_cast<std::size_t>(c.rows);
  // NaN shows an entry that is not written.
  outputs<S> out{std::vector<S>(rows, nan<S>()), std::vector<S>(rows, nan<S>()),
                 std::vector<S>(c.has_cotangent ? rows * std::size_t(c.columns) : 0, nan<S>())};
  std::vector<hence::softmax_state> states(rows);
  const view<const T, 2> logits(x.data(), c.rows, c.columns, row_stride);
  const hence::token_results<S> results{.logp = out.logp, .entropy = out.entropy, .states = states};
  const view<S, 2> gradient(out.gradient.data(), c.rows, c.columns);
  if (in_one_call && c.has_cotangent) {
    out.found = hence::token_logprob_and_gradient(executor, c.rule, logits, c.labels, c.cot(),
                                                  results, gradient, c.kept());
    return out;
  }
  out.found = hence::token_logprob(executor, c.rule, logits, c.labels, results, c.kept());
  if (c.has_cotangent)
    out.found |= hence::token_logprob_gradient(executor, c.rule, logits, c.labels, states, c.cot(),
                                               gradient, c.kept());
  return out;
}

template <class S> void demand_same(const outputs<S>& a, const outputs<S>& b, const char* which) {
  if (a.found != b.found) throw std::runtime_error(std::string(which) + " differ in status");
  demand_same_bits(a.logp, b.logp, which);
  demand_same_bits(a.entropy, b.entropy, which);
  demand_same_bits(a.gradient, b.gradient, which);
}

template <class S, class T> outputs<S> run_all(const logits_case<S>& c, const std::vector<T>& x) {
  if constexpr (std::is_same_v<S, double>) {
    return run(hence::reference<double>{}, c, x, c.columns, false);
  } else {
    const auto first = run(hence::cpu{}, c, x, c.columns, false);
    demand_same(first, run(hence::reference<float>{}, c, x, c.columns, false), "cpu and reference");
    demand_same(first, run(hence::cpu{}, c, x, c.columns, true), "one call and two");
    std::vector<T> wide;
    for (std::int64_t i = 0; i < c.rows; ++i) {
      wide.insert(wide.end(), x.begin() + i * c.columns, x.begin() + (i + 1) * c.columns);
      wide.insert(wide.end(), 7, T(std::numeric_limits<float>::quiet_NaN()));
    }
    demand_same(first, run(hence::cpu{}, c, wide, c.columns + 7, false), "two row strides");
    return first;
  }
}

template <class S> answer token_logprob(const request& r) {
  const logits_case<S> c = read_logits_case<S>(r, r.input("logits").shape);
  const outputs<S> out = with_logits<S>(r, [&](const auto& stored) { return run_all(c, stored); });
  refuse_bad_rows(out.found);
  answer a{{"logp", make_tensor({c.rows}, out.logp)},
           {"entropy", make_tensor({c.rows}, out.entropy)}};
  if (c.has_cotangent) a.emplace("grad_logits", make_tensor({c.rows, c.columns}, out.gradient));
  return a;
}

const operation registered("token_logprob", [](const request& r) {
  return r.is_double() ? token_logprob<double>(r) : token_logprob<float>(r);
});

}  // namespace
}  // namespace conformance
