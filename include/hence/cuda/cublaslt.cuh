/// \file
/// One matrix product by cuBLASLt as hence asks for it: row-major matrices, fp32 accumulation, an
/// algorithm that was chosen beforehand, the caller's handle, stream and workspace.
///
/// Needs <cublasLt.h> and the library (`CUDA::cublasLt`, `-lcublasLt`); nothing else of hence
/// includes it.
#pragma once

#include <hence/core/gemm/product.hpp>
#include <hence/core/storage.hpp>
#include <hence/cuda/launch.cuh>

#include <cublasLt.h>

#include <span>

namespace hence::inline v0 {

namespace detail {

/// "hence: cublasLtMatmul: CUBLAS_STATUS_NOT_SUPPORTED (15), ..., at step.cu:41".
inline message describe(cublasStatus_t code, const char* call, const std::source_location& at) {
  message text;
  text << "hence: " << call << ": " << cublasLtGetStatusName(code) << " ("
       << static_cast<std::int64_t>(code) << "), " << cublasLtGetStatusString(code) << ", at "
       << at.file_name() << ":" << static_cast<std::int64_t>(at.line());
  return text;
}

}  // namespace detail

/// A cuBLASLt call that failed.
class cublas_error : public std::runtime_error {
 public:
  cublas_error(cublasStatus_t code, const char* call, const std::source_location& where)
      : std::runtime_error(detail::describe(code, call, where).text()),
        code_(code),
        call_(call),
        where_(where) {}

  /// What cuBLASLt said.
  cublasStatus_t code() const noexcept { return code_; }
  /// E.g. "CUBLAS_STATUS_NOT_SUPPORTED".
  const char* name() const noexcept { return cublasLtGetStatusName(code_); }
  /// E.g. "cublasLtMatmul".
  const char* call() const noexcept { return call_; }
  /// The user's call that failed.
  const std::source_location& location() const noexcept { return where_; }

 private:
  cublasStatus_t code_;
  const char* call_;  // a string literal
  std::source_location where_;
};

}  // namespace hence::inline v0

namespace hence::inline v0::cuda {

/// As `check` of CUDA's own errors: throws `cublas_error`, or calls `on_refusal` and aborts.
template <bool Exceptions = hence::detail::exceptions_enabled>
void check(cublasStatus_t code, const char* call,
           const std::source_location& where = std::source_location::current()) {
  if (code == CUBLAS_STATUS_SUCCESS) return;
#if defined(__cpp_exceptions)
  if constexpr (Exceptions) throw cublas_error(code, call, where);
#endif
  if (on_refusal != nullptr) on_refusal(hence::detail::describe(code, call, where).text());
  std::abort();
}

namespace detail {

/// Every array that the library touches begins at such a boundary.
constexpr std::int64_t library_alignment = 16;

/// Storage that cuBLASLt multiplies here. \tparam T float or bf16.
template <class T> inline constexpr cudaDataType_t library_type = CUDA_R_32F;
template <> inline constexpr cudaDataType_t library_type<bf16> = CUDA_R_16BF;

/// A matrix as it is stored: row-major, rows `stride` elements apart. \tparam T storage.
template <class T> struct stored_matrix {
  T* data;
  std::int64_t rows, columns, stride;
  bool is_turned = false;  ///< the product reads its transpose
};

/// C = A B or C += A B, and a bias over C's columns added to each row. \tparam T storage of A, B.
template <class T> struct library_product {
  stored_matrix<const T> a, b;
  stored_matrix<float> c;
  bool accumulates = false, has_bias = false;
  const float* bias = nullptr;  // one float for each column of C
};

/// A product in cuBLASLt's words. It knows matrices by columns, so C^T = B^T A^T is asked for.
/// Nothing is allocated: descriptors lie here.
template <class T> class library_operation {
 public:
  library_operation(const library_product<T>& p, const std::source_location& where)
      : product_(p), where_(where) {
    check(cublasLtMatmulDescInit(&operation_, CUBLAS_COMPUTE_32F, CUDA_R_32F),
          "cublasLtMatmulDescInit", where);
    const auto turn = [](bool turns) { return turns ? CUBLAS_OP_T : CUBLAS_OP_N; };
    set(CUBLASLT_MATMUL_DESC_TRANSA, turn(p.b.is_turned));
    set(CUBLASLT_MATMUL_DESC_TRANSB, turn(p.a.is_turned));
    if (p.has_bias) {
      set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
      set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias);
    }
    describe(left_, p.b), describe(right_, p.a), describe(out_, p.c);
  }

