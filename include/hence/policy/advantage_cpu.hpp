/// \file
/// Group advantages with packs: a tile of as many groups as a register has lanes. Passes over rewards run
/// along a group; what is known of the groups is computed across them, one per lane. Sizes may differ.
#pragma once

#include <hence/core/sum_pack.hpp>
#include <hence/policy/advantage_lanes.hpp>

namespace hence::inline v0::detail {

/// Consecutive groups with their rewards in float64; about 18 KiB, on the stack of the thread.
template <class Isa>
class group_tile {
 public:
  using V = pack<double, Isa>;
  using types = reward_lanes<Isa>;
  static constexpr int lanes = V::lanes;
  static constexpr unsigned capacity = 2048;  // rewards: so many terms of 2^52 units fit 63 bits

  /// Takes rows [begin, begin + n), next to those taken before; false if there is no room.
  bool take(std::int64_t begin, std::int64_t n) {
    const std::int64_t room = types::padded(n);
    if (taken_ == lanes || used_ + room > std::int64_t{capacity}) return false;
    begin_[taken_] = begin, size_[taken_] = n, offset_[taken_] = used_;
    ++taken_;
    used_ += room;
    return true;
  }

  /// Writes the advantages of the groups that were taken, and forgets them.
  template <class Rule>
  status run(const Rule& rule, view<const float> rewards, view<float> out) {
    if (taken_ == 0) return status::ok;
    for (int j = taken_; j < lanes; ++j) size_[j] = size_[0];  // idle lanes repeat the first
    const bool finite = fetch(rewards);
    advantage::moments<V> g{};
    for (int j = 0; j < lanes; ++j) g.count.v[j] = static_cast<double>(size_[j]);
    g.unit = V(1.0);
    const V low = zero_is_negative(V(fold_rows(low_, [](auto a, auto b) { return lesser(V(a), V(b)).v; })));
    const V spread = V(fold_rows(high_, [](auto a, auto b) { return greater(V(a), V(b)).v; })) - low;
    const V c = power_above(spread);
    g.mean = total(low, c, [](auto... a) { return shift_and_sum<Isa>(a...); }) / g.count;
    g.squares = V(0.0);
    if constexpr (std::remove_cvref_t<decltype(rule.scale)>::reads_squares)
      g.squares = total(g.mean, c * c, [](auto... a) { return sum_squares<Isa>(a...); });
    const V factor = rule.scale(g);
    status found = write(rule, g, factor, rewards, out, finite);
    // the ends of a group have its largest advantages
    const V top = abs(rule.baseline(spread, g) * factor), bottom = abs(rule.baseline(V(0.0), g) * factor);
    const V last = 0x1.ffffffp127;  // from here on a double rounds to an infinite float
    if (any_bit((!((top < last) & (bottom < last))).m)) found |= status::non_finite;
    taken_ = 0, used_ = 0;
    return found;
  }

 private:
  static constexpr unsigned slots = lanes;

  /// Rewards to x_, extremes to low_ and high_. False if a reward may not be finite.
  bool fetch(view<const float> rewards) {
    V probe = 0.0;
    for (int j = 0; j < taken_; ++j) {
      const V first = static_cast<double>(rewards[begin_[j]]);
      extremes<Isa> found{first, first, V(0.0)};
      fetch_rewards(rewards, begin_[j], size_[j], x_ + offset_[j], found);
      low_[j] = found.low.v, high_[j] = found.high.v;
      probe = probe + found.probe;
    }
    for (int j = taken_; j < lanes; ++j) low_[j] = low_[0], high_[j] = high_[0];
    return !any_bit((probe - probe != V(0.0)).m);
  }

  /// Each group's sum of the terms that `pass` rounds to the grid of its c.
  template <class Pass>
  V total(V shift, V c, Pass pass) {
    typename types::units sums[slots] = {};
    for (int j = 0; j < taken_; ++j)
      sums[j] = pass(x_ + offset_[j], size_[j], V(shift.v[j]), V(c.v[j]));
    for (int j = taken_; j < lanes; ++j) sums[j] = sums[0];
    typename types::units sizes;
    __builtin_memcpy(&sizes, size_, sizeof(sizes));
    const auto units = fold_rows(sums, [](auto a, auto b) { return a + b; }) - sizes * bits_of(c);
    return V(__builtin_convertvector((typename types::ints)units, typename V::vector)) * (c * V(0x1p-52));
  }

  template <class Rule>
  status write(const Rule& rule, const advantage::moments<V>& g, V factor, view<const float> rewards,
               view<float> out, bool finite) {
    status found = status::ok;
    const std::int64_t end = begin_[taken_ - 1] + size_[taken_ - 1];
    for (int j = 0; j < taken_; ++j) {
      const std::int64_t begin = begin_[j];
      if (size_[j] == 1) {
        found |= write_single<float, Isa>(rule, rewards[begin], out[begin]);
      } else if (!finite && !all_finite(rewards, begin, begin + size_[j])) {
        fill_nan(out, begin, begin + size_[j]);
        found |= status::non_finite;
      } else {
        const advantage::moments<V> own{V(g.count.v[j]), V(g.mean.v[j]), V(g.squares.v[j]), V(1.0)};
        write_advantages<Isa>(rule, x_ + offset_[j], own, V(factor.v[j]), out, begin, size_[j], end);
      }
    }
    return found;
  }

