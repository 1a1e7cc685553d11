/// \file
/// What a choice of tokens by experts counts, and to what token rounding rounds.
#pragma once

#include <hence/core/config.hpp>

#include <concepts>
#include <cstdint>

namespace hence::inline v0::moe {

/// What a choice did; integers, which add up over calls.
struct choice_counts {
  std::int64_t rows = 0;           ///< valid rows
  std::int64_t nan_rows = 0;       ///< of these, with a NaN logit
  std::int64_t infinite_rows = 0;  ///< with a +inf logit: not taken
  std::int64_t untaken_rows = 0;   ///< valid rows without an expert
  std::int64_t taken = 0;          ///< slots filled
  std::int64_t dropped = 0;        ///< taken too often for the slots of their token
  std::int64_t added = 0;          ///< by rounding: pairs beyond the given ids
  std::int64_t removed = 0;        ///< by rounding: given pairs that were left out

  // written out, since an implicit one would be shared by differently compiled translation units
  HENCE_FN choice_counts() {}
  HENCE_FN choice_counts& operator+=(const choice_counts& o) {
    rows += o.rows, nan_rows += o.nan_rows, infinite_rows += o.infinite_rows;
    untaken_rows += o.untaken_rows, taken += o.taken, dropped += o.dropped;
    added += o.added, removed += o.removed;
    return *this;
  }
};

// What a count of tokens is rounded to. Where there are too few tokens to take, down.

/// The next multiple below: tokens are only left out.
struct round_down {
  HENCE_FN std::int64_t operator()(std::int64_t n, std::int64_t tile) const {
    return n / tile * tile;
  }
};
/// The next multiple above: tokens are only added.
struct round_up {
  HENCE_FN std::int64_t operator()(std::int64_t n, std::int64_t tile) const {
    return (n + tile - 1) / tile * tile;
  }
};
/// The nearest multiple, halves up.
struct round_nearest {
  HENCE_FN std::int64_t operator()(std::int64_t n, std::int64_t tile) const {
    return (n + tile / 2) / tile * tile;
  }
};

/// Whether a number is a rule of rounding.
template <class R>
concept token_rounding =
    std::same_as<R, round_down> || std::same_as<R, round_up> || std::same_as<R, round_nearest>;

}  // namespace hence::inline v0::moe
