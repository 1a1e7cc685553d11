// What every backend of the matrix product is held against: products in float64 for every layout of
// the operands, log-probs and gradients by the definition, the experts of the ordered product.
#pragma once

#include <doctest/doctest.h>
#include <hence/core/gemm/ordered.hpp>
#include <hence/moe/expert_rows.hpp>
#include <logits/linear_oracle.hpp>

#include <stdexcept>
#include <string>

namespace {

using namespace hence;

/// Error in units of the sum of |a b|. `deep` reaches beyond the blocks of a backend.
template <class Gemm>
void check_layouts(const Gemm& gemm, double tolerance, std::int64_t deep = 41) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 1);
  const std::int64_t m = 19, n = 53, k = deep, gap = 3;
  std::vector<float> a(std::size_t((m + gap) * (k + gap))), b(std::size_t((n + gap) * (k + gap)));
  for (auto* v : {&a, &b})
    for (float& x : *v) x = normal(random);
  std::vector<float> memory(std::size_t(Gemm::scratch_floats) + 16);
  const view<float> scratch = detail::aligned_floats<float>(view<std::byte>(
      reinterpret_cast<std::byte*>(memory.data()), static_cast<std::int64_t>(memory.size()) * 4));
  const view<const float, 2> lefts[] = {view<const float, 2>(a.data(), m, k),
                                        view<const float, 2>(a.data(), m, k, k + gap),
                                        transposed(view<const float, 2>(a.data(), k, m, m + gap))};
  const view<const float, 2> rights[] = {view<const float, 2>(b.data(), k, n, n + gap),
                                         transposed(view<const float, 2>(b.data(), n, k, k + gap))};
  for (const auto& left : lefts)
    for (const auto& right : rights)
      for (const update u : {update::overwrite, update::accumulate}) {
        const float before = u == update::overwrite ? NAN : 0.5f;
        std::vector<float> c(std::size_t(m * (n + gap)), before);
        gemm(left, right, view<float, 2>(c.data(), m, n, n + gap), u, scratch.data);
        double worst = 0;
        for (std::int64_t i = 0; i < m; ++i)
          for (std::int64_t j = 0; j < n; ++j) {
            double sum = u == update::accumulate ? 0.5 : 0, size = 1;
            for (std::int64_t d = 0; d < k; ++d) {
              sum += double(left(i, d)) * double(right(d, j));
              size += std::abs(double(left(i, d)) * double(right(d, j)));
            }
            const double off = std::abs(double(c[std::size_t(i * (n + gap) + j)]) - sum) / size;
            worst = off == off ? std::max(worst, off) : HUGE_VAL;
          }
        CHECK(worst < tolerance);
        for (std::int64_t i = 0; i < m; ++i)  // between the rows nothing is written
          CHECK((c[std::size_t(i * (n + gap) + n)] == 0.5f) == (u == update::accumulate));
      }
  // nothing to sum over, and nothing to write
  std::vector<float> c(6, NAN);
  gemm(view<const float, 2>(a.data(), 2, 0), view<const float, 2>(b.data(), 0, 3),
       view<float, 2>(c.data(), 2, 3), update::overwrite, scratch.data);
  CHECK(c == std::vector<float>(6, 0.0f));
  gemm(view<const float, 2>(a.data(), 0, 4), view<const float, 2>(b.data(), 4, 3),
       view<float, 2>(c.data(), 0, 3), update::overwrite, scratch.data);
  CHECK(c == std::vector<float>(6, 0.0f));
}

