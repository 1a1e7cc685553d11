// The experts by Eigen's product are those by the ordered one up to rounding.
#include "gemm_backend.hpp"

#include <doctest/doctest.h>
#include <hence/core/gemm/eigen.hpp>

namespace {

TEST_CASE("rows and gradients") { check_experts(gemm::eigen{}, 1e-5f); }

}  // namespace
