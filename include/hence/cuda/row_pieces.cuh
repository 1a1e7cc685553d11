/// \file
/// Rows cut into pieces of columns, a block each: the grid of a kernel that writes rows, whose
/// columns do not depend on each other.
#pragma once

#include <hence/core/config.hpp>

#include <cstdint>

namespace hence::inline v0::cuda::detail {

/// Columns [begin, end) of a row.
struct row_piece {
  std::int64_t row, begin, end;
};

/// All pieces of all rows, those of a row side by side.
struct row_pieces {
  std::int64_t rows, columns, size;  // of a piece, but for a row's last one

  HENCE_FN std::int64_t of_row() const { return (columns + size - 1) / size; }
  HENCE_FN std::int64_t count() const { return rows * of_row(); }
  HENCE_FN row_piece operator[](std::int64_t p) const {
    const std::int64_t begin = p % of_row() * size, rest = columns - begin;
    return {p / of_row(), begin, begin + (rest < size ? rest : size)};
  }
};

}  // namespace hence::inline v0::cuda::detail
