// cublasLtMatmul: each element one chain of fused multiply-adds in fp32, in the order of k, begun
// at beta C where alpha is 1; else alpha times the chain from 0, plus beta C. A bias is added last.
#include "problem.hpp"

#include "../runtime/guest.hpp"

#include <cmath>
#include <vector>

using namespace standin;

namespace {

std::size_t size_of(cudaDataType_t t) { return t == CUDA_R_32F ? 4 : 2; }

/// A matrix where it lies; throws what is at fault.
struct matrix {
  const char* name;
  layout shape;
  const void* address;
  ptx::device_range memory{};

  matrix(const char* n, const layout& l, const void* p) : name(n), shape(l), address(p) {
    std::string reason;
    if (!hence_ptx_range(p, bytes(), &memory, &reason))
      throw std::string("cublasLtMatmul: ") + name + ": " + reason;
  }
  bool by_rows() const { return shape.order == CUBLASLT_ORDER_ROW; }
  std::size_t bytes() const {
    const auto runs = by_rows() ? shape.rows : shape.columns;
    const auto run = by_rows() ? shape.columns : shape.rows;
    return ((runs - 1) * static_cast<std::size_t>(shape.ld) + run) * size_of(shape.type);
  }
  std::size_t place(std::size_t i, std::size_t j) const {
    const auto ld = static_cast<std::size_t>(shape.ld);
    return (by_rows() ? i * ld + j : i + j * ld) * size_of(shape.type);
  }
  float get(std::size_t i, std::size_t j) const {
    const std::size_t at = place(i, j);
    for (std::size_t b = 0; b < size_of(shape.type); ++b)
      if (memory.written[at + b] == 0)
        throw std::string("cublasLtMatmul: uninitialised: element ") + std::to_string(i) + ", " +
            std::to_string(j) + " of " + name;
    std::uint32_t bits = 0;
    if (shape.type == CUDA_R_32F) {
      std::memcpy(&bits, memory.data + at, 4);
    } else {
      std::uint16_t half;
      std::memcpy(&half, memory.data + at, 2);
      bits = std::uint32_t{half} << 16;
    }
    float x;
    std::memcpy(&x, &bits, 4);
    return x;
  }
  void put(std::size_t i, std::size_t j, float x) const {
    std::memcpy(memory.data + place(i, j), &x, 4);
    std::memset(memory.written + place(i, j), 1, 4);
  }
  /// op(M), rows one after another; or its transpose.
  std::vector<float> gathered(bool turned) const {
    const std::size_t rows = turned ? shape.columns : shape.rows,
                      columns = turned ? shape.rows : shape.columns;
    std::vector<float> all(rows * columns);
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = 0; j < columns; ++j)
        all[i * columns + j] = turned ? get(j, i) : get(i, j);
    return all;
  }
};

struct product {
  problem p;
  algorithm chosen;
  float alpha, beta;
  const void *a, *b, *c;
  void *d, *workspace;
  std::size_t workspace_bytes;

  void run() const;

 private:
  void check_alignment(const char* name, const void* at, std::uint32_t bytes) const {
    if (reinterpret_cast<std::uintptr_t>(at) % bytes != 0)
      throw std::string("cublasLtMatmul: misaligned: ") + name + " is not at a multiple of " +
          std::to_string(bytes) + " bytes, for which the algorithm was chosen";
  }
  static void check_apart(const char* one, const void* p1, std::size_t n1, const char* other,
                          const void* p2, std::size_t n2) {
    const auto x = reinterpret_cast<std::uintptr_t>(p1), y = reinterpret_cast<std::uintptr_t>(p2);
    if (x < y + n2 && y < x + n1)
      throw std::string("cublasLtMatmul: ") + one + " overlaps " + other;
  }
};