  /// The library's first choice for this shape, which depends on the library and the device alone.
  /// \param bytes of workspace that the product will get.
  cublasLtMatmulAlgo_t choose(cublasLtHandle_t handle, std::int64_t bytes) {
    cublasLtMatmulPreferenceOpaque_t wish;
    check(cublasLtMatmulPreferenceInit(&wish), "cublasLtMatmulPreferenceInit", where_);
    const auto want = [&](cublasLtMatmulPreferenceAttributes_t what, const auto& value) {
      check(cublasLtMatmulPreferenceSetAttribute(&wish, what, &value, sizeof value),
            "cublasLtMatmulPreferenceSetAttribute", where_);
    };
    want(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<std::uint64_t>(bytes));
    want(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(product_.b));
    want(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(product_.a));
    want(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(product_.c));
    want(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(product_.c));
    cublasLtMatmulHeuristicResult_t best{};
    int found = 0;
    check(cublasLtMatmulAlgoGetHeuristic(handle, &operation_, &left_, &right_, &out_, &out_, &wish,
                                         1, &best, &found),
          "cublasLtMatmulAlgoGetHeuristic", where_);
    check(found < 1 ? CUBLAS_STATUS_NOT_SUPPORTED : best.state, "cublasLtMatmulAlgoGetHeuristic",
          where_);
    return best.algo;
  }

  /// Queues the product. \param algorithm of `choose`, for the same shape.
  void queue(cublasLtHandle_t handle, const cublasLtMatmulAlgo_t& algorithm,
             std::span<std::byte> workspace, stream s) {
    const float alpha = 1, beta = product_.accumulates ? 1.0f : 0.0f;
    check(cublasLtMatmul(handle, &operation_, &alpha, product_.b.data, &left_, product_.a.data,
                         &right_, &beta, product_.c.data, &out_, product_.c.data, &out_, &algorithm,
                         workspace.data(), workspace.size(), s),
          "cublasLtMatmul", where_);
  }

 private:
  template <class V> void set(cublasLtMatmulDescAttributes_t what, const V& value) {
    check(cublasLtMatmulDescSetAttribute(&operation_, what, &value, sizeof value),
          "cublasLtMatmulDescSetAttribute", where_);
  }
  template <class V>
  void describe(cublasLtMatrixLayoutOpaque_t& to, const stored_matrix<V>& m) const {
    check(cublasLtMatrixLayoutInit(
              &to, library_type<std::remove_const_t<V>>, static_cast<std::uint64_t>(m.columns),
              static_cast<std::uint64_t>(m.rows), m.rows > 1 ? m.stride : m.columns),
          "cublasLtMatrixLayoutInit", where_);
  }
  /// What is certain of every row's address.
  template <class V> static std::uint32_t alignment_of(const stored_matrix<V>& m) {
    std::int64_t bytes = library_alignment;
    while (m.rows > 1 && m.stride * static_cast<std::int64_t>(sizeof(V)) % bytes != 0) bytes /= 2;
    return static_cast<std::uint32_t>(bytes);
  }

  library_product<T> product_;
  std::source_location where_;
  cublasLtMatmulDescOpaque_t operation_;
  cublasLtMatrixLayoutOpaque_t left_, right_, out_;
};

}  // namespace detail

}  // namespace hence::inline v0::cuda
