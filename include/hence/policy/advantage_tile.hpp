/// \file
/// Group advantages with packs, a tile of groups at a time. Passes over rewards run along a group;
/// what is known of the groups is computed across them, one per lane. Sizes may differ within a
/// tile.
#pragma once

#include <hence/policy/advantage_lanes.hpp>
#include <hence/policy/advantage_reference.hpp>
#include <hence/policy/advantage_writer.hpp>

namespace hence::inline v0::detail {

/// n rewards as contiguous, readable whole registers: in place, or copied to `copy`.
template <class Isa>
[[gnu::noinline]] const float* copied_rewards(const view<const float>& rewards, std::int64_t begin,
                                              std::int64_t n, std::int64_t padded, float* copy) {
  for (std::int64_t i = 0; i < n; ++i) copy[i] = rewards[begin + i];
  for (std::int64_t i = n; i < padded; ++i) copy[i] = 0.0f;
  return copy;
}
template <class Isa>
HENCE_FN const float* contiguous_rewards(const view<const float>& rewards, std::int64_t begin,
                                         std::int64_t n, std::int64_t padded, float* copy) {
  if (rewards.stride[0] == 1 && begin + padded <= rewards.extent[0]) return rewards.data + begin;
  return copied_rewards<Isa>(rewards, begin, n, padded, copy);
}
/// n rounded up to whole registers of floats.
template <class Isa> HENCE_FN constexpr std::int64_t padded_size(std::int64_t n) {
  return (n + pack<float, Isa>::lanes - 1) & -std::int64_t{pack<float, Isa>::lanes};
}

/// Up to `slots` consecutive groups and their rewards in float64; about 36 KiB.
template <class Isa> class group_tile {
 public:
  using V = pack<double, Isa>;
  using F = pack<float, Isa>;
  using units = typename reward_vectors<Isa>::units;
  static constexpr int lanes = V::lanes;
  static constexpr int slots = 4 * lanes;  // so many divisions at a time hide their latency
  static constexpr unsigned capacity = row_writer<Isa>::capacity;

  /// Takes as many groups from the i-th on as fit; returns the one after them.
  std::int64_t fill(const offsets& cu, std::int64_t i, std::int64_t end,
                    const view<const float>& rewards) {
    const std::int64_t ahead = end - i < slots ? end - i : slots;
    std::int64_t rows[places + 1];
    for (std::int64_t j = 0; j <= ahead; ++j) rows[j] = cu[i + j];
    used_ = 0, taken_ = 0;
    const std::int64_t n = rows[1] - rows[0];
    equal_ = n == 8 || n == 16 || n == 32 || n == 64 ? n : 0;
    if (rewards.stride[0] != 1 || rows[ahead] + (n % F::lanes) > rewards.extent[0]) equal_ = 0;
    for (std::int64_t j = 0; j < ahead; ++j)
      if (rows[j + 1] - rows[j] != n) equal_ = 0;
    if (equal_ > 0 && ahead * n <= std::int64_t{capacity}) {
      first_ = &rewards[rows[0]];
      taken_ = static_cast<int>(ahead);
      used_ = ahead * n;
      return i + ahead;
    }
    equal_ = 0;
    std::int64_t j = 0;
    for (; j < ahead; ++j) {
      const std::int64_t size = rows[j + 1] - rows[j], room = padded_size<Isa>(size);
      if (used_ + room > std::int64_t{capacity}) break;
      if (size == 0) continue;
      put(taken_++, contiguous_rewards<Isa>(rewards, rows[j], size, room, copy_ + used_), used_,
          size);
      used_ += room;
    }
    for (int k = taken_; k % lanes != 0; ++k) size_[k] = size_[taken_ - 1];  // of idle lanes
    return i + j;
  }
  int taken() const { return taken_; }

  /// Writes the advantages of these groups.
  template <class Rule> status run(const Rule& rule, row_writer<Isa>& out) {
    switch (equal_) {
      case 8:
        return run_sized<8>(rule, out);
      case 16:
        return run_sized<16>(rule, out);
      case 32:
        return run_sized<32>(rule, out);
      case 64:
        return run_sized<64>(rule, out);
      default:
        return run_sized<0>(rule, out);
    }
  }

 private:
  /// \tparam N the size of every group if they are equal, else 0.
  template <int N, class Rule>
  [[gnu::noinline]] status run_sized(const Rule& rule, row_writer<Isa>& out) {
    const int used = (taken_ + lanes - 1) & -lanes;
    const bool finite = find_extremes<N>(used);
    for (int k = 0; k < used; k += lanes) make_grids(k);
    for (int j = 0; j < taken_; ++j) {
      const auto sums = place_lanes<Isa, N>(source<N>(j), y_ + offset<N>(j), size<N>(j),
                                            V(shift_[j]), V(base_[j]), V(square_[j]), used_);
      x_sums_[j] = sums.x, square_sums_[j] = sums.squares;
      out.drain(size<N>(j));
    }
    for (int j = taken_; j < used; ++j)  // idle lanes repeat the last group
      x_sums_[j] = x_sums_[taken_ - 1], square_sums_[j] = square_sums_[taken_ - 1];
    out.settle();
    V reach = 0.0;
    status found = status::ok;
    for (int k = 0; k < used;
         k += lanes) {  // the divisions of one register pass while another is written
      measure<N>(rule, k, reach);
      if (k > 0) found |= write<N>(rule, k - lanes, k, finite, out);
    }
    found |= write<N>(rule, used - lanes, taken_, finite, out);
    // a double of 2^128 - 2^103 and more rounds to an infinite float
    return any(reach >= V(0x1.ffffffp127)) ? found | status::non_finite : found;
  }

  /// To low_ and high_; false if a reward may not be finite.
  template <int N> HENCE_FN bool find_extremes(int used) {
    F probe = 0.0f;
    for (int j = 0; j < taken_; ++j) {
      const float* r = source<N>(j);
      extremes<F> found{F(*r), F(*r), F(0.0f)};
      found.template read<N>(r, size<N>(j));
      lows_[j] = found.low, highs_[j] = found.high;
      probe = probe + found.probe;
    }
    for (int j = taken_; j < used; ++j)
      lows_[j] = lows_[taken_ - 1], highs_[j] = highs_[taken_ - 1];
    return !any(probe - probe != F(0.0f));
  }

  HENCE_FN void make_grids(int k) {
    const V low = fold_halves(lows_ + k, [](auto a, auto b) { return lesser(a, b); });
    const V high = fold_halves(highs_ + k, [](auto a, auto b) { return greater(a, b); });
    const reward_grid<V> grid = grid_of(low, high);
    low.store(low_ + k), high.store(high_ + k);
    grid.shift.store(shift_ + k), grid.base.store(base_ + k);
    grid.square.store(square_ + k), grid.unit.store(unit_ + k);
  }

  /// Moments, means and factors of the groups of one register; reach becomes the largest |A| so
  /// far.
  template <int N, class Rule> HENCE_FN void measure(const Rule& rule, int k, V& reach) {
    constexpr bool reads_squares = std::remove_cvref_t<decltype(rule.scale)>::reads_squares;
    const reward_grid<V> grid{V::load(shift_ + k), V::load(base_ + k), V::load(square_ + k),
                              V::load(unit_ + k)};
    units sizes = units{} + static_cast<std::uint64_t>(N);
    if constexpr (N == 0) __builtin_memcpy(&sizes, size_ + k, sizeof(sizes));
    const V count = N > 0 ? V(static_cast<double>(N)) : as_number(sizes);
    const V squares = reads_squares ? units_above(grid.square, sizes, square_sums_ + k) : V(0.0);
    V mean;
    const auto g = moments_of(grid, count, units_above(grid.base, sizes, x_sums_ + k), squares,
                              reads_squares, mean);
    const V factor = rule.scale(g);
    for (const double* end : {low_ + k, high_ + k})
      reach = greater(
          abs(rule.baseline(((V::load(end) + grid.shift) - grid.base) - mean, g) * factor), reach);
    mean.store(mean_ + k), factor.store(factor_ + k);
    g.count.store(count_ + k), g.mean.store(mu_ + k), g.squares.store(squares_ + k);
  }

  /// Groups [begin, end) of the tile.
  template <int N, class Rule>
  HENCE_FN status write(const Rule& rule, int begin, int end, bool finite, row_writer<Isa>& out) {
    status found = status::ok;
    if (N > 0 && finite) {
      float* to = out.take(N * (end - begin));
      for (int j = begin; j < end; ++j, to += N) write_group<N>(rule, j, to);
      return found;
    }
    for (int j = begin; j < end; ++j) {
      const std::int64_t n = size<N>(j);
      const float* r = source<N>(j);
      float* to = out.take(n);
      if (n == 1) {
        found |= write_single<float, Isa>(rule, *r, *to);
      } else if (!finite && !all_finite<Isa>(view<const float>(r, n), 0, n)) {
        for (std::int64_t i = 0; i < n; ++i) to[i] = __builtin_nanf("");
        found |= status::non_finite;
      } else {
        write_group<N>(rule, j, to);
      }
    }
    return found;
  }
  template <int N, class Rule> HENCE_FN void write_group(const Rule& rule, int j, float* to) {
    const advantage::moments<V> g{V(count_[j]), V(mu_[j]), V(squares_[j]), V(1.0)};
    write_lanes<Isa, N>(rule, y_ + offset<N>(j), to, size<N>(j), V(mean_[j]), g, V(factor_[j]));
  }

  /// Lane j of the result is op over row j.
  template <class Op> static HENCE_FN V fold_halves(const F* rows, Op op) {
    alignas(64) float both[static_cast<unsigned>(F::lanes)];
    fold_rows<F::lanes, lanes>(rows, op).store(both);
    return op(widen<Isa>(both), widen<Isa>(both + lanes));
  }
  static HENCE_FN V as_number(units n) {
    return V(__builtin_convertvector((typename reward_vectors<Isa>::ints)n, typename V::vector));
  }
  /// The groups' sums in units, from sums of bits: less those of `base`, once per term.
  static HENCE_FN V units_above(V base, units sizes, const units* sums) {
    return as_number(fold_rows<lanes, lanes>(sums, [](units a, units b) { return a + b; }) -
                     sizes * (units)base.v);
  }

  void put(int j, const float* source, std::int64_t offset, std::int64_t size) {
    source_[j] = source, offset_[j] = offset, size_[j] = size;
  }
  template <int N> HENCE_FN const float* source(int j) const {
    return N > 0 ? first_ + N * j : source_[j];
  }
  template <int N> HENCE_FN std::int64_t offset(int j) const { return N > 0 ? N * j : offset_[j]; }
  template <int N> HENCE_FN std::int64_t size(int j) const { return N > 0 ? N : size_[j]; }

  static constexpr unsigned places = static_cast<unsigned>(slots);
  std::int64_t used_ = 0, equal_ = 0;
  int taken_ = 0;
  const float* first_ = nullptr;  // of groups of equal size; the others are listed
  const float* source_[places];
  std::int64_t offset_[places];
  alignas(64) std::int64_t size_[places];
  alignas(64) double low_[places], high_[places], shift_[places], base_[places], square_[places],
      unit_[places];
  alignas(64) double mean_[places], factor_[places], count_[places], mu_[places], squares_[places];
  F lows_[places], highs_[places];
  units x_sums_[places], square_sums_[places];
  alignas(64) double y_[capacity];
  alignas(64) float copy_[capacity];
};

}  // namespace hence::inline v0::detail
