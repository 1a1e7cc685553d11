/// \file
/// The sums behind group advantages, free of any order: of rows in a group, of lanes, of threads.
///
/// fp32 rewards are placed on a grid made from the group's own range, in float64: with c the power of two
/// above max - min, x = r + (2.5 c - min) lies in [2.5 c, 3.5 c], where doubles are q = 2^-51 c apart. So
/// the bits of x, read as a whole number, count units of q, and whole numbers add up exactly. Likewise
/// (x - mean)^2 + c^2 in [c^2, 2 c^2]. A placed reward is off by q/2 at most, a square by 2^-53 c^2.
/// In a constant group all x are equal, hence equal to their mean.
#pragma once

#include <hence/core/execute.hpp>
#include <hence/core/sum.hpp>
#include <hence/policy/advantage_rule.hpp>

namespace hence::inline v0::detail {

template <class Isa>
HENCE_FN constexpr auto bits_of(num<double, Isa> x) {
  return __builtin_bit_cast(std::int64_t, x.v);
}
template <class Isa>
HENCE_FN auto bits_of(pack<double, Isa> x) {
  return to_bits(x);
}
/// The power of two just above x >= 0; 2^-1022 for 0.
template <class Isa>
HENCE_FN constexpr num<double, Isa> power_above(num<double, Isa> x) {
  const std::int64_t exponent = bits_of(x) >> 52;
  return {__builtin_bit_cast(double, (exponent < 0x7fe ? exponent + 1 : exponent) << 52)};
}
template <class Isa>
HENCE_FN pack<double, Isa> power_above(pack<double, Isa> x) {
  using ints = typename pack<double, Isa>::ints;
  const ints exponent = bits_of(x) >> 52;
  return from_bits(x, (exponent < 0x7fe ? exponent + 1 : exponent) << 52);
}

/// A group's grid. \tparam V `num<double>`, or `pack<double>` with one group per lane.
template <class V>
struct reward_grid {
  V shift;   ///< x = r + shift
  V base;    ///< where the least reward lies
  V c;       ///< the power of two above max - min
  V square;  ///< c^2, added to squares
};
template <class V>
HENCE_FN reward_grid<V> grid_of(V low, V high) {
  const V spread = high - low;
  const V c = power_above(select(spread > V(0.0), spread, abs(low)));
  const V base = c * V(2.5);
  return {base - low, base, c, c * c};
}
/// The mean of x, from the sum of its units above the base.
template <class V>
HENCE_FN V grid_mean(const reward_grid<V>& grid, V units, V count) {
  return grid.base + units * (grid.c * V(0x1p-51)) / count;
}
/// The sum of (x - mean)^2, from its units.
template <class V>
HENCE_FN V grid_squares(const reward_grid<V>& grid, V units) {
  return units * (grid.square * V(0x1p-52));
}

/// A sum of whole numbers up to 2^53, exact for 2^31 of them; rounded once.
template <class Isa>
class unit_sum {
 public:
  HENCE_FN void add(std::int64_t n) {
    low_ += n & 0xffffffff;
    high_ += n >> 32;
  }
  HENCE_FN num<double, Isa> value() const {
    using V = num<double, Isa>;
    return V(static_cast<double>(high_ + (low_ >> 32))) * V(0x1p32) +
           V(static_cast<double>(low_ & 0xffffffff));
  }

 private:
  std::int64_t low_ = 0, high_ = 0;  // the sum is low + 2^32 high
};

/// The sums of one group in scalars: on the grid for fp32 rewards.
template <class S, class Isa>
class reward_sums {
 public:
  using V = num<double, Isa>;
  HENCE_FN reward_sums(V low, V high) : grid_(grid_of(low, high)) {}
  HENCE_FN V unit() const { return V(1.0); }
  HENCE_FN V place(V r) const { return r + grid_.shift; }
  HENCE_FN void add(V x) { units_.add(bits_of(x) - bits_of(grid_.base)); }
  HENCE_FN V mean(V count) const { return grid_mean(grid_, units_.value(), count); }
  HENCE_FN V reward(V x) const { return x - grid_.shift; }
  HENCE_FN void add_square(V e) {
    squares_.add(bits_of(fma(e, e, grid_.square)) - bits_of(grid_.square));
  }
  HENCE_FN V squares() const { return grid_squares(grid_, squares_.value()); }

 private:
  reward_grid<V> grid_;
  unit_sum<Isa> units_, squares_;
};

/// For float64 rewards: scaled by a power of two to magnitude 1, so that squares neither overflow nor
/// vanish, and summed exactly.
template <class Isa>
class reward_sums<double, Isa> {
 public:
  using V = num<double, Isa>;
  reward_sums(V low, V high)
      : unit_(greater(lesser(power_above(greater(abs(low), abs(high))), V(0x1p1000)), V(0x1p-1000))),
        low_(low / unit_) {}
  V unit() const { return unit_; }
  V place(V r) const { return (r / unit_ - low_) + V(0.0); }  // no -0
  void add(V x) { sum_.add(x.v); }
  V mean(V count) const { return V(sum_.value()) / count; }
  V reward(V x) const { return x + low_; }
  void add_square(V e) { squares_.add((e * e).v); }
  V squares() const { return squares_.value(); }

 private:
  V unit_, low_;
  exact_sum sum_, squares_;
};

}  // namespace hence::inline v0::detail