/// Libraries want a stride of 1, and say so.
template <class Gemm> void check_refusals(const Gemm& gemm) {
  std::vector<float> x(64), scratch(static_cast<std::size_t>(Gemm::scratch_floats));
  const auto refusal = [&](const view<const float, 2>& a, const view<const float, 2>& b) {
    try {
      gemm(a, b, view<float, 2>(x.data() + 48, 2, 3), update::overwrite, scratch.data());
    } catch (const std::invalid_argument& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  view<const float, 2> spread(x.data(), 2, 4, 8), narrow(x.data(), 4, 3, 2);
  const view<const float, 2> b(x.data() + 16, 4, 3);
  spread.stride[1] = 2;
  CHECK(refusal(spread, b) ==
        "hence: gemm: A is [2, 4] with strides 8, 2, expected one of 1 and the other at least the "
        "rows' or columns' length");
  CHECK(refusal(view<const float, 2>(x.data(), 2, 4), narrow) ==
        "hence: gemm: B is [4, 3] with strides 2, 1, expected one of 1 and the other at least the "
        "rows' or columns' length");
  CHECK(refusal(view<const float, 2>(x.data(), 2, 5), b) ==
        "hence: gemm: A is [2, 5], B [4, 3], C [2, 3], expected [m, k], [k, n], [m, n]");
}

/// \tparam W how the head is stored. \param forward, backward tolerances.
template <class W = float, class Gemm>
void check_linear_logprob(const Gemm& gemm, double forward, double backward) {
  linear_problem p;
  std::vector<W> weight;
  for (float& x : p.weight) weight.push_back(W(x)), x = float(weight.back());
  if (std::same_as<W, bf16>)
    for (float& x : p.hidden) x = float(bf16(x));
  const linear_definition want(p);
  const auto n = p.labels.size();
  const float nan = NAN;
  std::vector<float> logp(n, nan), entropy(n, nan), hidden(p.hidden.size(), nan),
      d_weight(p.weight.size(), nan), bias(p.bias.size(), nan);
  std::vector<std::byte> memory(
      static_cast<std::size_t>(linear_logprob_bytes<Gemm>(8, p.width, p.vocabulary)));
  const status found = linear_logprob_and_gradient(
      cpu{}, gemm, p.rule(), view<const float, 2>(p.hidden.data(), p.tokens, p.width),
      linear_head<const W>{.weight = view<const W, 2>(weight.data(), p.vocabulary, p.width),
                           .bias = p.bias},
      p.labels, {.logp = p.cot_logp, .entropy = p.cot_entropy}, {.logp = logp, .entropy = entropy},
      {.hidden = view<float, 2>(hidden.data(), p.tokens, p.width),
       .weight = view<float, 2>(d_weight.data(), p.vocabulary, p.width),
       .bias = bias},
      memory);
  CHECK(found == status::ok);
  CHECK(apart(logp, want.logp) < forward);
  CHECK(apart(entropy, want.entropy) < forward);
  CHECK(relatively_apart(hidden, want.hidden) < backward);
  CHECK(relatively_apart(d_weight, want.weight) < backward);
  CHECK(relatively_apart(bias, want.bias) < forward);
}

/// Rows and gradients of a few experts, one of them without rows.
template <class Gemm> void check_experts(const Gemm& gemm, float tolerance) {
  constexpr std::int64_t experts = 3, rows = 70, inner = 33, width = 20;
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 0.5f);
  const auto fill = [&](std::int64_t n) {
    std::vector<float> v(static_cast<std::size_t>(n));
    for (float& x : v) x = normal(random);
    return v;
  };
  const auto x = fill(rows * width), gate = fill(experts * inner * width),
             up = fill(experts * inner * width), down = fill(experts * inner * width),
             cotangent = fill(rows * width), w = fill(rows);
  const std::vector<std::int64_t> first{0, 30, 30}, count{30, 0, 40};
  moe::expert_inputs<float> in;
  in.rows = view<const float, 2>(x.data(), rows, width);
  in.segments = {first, count};
  in.gate = view<const float, 3>(gate.data(), experts, inner, width);
  in.up = view<const float, 3>(up.data(), experts, inner, width);
  in.down = view<const float, 3>(down.data(), experts, width, inner);
  in.row_weights = w;
  const auto run = [&](auto product) {
    std::vector<float> all(
        static_cast<std::size_t>(2 * rows * width + rows + 3 * experts * inner * width));
    float* at = all.data();
    const auto take = [&](std::int64_t n) { return (at += n) - n; };
    moe::expert_gradients<float> to;
    const view<float, 2> out(take(rows * width), rows, width);
    to.rows = view<float, 2>(take(rows * width), rows, width);
    to.row_weights = view<float>(take(rows), rows);
    to.gate = view<float, 3>(take(experts * inner * width), experts, inner, width);
    to.up = view<float, 3>(take(experts * inner * width), experts, inner, width);
    to.down = view<float, 3>(take(experts * inner * width), experts, width, inner);
    const moe::expert_mlp mlp{product, moe::geglu_tanh{}, moe::before_down{}};
    moe::expert_rows(cpu{}, mlp, in, moe::recomputed{}, out);
    moe::expert_rows_backward(cpu{}, mlp, in, moe::recomputed{},
                              view<const float, 2>(cotangent.data(), rows, width), to);
    return all;
  };
  const auto a = run(gemm), b = run(gemm::ordered{});
  float worst = 0, most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    worst = a[i] == a[i] ? std::max(worst, std::abs(a[i] - b[i])) : HUGE_VALF;
    most = std::max(most, std::abs(b[i]));
  }
  CHECK(most > 1);
  CHECK(worst < tolerance * most);
}

}  // namespace
