// What the stand-in for cuBLASLt keeps in the library's opaque structs, and a product as a whole.
#pragma once

#include <cublasLt.h>

#include <cstdint>
#include <cstring>
#include <string>

namespace standin {

// Each begins with a number of its own, so that what was never made is found.
struct operation {
  static constexpr std::uint32_t number = 0x68656f70;
  std::uint32_t made = number;
  cublasComputeType_t compute{};
  cudaDataType_t scale{};
  std::int32_t pointer_mode = CUBLASLT_POINTER_MODE_HOST;
  std::int32_t op_a = CUBLAS_OP_N, op_b = CUBLAS_OP_N;
  std::uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const void* bias = nullptr;
};
struct layout {
  static constexpr std::uint32_t number = 0x68656c61;
  std::uint32_t made = number;
  cudaDataType_t type{};
  std::int32_t order = CUBLASLT_ORDER_COL;
  std::uint64_t rows{}, columns{};
  std::int64_t ld{};
};
struct preference {
  static constexpr std::uint32_t number = 0x68657072;
  std::uint32_t made = number;
  std::uint32_t alignment[4] = {256, 256, 256, 256};  // of A, B, C, D
  std::uint64_t workspace = 0;
};
struct algorithm {
  static constexpr std::uint32_t number = 0x6865616c;
  std::uint32_t made = number;
  std::uint32_t alignment[4]{};
  std::uint64_t problem = 0, workspace = 0;  // what it was chosen for, what it needs
};
static_assert(sizeof(operation) <= sizeof(cublasLtMatmulDescOpaque_t));
static_assert(sizeof(layout) <= sizeof(cublasLtMatrixLayoutOpaque_t));
static_assert(sizeof(preference) <= sizeof(cublasLtMatmulPreferenceOpaque_t));
static_assert(sizeof(algorithm) <= sizeof(cublasLtMatmulAlgo_t));

template <class T, class Opaque> T read(const Opaque* from) {
  T t;
  std::memcpy(static_cast<void*>(&t), from, sizeof t);
  return t;
}
template <class T, class Opaque> void write(Opaque* to, const T& t) {
  std::memset(to, 0, sizeof *to);
  std::memcpy(to, &t, sizeof t);
}

/// D = alpha op(A) op(B) + beta C, then a bias over D's rows.
struct problem {
  operation what;
  layout a, b, c, d;

  /// Whether the library has it; else `status` tells, and a message goes out if only the stand-in
  /// lacks it.
  cublasStatus_t check() const;
  /// The same for the same shapes, strides, types and operations.
  std::uint64_t hash() const;
};

}  // namespace standin
