// oneDNN as the matrix product, in fp32 and bf16, held against float64 and the ordered product.
#include "gemm_backend.hpp"

#include <doctest/doctest.h>
#include <hence/core/gemm/onednn.hpp>

namespace {

TEST_CASE("fp32: layouts, updates and refusals") {
  check_layouts(gemm::onednn{}, 1e-6);
  check_refusals(gemm::onednn{});
}

TEST_CASE("fp32: log-probs and experts") {
  check_linear_logprob(gemm::onednn{}, 5e-6, 3e-6);
  check_experts(gemm::onednn{}, 1e-5f);
}

/// oneDNN 2 multiplies bf16 with AVX-512 alone.
bool has_bf16() {
#if DNNL_VERSION_MAJOR < 3 && defined(__x86_64__)
  if (!__builtin_cpu_supports("avx512bw")) {
    MESSAGE("oneDNN has no bf16 product for this processor: not tested");
    return false;
  }
#endif
  return true;
}

TEST_CASE("bf16: operands are rounded once, sums are fp32") {
  if (!has_bf16()) return;
  const gemm::onednn_bf16 gemm;
  check_layouts(gemm, 0x1p-8);
  check_layouts(gemm, 0x1p-8, 2500);  // several blocks along k
  check_refusals(gemm);
  // operands that bf16 holds: nothing is lost but the rounding of the sum
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0, 1);
  const std::int64_t m = 300, n = 17, k = 1300;  // several blocks of rows
  std::vector<float> a(std::size_t(m * k)), c(std::size_t(m * n), NAN);
  std::vector<bf16> b;
  for (float& x : a) x = float(bf16(normal(random)));
  for (std::int64_t i = 0; i < n * k; ++i) b.push_back(bf16(normal(random)));
  std::vector<float> scratch(std::size_t(gemm.scratch_floats));
  const view<const float, 2> left(a.data(), m, k);
  const auto right = transposed(view<const bf16, 2>(b.data(), n, k));
  gemm(left, right, view<float, 2>(c.data(), m, n), update::overwrite, scratch.data());
  double worst = 0;
  for (std::int64_t i = 0; i < m; ++i)
    for (std::int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (std::int64_t d = 0; d < k; ++d) sum += double(left(i, d)) * double(float(right(d, j)));
      worst = std::max(worst, std::abs(double(c[std::size_t(i * n + j)]) - sum));
    }
  CHECK(worst < 1e-4);  // of sums of about 36
}

TEST_CASE("bf16: log-probs from a head of bf16, and experts") {
  if (!has_bf16()) return;
  check_linear_logprob<bf16>(gemm::onednn_bf16{}, 2e-5, 4e-3);
  check_linear_logprob(gemm::onednn_bf16{}, 5e-2, 6e-3);  // here the hidden states are rounded too
  check_experts(gemm::onednn_bf16{}, 1e-2f);
}

}  // namespace
