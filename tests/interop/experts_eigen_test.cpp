// The experts by Eigen's product are those by the ordered one up to rounding.
#include <doctest/doctest.h>
#include <hence/core/gemm/eigen.hpp>
#include <hence/core/gemm/ordered.hpp>
#include <hence/moe/expert_rows.hpp>

#include <cmath>
#include <random>
#include <vector>

namespace {

using namespace hence;

TEST_CASE("rows and gradients") {
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
  const auto a = run(gemm::eigen{}), b = run(gemm::ordered{});
  float worst = 0, most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst, std::abs(a[i] - b[i]));
    most = std::max(most, std::abs(b[i]));
  }
  CHECK(most > 1);
  CHECK(worst < 1e-5f * most);
}

}  // namespace
