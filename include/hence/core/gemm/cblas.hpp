/// \file
/// `gemm::cblas`: the matrix product by a BLAS with the C interface (OpenBLAS, MKL, BLIS; Debian:
/// libopenblas-dev). Include it and link the library; hence itself does neither.
///
/// Its bits depend on the library, its threads, the processor and the shapes; error about
/// k 2^-24 sum |a b|. How many threads it takes is the library's own setting
/// (OPENBLAS_NUM_THREADS): one, where hence's executor has a pool.
#pragma once

#include <hence/core/gemm/leading.hpp>

#include <cblas.h>

namespace hence::inline v0::gemm {

/// A `backend`; A and B have a stride of 1. \tparam Isa keeps translation units apart.
template <class Isa = native_isa> struct cblas_on {
  static constexpr std::int64_t scratch_floats = 0;

  void operator()(view<const float, 2> a, view<const float, 2> b, view<float, 2> c, update u,
                  float*) const {
    detail::check_product(a.extent, b.extent, c.extent, c.stride[1]);
    const auto left = detail::leading_of("A", a), right = detail::leading_of("B", b);
    const auto out = detail::leading_of("C", c);
    for (const std::int64_t n :
         {c.extent[0], c.extent[1], a.extent[1], left.leading, right.leading, out.leading})
      if (n > 0x7fffffff)
        detail::refuse(detail::message() << "hence: gemm::cblas: an extent or a stride is " << n
                                         << ", expected at most 2^31 - 1");
    if (detail::is_empty_product(c, a.extent[1], u)) return;
    const auto order = [](const detail::leading_layout& m) {
      return m.by_columns ? CblasTrans : CblasNoTrans;
    };
    const auto size = [](std::int64_t n) { return static_cast<int>(n); };
    cblas_sgemm(CblasRowMajor, order(left), order(right), size(c.extent[0]), size(c.extent[1]),
                size(a.extent[1]), 1.0f, a.data, size(left.leading), b.data, size(right.leading),
                u == update::accumulate ? 1.0f : 0.0f, c.data, size(out.leading));
  }
};
/// The usual one.
using cblas = cblas_on<>;

}  // namespace hence::inline v0::gemm
