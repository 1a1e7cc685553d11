/// \file
/// The sums behind group advantages, free of any order: of rows in a group, of lanes, of threads.
///
/// fp32 rewards are placed, in float64, on a grid made from the group's own range: with c the power
/// of two above max - min and m the middle of the range, x = r + (1.5 c - m) lies in [c, 2c], where
/// doubles are q = 2^-52 c apart. The bits of x, read as a whole number, count units of q, and
/// whole numbers add up exactly. Likewise y^2 + c^2/4 in [c^2/4, c^2/2], y = x - 1.5 c. A placed
/// reward is off by q/2 at most, a square by 2^-55 c^2. In a constant group every y is 0.
///
/// The middle is within max - min of the mean, so sum (y - mean)^2 = sum y^2 - (sum y)^2/G loses at
/// most log2(G/2) bits of the 53.
#pragma once

#include <hence/core/execute.hpp>
#include <hence/core/sum.hpp>
#include <hence/policy/advantage_rule.hpp>

namespace hence::inline v0::detail {

template <class Isa> HENCE_FN constexpr std::uint64_t bits_of(num<double, Isa> x) {
  return __builtin_bit_cast(std::uint64_t, x.v);
}
/// The power of two just above x >= 0; 2^-1022 for 0.
template <class Isa> HENCE_FN constexpr num<double, Isa> power_above(num<double, Isa> x) {
  return {__builtin_bit_cast(double, (bits_of(x) & 0x7ff0000000000000u) + 0x0010000000000000u)};
}
template <class Isa> HENCE_FN pack<double, Isa> power_above(pack<double, Isa> x) {
  typedef std::uint64_t units __attribute__((vector_size(register_bytes<Isa>)));
  const units bits = ((units)x.v & 0x7ff0000000000000u) + 0x0010000000000000u;
  return {(typename pack<double, Isa>::vector)bits};
}

/// A group's grid. \tparam V `num<double>`, or `pack<double>` with one group per lane.
template <class V> struct reward_grid {
  V shift;   ///< x = r + shift
  V base;    ///< y = x - base
  V square;  ///< added to y^2
  V unit;    ///< of x; that of squares is square 2^-52
};
template <class V> HENCE_FN reward_grid<V> grid_of(V low, V high) {
  const V spread = high - low;
  const V c = power_above(select(spread > V(0.0), spread, abs(low)));
  const V base = c * V(1.5), half = c * V(0.5);
  return {base - (low + spread * V(0.5)), base, half * half, c * V(0x1p-52)};
}
/// \param sum, squares of a group in units. \param reads_squares whether they are asked for.
template <class V>
HENCE_FN advantage::moments<V> moments_of(const reward_grid<V>& grid, V count, V sum, V squares,
                                          bool reads_squares, V& mean,
                                          const advantage::batch_moments& batch) {
  const V total = sum * grid.unit;
  mean = total * (V(1.0) / count);
  advantage::moments<V> g{count, mean + (grid.base - grid.shift), V(0.0), V(1.0), batch};
  if (reads_squares) g.squares = squares * (grid.square * V(0x1p-52)) - total * mean;
  return g;
}

/// A sum of whole numbers up to 2^53, exact for 2^31 of them; rounded once.
template <class Isa> class unit_sum {
 public:
  HENCE_FN void add(std::int64_t n) {
    low_ += n & 0xffffffff;
    high_ += n >> 32;
  }
  /// Adds what other lanes have added. \param all the sum over the lanes of a number of this one.
  template <class F> HENCE_FN void add_over_lanes(F&& all) { low_ = all(low_), high_ = all(high_); }
  HENCE_FN num<double, Isa> value() const {
    using V = num<double, Isa>;
    return V(static_cast<double>(high_ + (low_ >> 32))) * V(0x1p32) +
           V(static_cast<double>(low_ & 0xffffffff));
  }

 private:
  std::int64_t low_ = 0, high_ = 0;  // the sum is low + 2^32 high
};

/// One group in scalars, on the grid.
template <class S, class Isa> class measured_group {
 public:
  using V = num<double, Isa>;
  HENCE_FN measured_group() {}
  /// \param at calls f(r) for each reward.
  template <class F>
  measured_group(V low, V high, V count, bool reads_squares, const advantage::batch_moments& batch,
                 F&& at)
      : grid_(grid_of(low, high)) {
    unit_sum<Isa> sum, squares;
    at([&](V r) { add(r, sum, squares); });
    finish(count, sum, squares, reads_squares, batch);
  }
  /// In two steps, where lanes share the rewards: each adds its own, then all finish.
  HENCE_FN measured_group(V low, V high) : grid_(grid_of(low, high)) {}
  HENCE_FN void add(V r, unit_sum<Isa>& sum, unit_sum<Isa>& squares) const {
    const V x = r + grid_.shift, y = x - grid_.base;
    sum.add(static_cast<std::int64_t>(bits_of(x) - bits_of(grid_.base)));
    squares.add(
        static_cast<std::int64_t>(bits_of(fma(y, y, grid_.square)) - bits_of(grid_.square)));
  }
  HENCE_FN void finish(V count, const unit_sum<Isa>& sum, const unit_sum<Isa>& squares,
                       bool reads_squares, const advantage::batch_moments& batch) {
    moments = moments_of(grid_, count, sum.value(), squares.value(), reads_squares, mean_, batch);
  }
  /// r in units of `moments.unit`.
  HENCE_FN V scaled(V r) const { return r; }
  /// r - mu
  HENCE_FN V centred(V r) const { return ((r + grid_.shift) - grid_.base) - mean_; }

  advantage::moments<V> moments;

 private:
  reward_grid<V> grid_;
  V mean_;
};

/// float64 rewards: scaled by a power of two to magnitude 1, so that squares neither overflow nor
/// vanish; two passes, each summed exactly.
template <class Isa> class measured_group<double, Isa> {
 public:
  using V = num<double, Isa>;
  HENCE_FN measured_group() {}
  template <class F>
  measured_group(V low, V high, V count, bool reads_squares, const advantage::batch_moments& batch,
                 F&& at)
      : unit_(batch.unit > 0 ? V(batch.unit) : unit_of(low, high)), low_(low / unit_), mean_(0.0) {
    exact_sum sum, squares;
    at([&](V r) { sum.add(centred(r).v); });  // of r / unit - low, the mean being 0 still
    mean_ = V(sum.value()) / count;
    if (reads_squares) at([&](V r) { squares.add((centred(r) * centred(r)).v); });
    moments = {count, mean_ + low_, V(squares.value()), unit_, batch};
  }
  static V unit_of(V low, V high) {
    const V largest = lesser(greater(abs(low), abs(high)), V(0x1p1000));
    return greater(lesser(power_above(largest), V(0x1p1000)), V(0x1p-1000));
  }
  V scaled(V r) const { return r / unit_; }
  V centred(V r) const { return ((r / unit_ - low_) + V(0.0)) - mean_; }  // + 0: no -0

  advantage::moments<V> moments;

 private:
  V unit_, low_, mean_;
};

}  // namespace hence::inline v0::detail
