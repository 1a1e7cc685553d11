/// \file
/// A lot: as many consecutive groups as a register has lanes of fp32, worked on together. Passes
/// over rewards run along each group; what is known of the groups is computed across them, one per
/// lane, so that a division or a root serves all of them.
///
///               along a group                                 across the groups
///     group 0   r r r r r r r r r r r r r r r r   read       low, high  0 1 2 3 4 5 6 7
///     group 1   r r r r r r r r                   -------->  grid       0 1 2 3 4 5 6 7
///     ...                                         place      mean       0 1 2 3 4 5 6 7
///     group 7   r r r r r r r r r r r r r         <------->  factor     0 1 2 3 4 5 6 7
///               A A A A A A A A A A A A A         write
///                                                 <--------
///
/// Three stages: `read` each group, then `make_grids`; `place` each, then `measure`; `write` each.
#pragma once

#include <hence/policy/advantage_lanes.hpp>
#include <hence/policy/advantage_reference.hpp>

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

/// The size of the groups from the i-th on if a lot of that size is compiled and `many` of them in
/// a row have it, else 0. Fewer are enough at the end.
template <class Isa>
HENCE_FN std::int64_t common_size(const offsets& cu, std::int64_t i, std::int64_t end,
                                  std::int64_t many, const view<const float>& rewards) {
  const std::int64_t n = cu[i + 1] - cu[i], last = end - i < many ? end : i + many;
  if (n != 8 && n != 16 && n != 32 && n != 64) return 0;
  const std::int64_t overhang = n % pack<float, Isa>::lanes;  // whole registers are read
  if (rewards.stride[0] != 1 || cu[last] + overhang > rewards.extent[0]) return 0;
  std::int64_t wrong = 0, row = cu[i];
  for (std::int64_t j = i; j <= last; ++j, row += n) wrong |= cu[j] - row;
  return wrong == 0 ? n : 0;
}

/// What the passes along the groups of a lot leave behind: a register each.
template <class Isa> struct lot_passes {
  static constexpr unsigned groups = static_cast<unsigned>(pack<float, Isa>::lanes);
  pack<float, Isa> low[groups], high[groups], probe;               // of `read`
  typename reward_vectors<Isa>::units x[groups], squares[groups];  // of `place`
};