void product::run() const {
  const matrix from_a("A", p.a, a), from_b("B", p.b, b), to("D", p.d, d);
  const std::size_t m = p.d.rows, n = p.d.columns;
  check_alignment("A", a, chosen.alignment[0]), check_alignment("B", b, chosen.alignment[1]);
  check_alignment("C", c, chosen.alignment[2]), check_alignment("D", d, chosen.alignment[3]);
  check_apart("D", d, to.bytes(), "A", a, from_a.bytes());
  check_apart("D", d, to.bytes(), "B", b, from_b.bytes());
  if (c != d && beta != 0) check_apart("D", d, to.bytes(), "C", c, matrix("C", p.c, c).bytes());
  if (chosen.workspace > 0) {
    ptx::device_range space;
    std::string reason;
    if (!hence_ptx_range(workspace, workspace_bytes, &space, &reason))
      throw "cublasLtMatmul: workspace: " + reason;
    check_apart("workspace", workspace, workspace_bytes, "A", a, from_a.bytes());
    check_apart("workspace", workspace, workspace_bytes, "B", b, from_b.bytes());
    check_apart("workspace", workspace, workspace_bytes, "D", d, to.bytes());
    std::memset(space.written, 0, workspace_bytes);  // whatever it held is gone
  }
  std::vector<float> bias(m);
  if (p.what.epilogue == CUBLASLT_EPILOGUE_BIAS) {
    layout l;
    l.type = CUDA_R_32F, l.rows = m, l.columns = 1, l.ld = static_cast<std::int64_t>(m);
    bias = matrix("bias", l, p.what.bias).gathered(false);
  }
  const auto left = from_a.gathered(p.what.op_a == CUBLAS_OP_T);
  const auto right = from_b.gathered(p.what.op_b != CUBLAS_OP_T);  // a column of op(B) in a row
  const std::size_t k = left.size() / m;
  std::vector<float> whole(m * n);
  if (beta != 0) {
    const matrix before("C", p.c, c);
    for (std::size_t j = 0; j < n; ++j)
      for (std::size_t i = 0; i < m; ++i) whole[j * m + i] = beta * before.get(i, j);
  }
  for (std::size_t j = 0; j < n; ++j)
    for (std::size_t i = 0; i < m; ++i) {
      float sum = alpha == 1 ? whole[j * m + i] : 0.0f;
      for (std::size_t q = 0; q < k; ++q) sum = std::fma(left[i * k + q], right[j * k + q], sum);
      if (alpha != 1) sum = alpha * sum + whole[j * m + i];
      to.put(i, j, p.what.epilogue == CUBLASLT_EPILOGUE_BIAS ? sum + bias[i] : sum);
    }
}

}  // namespace

extern "C" cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t what,
                                         const void* alpha, const void* a,
                                         cublasLtMatrixLayout_t of_a, const void* b,
                                         cublasLtMatrixLayout_t of_b, const void* beta,
                                         const void* c, cublasLtMatrixLayout_t of_c, void* d,
                                         cublasLtMatrixLayout_t of_d,
                                         const cublasLtMatmulAlgo_t* chosen, void* workspace,
                                         std::size_t workspace_bytes, cudaStream_t stream) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (a == nullptr || b == nullptr || c == nullptr || d == nullptr)
    return CUBLAS_STATUS_INVALID_VALUE;
  product p{{read<operation>(what), read<layout>(of_a), read<layout>(of_b), read<layout>(of_c),
             read<layout>(of_d)},
            {},
            *static_cast<const float*>(alpha),
            *static_cast<const float*>(beta),
            a,
            b,
            c,
            d,
            workspace,
            workspace_bytes};
  if (const cublasStatus_t s = p.p.check(); s != CUBLAS_STATUS_SUCCESS) return s;
  if (c == d && std::memcmp(of_c, of_d, sizeof *of_c) != 0) return CUBLAS_STATUS_INVALID_VALUE;
  if (chosen == nullptr) {
    hence_ptx_lacks("cublasLtMatmul without an algorithm");
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  p.chosen = read<algorithm>(chosen);
  if (p.chosen.made != algorithm::number || p.chosen.problem != p.p.hash() ||
      p.chosen.workspace > workspace_bytes)
    return CUBLAS_STATUS_INVALID_VALUE;  // chosen for another product
  const cudaError_t e = hence_ptx_queue(stream, [p]() -> std::string {
    try {
      p.run();
      return {};
    } catch (const std::string& fault) {
      return fault;
    }
  });
  return e == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
