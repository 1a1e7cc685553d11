// Eigen's product is the ordered one up to rounding, for every layout of the operands.
#include <doctest/doctest.h>
#include <hence/core/gemm/eigen.hpp>
#include <hence/core/gemm/ordered.hpp>

#include <cmath>
#include <random>
#include <vector>

namespace {

using namespace hence;

TEST_CASE("layouts and updates") {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 1);
  const std::int64_t m = 19, n = 53, k = 41;
  std::vector<float> a(std::size_t(m * k)), b(std::size_t(k * n)), wide(std::size_t(m * k * 2));
  for (auto* v : {&a, &b, &wide})
    for (float& x : *v) x = normal(random);
  alignas(64) static float scratch[gemm::ordered::scratch_floats];
  view<const float, 2> spread(wide.data(), m, k, 2 * k);
  spread.stride[1] = 2;
  const view<const float, 2> lefts[] = {view<const float, 2>(a.data(), m, k),
                                        transposed(view<const float, 2>(a.data(), k, m)), spread};
  const view<const float, 2> rights[] = {view<const float, 2>(b.data(), k, n),
                                         transposed(view<const float, 2>(b.data(), n, k))};
  for (const auto& left : lefts)
    for (const auto& right : rights)
      for (const update u : {update::overwrite, update::accumulate}) {
        std::vector<float> x(std::size_t(m * n), 0.5f), y(x);
        gemm::eigen{}(left, right, view<float, 2>(x.data(), m, n), u, nullptr);
        gemm::ordered{}(left, right, view<float, 2>(y.data(), m, n), u, scratch);
        float worst = 0;
        for (std::size_t i = 0; i < x.size(); ++i) worst = std::max(worst, std::abs(x[i] - y[i]));
        CHECK(worst < 1e-4f);
      }
}

}  // namespace
