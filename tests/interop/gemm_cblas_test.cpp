// A BLAS as the matrix product, held against float64 and the ordered product.
#include "gemm_backend.hpp"

#include <doctest/doctest.h>
#include <hence/core/gemm/cblas.hpp>

namespace {

TEST_CASE("layouts, updates and refusals") {
  check_layouts(gemm::cblas{}, 1e-6);
  check_refusals(gemm::cblas{});
}

TEST_CASE("log-probs and experts") {
  check_linear_logprob(gemm::cblas{}, 5e-6, 3e-6);
  check_experts(gemm::cblas{}, 1e-5f);
}

TEST_CASE("extents beyond BLAS's integers are refused") {
  float x = 0;
  std::string told;
  try {
    gemm::cblas{}(view<const float, 2>(&x, 0, std::int64_t{1} << 31),
                  view<const float, 2>(&x, std::int64_t{1} << 31, 0), view<float, 2>(&x, 0, 0),
                  update::overwrite, nullptr);
  } catch (const std::invalid_argument& e) {
    told = e.what();
  }
  CHECK(told ==
        "hence: gemm::cblas: an extent or a stride is 2147483648, expected at most 2^31 - 1");
}

}  // namespace
