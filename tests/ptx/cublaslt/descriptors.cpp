// Descriptors, and the choice of an algorithm. What is not known is refused by name.
#include "problem.hpp"

#include "../runtime/guest.hpp"

using namespace standin;

namespace {

constexpr auto ok = CUBLAS_STATUS_SUCCESS, invalid = CUBLAS_STATUS_INVALID_VALUE;

cublasStatus_t lacks(const std::string& what) {
  hence_ptx_lacks(("cuBLASLt's " + what).c_str());
  return CUBLAS_STATUS_NOT_SUPPORTED;
}
template <class V> cublasStatus_t assign(V& to, const void* from, std::size_t size) {
  if (from == nullptr || size != sizeof(V)) return invalid;
  std::memcpy(&to, from, size);
  return ok;
}
/// Changes what an opaque struct holds by f, if it was made.
template <class T, class Opaque, class F> cublasStatus_t change(Opaque* of, F&& f) {
  if (of == nullptr || read<T>(of).made != T::number) return invalid;
  T t = read<T>(of);
  const cublasStatus_t s = f(t);
  if (s == ok) write(of, t);
  return s;
}
template <class T, class Opaque> cublasStatus_t make(Opaque* to, std::size_t size, const T& t) {
  if (to == nullptr || size < sizeof(Opaque)) return CUBLAS_STATUS_ALLOC_FAILED;
  write(to, t);
  return ok;
}

}  // namespace

namespace standin {

cublasStatus_t problem::check() const {
  if (what.made != operation::number) return invalid;
  for (const layout* l : {&a, &b, &c, &d}) {
    if (l->made != layout::number || l->rows == 0 || l->columns == 0) return invalid;
    const auto run = l->order == CUBLASLT_ORDER_ROW ? l->columns : l->rows;
    if (l->ld < 0 || static_cast<std::uint64_t>(l->ld) < run) return invalid;
  }
  const bool turns_a = what.op_a == CUBLAS_OP_T, turns_b = what.op_b == CUBLAS_OP_T;
  const auto m = turns_a ? a.columns : a.rows, k = turns_a ? a.rows : a.columns;
  const auto of_b = turns_b ? b.columns : b.rows, n = turns_b ? b.rows : b.columns;
  if (of_b != k || c.rows != m || c.columns != n || d.rows != m || d.columns != n) return invalid;
  if (c.type != d.type || a.type != b.type) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (what.compute != CUBLAS_COMPUTE_32F || what.scale != CUDA_R_32F)
    return lacks("compute type " + std::to_string(what.compute));
  if ((a.type != CUDA_R_32F && a.type != CUDA_R_16BF) || c.type != CUDA_R_32F)
    return lacks("data types " + std::to_string(a.type) + " to " + std::to_string(c.type));
  if (what.epilogue == CUBLASLT_EPILOGUE_BIAS && what.bias == nullptr &&
      what.pointer_mode != CUBLASLT_POINTER_MODE_HOST)
    return invalid;
  return ok;
}

std::uint64_t problem::hash() const {
  std::uint64_t h = 1469598103934665603u;
  const auto add = [&](std::uint64_t x) { h = (h ^ x) * 1099511628211u; };
  add(static_cast<std::uint64_t>(what.op_a)), add(static_cast<std::uint64_t>(what.op_b));
  add(what.epilogue);
  for (const layout* l : {&a, &b, &c, &d}) {
    add(l->type), add(static_cast<std::uint64_t>(l->order)), add(l->rows), add(l->columns);
    add(static_cast<std::uint64_t>(l->ld));
  }
  return h;
}

}  // namespace standin

extern "C" {

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  *handle = reinterpret_cast<cublasLtHandle_t>(new char);
  return ok;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete reinterpret_cast<char*>(handle);
  return ok;
}

