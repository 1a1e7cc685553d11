/// \file
/// A matrix as libraries of linear algebra take it: stored by rows or, transposed, by columns, with
/// a leading dimension.
#pragma once

#include <hence/core/gemm/product.hpp>

namespace hence::inline v0::detail {

/// Where element (i, k) lies: i leading + k, or i + k leading if `by_columns`.
struct leading_layout {
  bool by_columns;
  std::int64_t leading;
};

/// Refuses a matrix without a stride of 1, or whose rows (columns) overlap.
/// \param name of the operand in the message.
template <class T>
[[gnu::always_inline]] inline leading_layout leading_of(const char* name, const view<T, 2>& m) {
  const std::int64_t rows = m.extent[0], columns = m.extent[1];
  const bool by_rows = columns < 2 || m.stride[1] == 1;
  const std::int64_t inner = by_rows ? columns : rows, outer = by_rows ? rows : columns;
  const std::int64_t step = by_rows ? m.stride[0] : m.stride[1];
  const std::int64_t least = inner > 1 ? inner : 1;
  if (inner > 0 && outer > 0 &&
      ((!by_rows && rows > 1 && m.stride[0] != 1) || (outer > 1 && step < least)))
    refuse(message() << "hence: gemm: " << name << " is [" << rows << ", " << columns
                     << "] with strides " << m.stride[0] << ", " << m.stride[1]
                     << ", expected one of 1 and the other at least the rows' or columns' length");
  return {!by_rows, outer > 1 && step > least ? step : least};
}

/// C = 0 for a product over nothing; \return whether there is nothing to multiply.
template <class Isa = native_isa>
bool is_empty_product(const view<float, 2>& c, std::int64_t depth, update u) {
  for (std::int64_t i = 0; depth == 0 && u == update::overwrite && i < c.extent[0]; ++i)
    for (std::int64_t j = 0; j < c.extent[1]; ++j) c(i, j) = 0;
  return depth == 0 || c.extent[0] == 0 || c.extent[1] == 0;
}

}  // namespace hence::inline v0::detail