/// \tparam N the size of every group, or 0 if sizes differ.
template <class Isa, int N> class lot {
 public:
  using V = pack<double, Isa>;
  static constexpr int lanes = V::lanes, groups = pack<float, Isa>::lanes;
  static constexpr std::int64_t capacity = N > 0 ? N* groups : row_writer<Isa>::capacity;  // rows

  /// Takes groups from the i-th on, none if those are not for this kind of lot; returns the one
  /// after them.
  /// \param sorted whether groups of equal size go to lots of that size.
  std::int64_t take(const offsets& cu, std::int64_t i, std::int64_t end,
                    const view<const float>& rewards, bool sorted) {
    taken_ = 0;
    if (i == end || (sorted && common_size<Isa>(cu, i, end, groups, rewards) != N)) return i;
    if constexpr (N == 0) return take_any(cu, i, end, rewards);
    first_ = &rewards[cu[i]];  // no test: as `return` in advantages
    taken_ = static_cast<int>(end - i < groups ? end - i : groups);
    return i + taken_;
  }
  int taken() const { return taken_; }

  /// Finds the least and the largest reward of group j.
  HENCE_FN void read(int j, lot_passes<Isa>& passes) const {
    const float* r = source(j);
    prefetch_rewards(r, size(j), 512);
    extremes<F> found{F(*r), F(*r), F(0.0f)};
    found.template read<N>(r, size(j));
    passes.low[j] = found.low, passes.high[j] = found.high;
    passes.probe = (j > 0 ? passes.probe : F(0.0f)) + found.probe;
  }
  HENCE_FN void make_grids(lot_passes<Isa>& passes) {
    finite_ = !any(passes.probe - passes.probe != F(0.0f));
    repeat_last(passes.low), repeat_last(passes.high);
    fold_rows<groups, groups>(passes.low, [](F a, F b) { return lesser(a, b); }).store(low_);
    fold_rows<groups, groups>(passes.high, [](F a, F b) { return greater(a, b); }).store(high_);
    for (int k = 0; k < groups; k += lanes) {
      const reward_grid<V> grid = grid_of(widen<Isa>(low_ + k), widen<Isa>(high_ + k));
      grid.shift.store(shift_ + k), grid.base.store(base_ + k);
      grid.square.store(square_ + k), grid.unit.store(unit_ + k);
    }
  }

  /// Places the rewards of group j on its grid, and sums. \param y `[capacity]`.
  HENCE_FN void place(int j, double* y, lot_passes<Isa>& passes) const {
    const auto sums = place_lanes<Isa, N>(source(j), y + offset(j), size(j), V(shift_[j]),
                                          V(base_[j]), V(square_[j]));
    passes.x[j] = sums.x, passes.squares[j] = sums.squares;
  }
  /// From the sums to the groups' moments and factors. \return the largest |A|, by lanes.
  template <class Rule>
  HENCE_FN V measure(const Rule& rule, const advantage::batch_moments& batch,
                     lot_passes<Isa>& passes) {
    repeat_last(passes.x), repeat_last(passes.squares);
    V reach = 0.0;
    for (int k = 0; k < groups; k += lanes) reach = greater(measure(rule, batch, passes, k), reach);
    return reach;
  }

  /// Before the first group is written.
  HENCE_FN void open(row_writer<Isa>& out) {
    if constexpr (N > 0) place_ = out.take(N * taken_);
  }
  template <class Rule>
  HENCE_FN status write(const Rule& rule, const advantage::batch_moments& batch, int j,
                        const double* y, row_writer<Isa>& out) const {
    const std::int64_t n = size(j);
    const row_place place = N > 0 ? row_place{place_.to + N * j, place_.past_caches} : out.take(n);
    if (has_singleton_rule<Rule> && N == 0 && n == 1)
      return write_single<float, Isa>(rule, batch, *source(j), *place.to);
    if (!finite_ && write_nan(j, place.to)) return status::non_finite;
    const advantage::moments<V> g{V(count_[j]), V(mu_[j]), V(squares_[j]), V(1.0), batch};
    write_lanes<Isa, N>(rule, source(j), y + offset(j), place, n, V(mean_[j]), g, V(factor_[j]));
    return status::ok;
  }

 private:
  using F = pack<float, Isa>;
  using units = typename reward_vectors<Isa>::units;

  std::int64_t take_any(const offsets& cu, std::int64_t i, std::int64_t end,
                        const view<const float>& rewards) {
    for (std::int64_t used = 0; i < end && taken_ < groups; ++i) {
      const std::int64_t n = cu[i + 1] - cu[i], padded = padded_size<Isa>(n);
      if (used + padded > capacity) break;
      if (n == 0) continue;
      source_[taken_] = contiguous_rewards<Isa>(rewards, cu[i], n, padded, copy_ + used);
      offset_[taken_] = used, size_[taken_] = n;
      ++taken_;
      used += padded;
    }
    if (taken_ > 0) repeat_last(size_);
    return i;
  }

  /// The groups of register k: their moments, means and factors. \return the largest |A| of each.
  template <class Rule>
  HENCE_FN V measure(const Rule& rule, const advantage::batch_moments& batch,
                     const lot_passes<Isa>& passes, int k) {
    const reward_grid<V> grid{V::load(shift_ + k), V::load(base_ + k), V::load(square_ + k),
                              V::load(unit_ + k)};
    units sizes = units{} + static_cast<std::uint64_t>(N);
    if constexpr (N == 0) __builtin_memcpy(&sizes, size_ + k, sizeof(sizes));
    const V sum = units_above(grid.base, sizes, passes.x + k);
    const V squares =
        reads_squares<Rule> ? units_above(grid.square, sizes, passes.squares + k) : V(0.0);
    V mean;
    const auto g =
        moments_of(grid, as_number(sizes), sum, squares, reads_squares<Rule>, mean, batch);
    const V factor = factor_of(rule, g);
    mean.store(mean_ + k), factor.store(factor_ + k);
    g.count.store(count_ + k), g.mean.store(mu_ + k), g.squares.store(squares_ + k);
    const auto advantage_of = [&](V r) {
      return abs(centre(rule, r, ((r + grid.shift) - grid.base) - mean, g) * factor);
    };
    return greater(advantage_of(widen<Isa>(low_ + k)), advantage_of(widen<Isa>(high_ + k)));
  }
  /// The groups' sums in units, from sums of bits: less those of `base`, once per term.
  static HENCE_FN V units_above(V base, units sizes, const units* sums) {
    return as_number(fold_rows<lanes, lanes>(sums, [](units a, units b) { return a + b; }) -
                     sizes * (units)base.v);
  }
  static HENCE_FN V as_number(units n) {
    return V(__builtin_convertvector((typename reward_vectors<Isa>::ints)n, typename V::vector));
  }

  /// All of group j, if one of its rewards is not finite.
  [[gnu::cold, gnu::noinline]] bool write_nan(int j, float* to) const {
    if (all_finite<Isa>(view<const float>(source(j), size(j)), 0, size(j))) return false;
    for (std::int64_t i = 0; i < size(j); ++i) to[i] = __builtin_nanf("");
    return true;
  }
  /// Lanes without a group repeat the last one.
  template <class T> HENCE_FN void repeat_last(T* of_groups) const {
    for (int j = taken_; j < groups; ++j) of_groups[j] = of_groups[taken_ - 1];
  }
  HENCE_FN const float* source(int j) const { return N > 0 ? first_ + N * j : source_[j]; }
  HENCE_FN std::int64_t offset(int j) const { return N > 0 ? N * j : offset_[j]; }
  HENCE_FN std::int64_t size(int j) const { return N > 0 ? N : size_[j]; }

  static constexpr unsigned places = static_cast<unsigned>(groups);
  int taken_ = 0;
  bool finite_ = true;
  row_place place_;
  const float* first_ = nullptr;  // of groups of size N; the others are listed
  const float* source_[places];
  std::int64_t offset_[places];
  alignas(64) std::int64_t size_[places];
  alignas(64) float low_[places], high_[places];
  alignas(64) double shift_[places], base_[places], square_[places], unit_[places];
  alignas(64) double mean_[places], factor_[places], count_[places], mu_[places], squares_[places];
  alignas(64) float copy_[N > 0 ? 1 : row_writer<Isa>::capacity];
};

}  // namespace hence::inline v0::detail