cublasStatus_t cublasLtMatmulDescInit_internal(cublasLtMatmulDesc_t to, std::size_t size,
                                               cublasComputeType_t compute, cudaDataType_t scale) {
  operation what;
  what.compute = compute, what.scale = scale;
  return make(to, size, what);
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t of,
                                              cublasLtMatmulDescAttributes_t which,
                                              const void* from, std::size_t size) {
  return change<operation>(of, [&](operation& what) {
    switch (which) {
      case CUBLASLT_MATMUL_DESC_TRANSA:
      case CUBLASLT_MATMUL_DESC_TRANSB: {
        std::int32_t& op = which == CUBLASLT_MATMUL_DESC_TRANSA ? what.op_a : what.op_b;
        const cublasStatus_t s = assign(op, from, size);
        return s != ok || op == CUBLAS_OP_N || op == CUBLAS_OP_T ? s : lacks("operation C");
      }
      case CUBLASLT_MATMUL_DESC_EPILOGUE: {
        const cublasStatus_t s = assign(what.epilogue, from, size);
        return s != ok || what.epilogue == CUBLASLT_EPILOGUE_DEFAULT ||
                       what.epilogue == CUBLASLT_EPILOGUE_BIAS
                   ? s
                   : lacks("epilogue " + std::to_string(what.epilogue));
      }
      case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
        return assign(what.bias, from, size);
      case CUBLASLT_MATMUL_DESC_POINTER_MODE: {
        const cublasStatus_t s = assign(what.pointer_mode, from, size);
        return s != ok || what.pointer_mode == CUBLASLT_POINTER_MODE_HOST
                   ? s
                   : lacks("pointer mode " + std::to_string(what.pointer_mode));
      }
      default:
        return lacks("attribute " + std::to_string(which) + " of an operation");
    }
  });
}

cublasStatus_t cublasLtMatrixLayoutInit_internal(cublasLtMatrixLayout_t to, std::size_t size,
                                                 cudaDataType type, std::uint64_t rows,
                                                 std::uint64_t columns, std::int64_t ld) {
  layout l;
  l.type = type, l.rows = rows, l.columns = columns, l.ld = ld;
  return make(to, size, l);
}
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t of,
                                                cublasLtMatrixLayoutAttribute_t which,
                                                const void* from, std::size_t size) {
  return change<layout>(of, [&](layout& l) {
    if (which != CUBLASLT_MATRIX_LAYOUT_ORDER)
      return lacks("attribute " + std::to_string(which) + " of a layout");
    const cublasStatus_t s = assign(l.order, from, size);
    return s != ok || l.order == CUBLASLT_ORDER_COL || l.order == CUBLASLT_ORDER_ROW
               ? s
               : lacks("order " + std::to_string(l.order));
  });
}

cublasStatus_t cublasLtMatmulPreferenceInit_internal(cublasLtMatmulPreference_t to,
                                                     std::size_t size) {
  return make(to, size, preference());
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t of,
                                                    cublasLtMatmulPreferenceAttributes_t which,
                                                    const void* from, std::size_t size) {
  return change<preference>(of, [&](preference& p) {
    switch (which) {
      case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
        return assign(p.workspace, from, size);
      case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
      case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
      case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
      case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
        return assign(p.alignment[which - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES], from, size);
      default:
        return lacks("preference " + std::to_string(which));
    }
  });
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t what,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t wish, int wanted,
                                              cublasLtMatmulHeuristicResult_t* out, int* found) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (wanted < 1) return invalid;
  const problem p{read<operation>(what), read<layout>(a), read<layout>(b), read<layout>(c),
                  read<layout>(d)};
  const auto w = read<preference>(wish);
  if (w.made != preference::number) return invalid;
  if (const cublasStatus_t s = p.check(); s != ok) return s;
  algorithm best;
  std::memcpy(best.alignment, w.alignment, sizeof best.alignment);
  best.problem = p.hash();
  best.workspace = w.workspace < 4096 ? w.workspace : 4096;  // some, so that it is given
  out[0] = {};
  write(&out[0].algo, best);
  out[0].workspaceSize = best.workspace, out[0].state = ok, out[0].wavesCount = 1;
  *found = 1;
  return ok;
}

const char* cublasLtGetStatusName(cublasStatus_t s) {
  switch (s) {
    case CUBLAS_STATUS_SUCCESS:
      return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_ALLOC_FAILED:
      return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
    default:
      return "CUBLAS_STATUS_INTERNAL_ERROR";
  }
}
const char* cublasLtGetStatusString(cublasStatus_t s) { return cublasLtGetStatusName(s); }

}  // extern "C"