  alignas(64) double x_[capacity];
  typename V::vector low_[slots], high_[slots];
  std::int64_t begin_[slots], size_[slots], offset_[slots], used_ = 0;
  int taken_ = 0;
};

/// One group of any size, which need not fit a tile: every pass fetches its rewards anew.
template <class Isa, class Rule>
status large_group(const Rule& rule, view<const float> rewards, view<float> out, std::int64_t begin, std::int64_t end) {
  using N = num<double, Isa>;
  using V = pack<double, Isa>;
  constexpr std::int64_t block = group_tile<Isa>::capacity;
  alignas(64) double x[group_tile<Isa>::capacity];
  const N first = rewards[begin];
  extremes<Isa> found{V(first), V(first), V(0.0)};
  const auto for_blocks = [&](auto f) {
    for (std::int64_t i = begin; i < end; i += block) {
      const std::int64_t n = end - i < block ? end - i : block;
      fetch_rewards(rewards, i, n, x, found);
      f(i, n);
    }
  };
  const auto units = [](const auto& sums, std::int64_t n, N c) {
    std::uint64_t all = 0 - static_cast<std::uint64_t>(n) * bits_of(c);
    for (int i = 0; i < V::lanes; ++i) all += sums[i];
    return all;
  };
  for_blocks([](std::int64_t, std::int64_t) {});
  N low = first, high = first, probe = 0.0;
  for (int i = 0; i < V::lanes; ++i) {
    low = lesser(N(found.low.v[i]), low);
    high = greater(N(found.high.v[i]), high);
    probe = probe + N(found.probe.v[i]);
  }
  if (probe - probe != N(0.0) && !all_finite(rewards, begin, end)) {
    fill_nan(out, begin, end);
    return status::non_finite;
  }
  low = zero_is_negative(low);
  const N spread = high - low, c = power_above(spread);
  grid_sum<Isa> sum(c), squares(c * c);
  advantage::moments<N> g{static_cast<double>(end - begin), N(0.0), N(0.0), N(1.0)};
  for_blocks([&](std::int64_t, std::int64_t n) { sum.add_units(units(shift_and_sum<Isa>(x, n, V(low), V(c)), n, c)); });
  g.mean = sum.value() / g.count;
  if constexpr (std::remove_cvref_t<decltype(rule.scale)>::reads_squares) {
    for_blocks([&](std::int64_t, std::int64_t n) {
      shift_and_sum<Isa>(x, n, V(low), V(c));
      squares.add_units(units(sum_squares<Isa>(x, n, V(g.mean), V(c * c)), n, c * c));
    });
    g.squares = squares.value();
  }
  const N factor = rule.scale(g);
  const advantage::moments<V> lanes{V(g.count), V(g.mean), V(g.squares), V(g.unit)};
  for_blocks([&](std::int64_t i, std::int64_t n) {
    shift_and_sum<Isa>(x, n, V(low), V(c));
    write_advantages<Isa>(rule, x, lanes, V(factor), out, i, n, end);
  });
  const N top = rule.baseline(spread, g) * factor, bottom = rule.baseline(N(0.0), g) * factor;
  return within_range<float>(top) && within_range<float>(bottom) ? status::ok : status::non_finite;
}

/// How an executor runs groups [begin, end).
template <class Executor>
struct group_engine;

template <class Pool, class Isa>
struct group_engine<cpu<Pool, Isa>> {
  template <class Rule>
  static status run(const Rule& rule, const offsets& cu, view<const float> rewards, view<float> out,
                    std::int64_t begin, std::int64_t end) {
    group_tile<Isa> tile;
    status found = status::ok;
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t row = cu[i], n = cu[i + 1] - row;
      if (n == 0 || tile.take(row, n)) continue;
      found |= tile.run(rule, rewards, out);
      if (!tile.take(row, n)) found |= large_group<Isa>(rule, rewards, out, row, row + n);
    }
    return found | tile.run(rule, rewards, out);
  }
};

template <class S, class Isa>
struct group_engine<reference<S, Isa>> {
  template <class Rule>
  static status run(const Rule& rule, const offsets& cu, view<const S> rewards, view<S> out,
                    std::int64_t begin, std::int64_t end) {
    status found = status::ok;
    for (std::int64_t i = begin; i < end; ++i)
      if (cu[i + 1] > cu[i]) found |= group_by_reference<S, Isa>(rule, rewards, out, cu[i], cu[i + 1]);
    return found;
  }
};

}  // namespace hence::inline v0::detail
