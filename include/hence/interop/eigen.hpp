/// \file
/// Eigen beside hence. Towards hence nothing is needed: every view parameter takes Eigen vectors,
/// and
/// `[rows, width]` ones row-major matrices, maps and blocks. This header is the other direction.
#pragma once

#include <hence/core/view.hpp>

#include <Eigen/Core>

namespace hence::inline v0 {

/// An Eigen vector over a rank-1 view's memory, `[n]`.
template <class T> auto as_eigen(view<T, 1> v) {
  using vector = Eigen::Matrix<std::remove_const_t<T>, Eigen::Dynamic, 1>;
  using mapped = std::conditional_t<std::is_const_v<T>, const vector, vector>;
  return Eigen::Map<mapped, 0, Eigen::InnerStride<>>(v.data, v.extent[0],
                                                     Eigen::InnerStride<>(v.stride[0]));
}

/// A row-major Eigen matrix over a rank-2 view's memory, `[rows, columns]`.
template <class T> auto as_eigen(view<T, 2> v) {
  using stride = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;
  using matrix =
      Eigen::Matrix<std::remove_const_t<T>, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using mapped = std::conditional_t<std::is_const_v<T>, const matrix, matrix>;
  return Eigen::Map<mapped, 0, stride>(v.data, v.extent[0], v.extent[1],
                                       stride(v.stride[0], v.stride[1]));
}

}  // namespace hence::inline v0
