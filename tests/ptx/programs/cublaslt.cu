// cuBLASLt against known answers: what the stand-in must do before it judges anything. With the
// name of a fault the program commits it (cublaslt.cmake). Numbers are small integers: every sum is
// exact.
#include "check.hpp"

#include <hence/cuda/cublaslt.cuh>

#include <cstdint>

namespace {

using hence::bf16;
using hence::cuda::stream;

void check(cublasStatus_t s, const std::source_location& at = std::source_location::current()) {
  test::check(s == CUBLAS_STATUS_SUCCESS, cublasLtGetStatusName(s), at);
}
void check(cudaError_t e) { test::check(e); }

struct setting {
  std::int64_t m, n, k;
  bool turns_a, turns_b, by_rows, has_bias;
  std::int64_t gap;
  float alpha, beta;
};

/// A matrix as the library takes it: columns `ld` apart, or rows.
struct placed {
  std::int64_t rows, columns, ld;
  bool by_rows;
  placed(std::int64_t r, std::int64_t c, std::int64_t gap, bool rows_apart)
      : rows(r), columns(c), ld((rows_apart ? c : r) + gap), by_rows(rows_apart) {}
  std::size_t size() const { return static_cast<std::size_t>((by_rows ? rows : columns) * ld); }
  std::size_t at(std::int64_t i, std::int64_t j) const {
    return static_cast<std::size_t>(by_rows ? i * ld + j : i + j * ld);
  }
  cublasLtMatrixLayoutOpaque_t layout(cudaDataType_t type) const {
    cublasLtMatrixLayoutOpaque_t l;
    check(cublasLtMatrixLayoutInit(&l, type, static_cast<std::uint64_t>(rows),
                                   static_cast<std::uint64_t>(columns), ld));
    const cublasLtOrder_t order = CUBLASLT_ORDER_ROW;
    if (by_rows)
      check(
          cublasLtMatrixLayoutSetAttribute(&l, CUBLASLT_MATRIX_LAYOUT_ORDER, &order, sizeof order));
    return l;
  }
};

template <class T> void run(cublasLtHandle_t handle, const setting& s, stream to) {
  const placed a(s.turns_a ? s.k : s.m, s.turns_a ? s.m : s.k, s.gap, s.by_rows),
      b(s.turns_b ? s.n : s.k, s.turns_b ? s.k : s.n, s.gap, false), c(s.m, s.n, s.gap, s.by_rows);
  const auto number = [](std::size_t i, int seed) {
    return static_cast<float>(static_cast<int>((i * 7 + static_cast<std::size_t>(seed)) % 11) - 5);
  };
  std::vector<T> of_a, of_b;
  std::vector<float> of_c, bias;
  for (std::size_t i = 0; i < a.size(); ++i) of_a.push_back(T(number(i, 1)));
  for (std::size_t i = 0; i < b.size(); ++i) of_b.push_back(T(number(i, 2)));
  for (std::size_t i = 0; i < c.size(); ++i) of_c.push_back(number(i, 3));
  for (std::int64_t i = 0; i < s.m; ++i) bias.push_back(number(static_cast<std::size_t>(i), 4));
  std::vector<float> wanted = of_c;  // what lies between stays
  for (std::int64_t i = 0; i < s.m; ++i)
    for (std::int64_t j = 0; j < s.n; ++j) {
      double sum = 0;
      for (std::int64_t q = 0; q < s.k; ++q)
        sum += double(static_cast<float>(of_a[s.turns_a ? a.at(q, i) : a.at(i, q)])) *
               double(static_cast<float>(of_b[s.turns_b ? b.at(j, q) : b.at(q, j)]));
      const double before = s.beta == 0 ? 0 : double(s.beta) * double(of_c[c.at(i, j)]);
      wanted[c.at(i, j)] =
          static_cast<float>(double(s.alpha) * sum + before +
                             (s.has_bias ? double(bias[static_cast<std::size_t>(i)]) : 0.0));
    }
  const test::input<T> device_a(of_a), device_b(of_b);
  const test::input<float> device_bias(bias);
  const test::output<float> device_c(of_c.size());
  const test::output<std::byte> workspace(4096);
  check(cudaMemcpy(device_c.get(), of_c.data(), of_c.size() * 4, cudaMemcpyHostToDevice));
  cublasLtMatmulDescOpaque_t what;
  check(cublasLtMatmulDescInit(&what, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  const auto set = [&](cublasLtMatmulDescAttributes_t which, const auto& value) {
    check(cublasLtMatmulDescSetAttribute(&what, which, &value, sizeof value));
  };
  set(CUBLASLT_MATMUL_DESC_TRANSA, s.turns_a ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(CUBLASLT_MATMUL_DESC_TRANSB, s.turns_b ? CUBLAS_OP_T : CUBLAS_OP_N);
  if (s.has_bias) {
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, static_cast<const void*>(device_bias.get()));
  }
  auto la = a.layout(hence::cuda::detail::library_type<T>),
       lb = b.layout(hence::cuda::detail::library_type<T>), lc = c.layout(CUDA_R_32F);
  cublasLtMatmulPreferenceOpaque_t wish;
  check(cublasLtMatmulPreferenceInit(&wish));
  const std::uint64_t bytes = 4096;
  check(cublasLtMatmulPreferenceSetAttribute(&wish, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                             &bytes, sizeof bytes));
  cublasLtMatmulHeuristicResult_t best{};
  int found = 0;
  check(cublasLtMatmulAlgoGetHeuristic(handle, &what, &la, &lb, &lc, &lc, &wish, 1, &best, &found));
  test::check(found == 1, "an algorithm");
  const int nodes = test::captured(to, [&] {
    check(cublasLtMatmul(handle, &what, &s.alpha, device_a.get(), &la, device_b.get(), &lb, &s.beta,
                         device_c.get(), &lc, device_c.get(), &lc, &best.algo, workspace.get(),
                         4096, to));
    check(cublasLtMatmulDescInit(&what, CUBLAS_COMPUTE_32F, CUDA_R_32F));  // it was read already
  });
  test::check(nodes >= 1, "kernels of a product");
  test::check(device_c.read() == wanted, "a product of known integers");
}

/// What must be found: `fault` names it, an empty name or "right" does all as it should be.
void run_fault(cublasLtHandle_t handle, const std::string& fault, stream to) {
  using hence::cuda::detail::library_operation, hence::cuda::detail::library_product;
  const std::int64_t m = 8, n = 12, k = 16;
  float *a, *b, *c;
  std::byte* space;
  check(cudaMalloc(reinterpret_cast<void**>(&a), m * k * 4));
  check(cudaMalloc(reinterpret_cast<void**>(&b), n * k * 4));
  check(cudaMalloc(reinterpret_cast<void**>(&c), m * n * 4));
  check(cudaMalloc(reinterpret_cast<void**>(&space), 8192));
  check(cudaMemset(a, 0, m * k * 4));
  check(cudaMemset(b, 0, static_cast<std::size_t>(fault == "unwritten_row" ? n - 1 : n) * k * 4));
  library_product<float> p{
      {a, m, k, k}, {b, n, k, k, true}, {c, m, n, fault == "short_stride" ? n - 4 : n}};
  if (fault == "tile_over_end") p.b.data += k;
  if (fault == "unwritten_sum") p.accumulates = true;
  if (fault == "misaligned") p.a.data += 1, p.a.rows -= 1, p.c.rows -= 1;
  if (fault == "in_place") p.c.data = a;
  if (fault == "workspace_is_read") {
    check(cudaMemset(space, 0, 4096));
    p.a.data = reinterpret_cast<const float*>(space) + 64;
  }
  library_operation<float> operation(p, std::source_location::current());
  auto chosen = operation.choose(handle, 4096);
  if (fault == "other_algorithm") {
    auto q = p;
    q.a.rows -= 1, q.c.rows -= 1;
    chosen = library_operation<float>(q, std::source_location::current()).choose(handle, 4096);
  }
  std::span<std::byte> workspace(space, 4096);
  if (fault == "workspace_too_small") workspace = workspace.first(64);
  if (fault == "workspace_over_end") workspace = {space + 8192 - 64, 4096};
  operation.queue(handle, chosen, workspace, to);
  check(cudaStreamSynchronize(to));
  std::vector<float> out(m * n);
  check(cudaMemcpy(out.data(), c, out.size() * 4, cudaMemcpyDeviceToHost));
  test::check(out == std::vector<float>(m * n), "a product of zeros");
  if (fault == "workspace_is_kept")
    check(cudaMemcpy(out.data(), space, 64, cudaMemcpyDeviceToHost));
  if (fault == "other_epilogue") {
    cublasLtMatmulDescOpaque_t what;
    check(cublasLtMatmulDescInit(&what, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    const auto gelu = CUBLASLT_EPILOGUE_GELU;
    check(cublasLtMatmulDescSetAttribute(&what, CUBLASLT_MATMUL_DESC_EPILOGUE, &gelu, sizeof gelu));
  }
}

/// An error names the call, the code and the place.
void run_errors(cublasLtHandle_t handle) {
  float x = 0;
  hence::cuda::detail::library_product<float> p{{&x, 2, 3, 3}, {&x, 4, 5, 5}, {&x, 2, 5, 5}};
  try {
    hence::cuda::detail::library_operation<float>(p, std::source_location::current())
        .choose(handle, 0);
    test::check(false, "sizes that do not meet were taken");
  } catch (const hence::cublas_error& e) {
    test::check(e.code() == CUBLAS_STATUS_INVALID_VALUE || e.code() == CUBLAS_STATUS_NOT_SUPPORTED,
                e.what());
    test::check(std::string(e.call()) == "cublasLtMatmulAlgoGetHeuristic", e.call());
    test::check(
        std::string(e.what()).find("hence: cublasLtMatmulAlgoGetHeuristic: CUBLAS_STATUS_") == 0 &&
            std::string(e.what()).find("cublaslt.cu:") != std::string::npos &&
            std::string(e.name()).starts_with("CUBLAS_STATUS_") && e.location().line() > 0,
        e.what());
  }
}

}  // namespace

int main(int count, char** arguments) {
  cudaStream_t to;
  test::check(cudaStreamCreate(&to));
  cublasLtHandle_t handle;
  check(cublasLtCreate(&handle));
  if (count > 1) {
    try {
      run_fault(handle, count > 2 ? "" : arguments[1], to);
    } catch (const std::exception& e) {
      test::check(false, e.what());
    }
    return test::result();
  }
  for (int bits = 0; bits < 16; ++bits)
    for (const float beta : {0.0f, 1.0f, 2.0f}) {
      const setting s{5,
                      7,
                      6,
                      (bits & 1) != 0,
                      (bits & 2) != 0,
                      (bits & 4) != 0,
                      (bits & 8) != 0,
                      bits % 3,
                      beta == 2 ? 3.0f : 1.0f,
                      beta};
      run<float>(handle, s, to);
      if (!s.by_rows) run<bf16>(handle, s, to);
    }
  run_errors(handle);
  check(cublasLtDestroy(handle));
  test::check(cudaStreamDestroy(to));
  return test::result();
}
