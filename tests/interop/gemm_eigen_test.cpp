// Eigen as the matrix product, held against float64 and the ordered product; any strides.
#include "gemm_backend.hpp"

#include <doctest/doctest.h>
#include <hence/core/gemm/eigen.hpp>

namespace {

TEST_CASE("layouts and updates") { check_layouts(gemm::eigen{}, 1e-6); }

TEST_CASE("neither stride is 1") {
  const std::vector<float> x{1, 0, 2, 0, 3, 0, 4, 0};
  view<const float, 2> spread(x.data(), 2, 2, 4);
  spread.stride[1] = 2;
  std::vector<float> c(4, NAN);
  gemm::eigen{}(spread, spread, view<float, 2>(c.data(), 2, 2), update::overwrite, nullptr);
  CHECK(c == std::vector<float>{7, 10, 15, 22});
}

TEST_CASE("log-probs") { check_linear_logprob(gemm::eigen{}, 5e-6, 3e-6); }

}  // namespace
