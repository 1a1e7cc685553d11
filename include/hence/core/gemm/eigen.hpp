/// \file
/// `gemm::eigen`: the matrix product by Eigen. Its bits depend on Eigen's version, the instruction
/// set and the shapes; error about k 2^-24 sum |a b|.
#pragma once

#include <hence/core/gemm/product.hpp>

#include <Eigen/Core>

namespace hence::inline v0::gemm {

/// A `backend`. \tparam Isa keeps translation units apart.
template <class Isa = native_isa> struct eigen_on {
  static constexpr std::int64_t scratch_floats = 0;

  void operator()(view<const float, 2> a, view<const float, 2> b, view<float, 2> c, update u,
                  float*) const {
    detail::check_product(a.extent, b.extent, c.extent, c.stride[1]);
    // Eigen's fast path needs to know which stride is 1.
    with_order(a, [&](const auto& left) {
      with_order(b, [&](const auto& right) {
        using rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
        Eigen::Map<rows, 0, Eigen::OuterStride<>> out(c.data, c.extent[0], c.extent[1],
                                                      Eigen::OuterStride<>(c.stride[0]));
        if (u == update::accumulate)
          out.noalias() += left * right;
        else
          out.noalias() = left * right;
      });
    });
  }

 private:
  template <class F> static void with_order(const view<const float, 2>& m, F&& f) {
    using Eigen::Dynamic;
    if (m.stride[1] == 1)
      f(Eigen::Map<const Eigen::Matrix<float, Dynamic, Dynamic, Eigen::RowMajor>, 0,
                   Eigen::OuterStride<>>(m.data, m.extent[0], m.extent[1],
                                         Eigen::OuterStride<>(m.stride[0])));
    else if (m.stride[0] == 1)
      f(Eigen::Map<const Eigen::Matrix<float, Dynamic, Dynamic>, 0, Eigen::OuterStride<>>(
          m.data, m.extent[0], m.extent[1], Eigen::OuterStride<>(m.stride[1])));
    else
      f(Eigen::Map<const Eigen::Matrix<float, Dynamic, Dynamic>, 0,
                   Eigen::Stride<Dynamic, Dynamic>>(
          m.data, m.extent[0], m.extent[1],
          Eigen::Stride<Dynamic, Dynamic>(m.stride[1], m.stride[0])));
  }
};
/// The one for the instruction set of this translation unit.
using eigen = eigen_on<>;

}  // namespace hence::inline v0::gemm
