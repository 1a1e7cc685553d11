/// \file
/// How `cpu` runs a range of groups: tile after tile, and by itself a group that no tile can hold.
#pragma once

#include <hence/policy/advantage_tile.hpp>

namespace hence::inline v0::detail {

/// One group that need not fit a tile: every pass fetches its rewards anew.
template <class Isa, class Rule>
status large_group(const Rule& rule, const view<const float>& rewards, std::int64_t begin,
                   std::int64_t end, row_writer<Isa>& out) {
  using N = num<double, Isa>;
  using V = pack<double, Isa>;
  using F = pack<float, Isa>;
  constexpr bool reads_squares = std::remove_cvref_t<decltype(rule.scale)>::reads_squares;
  constexpr std::int64_t block = row_writer<Isa>::capacity;
  alignas(64) double y[row_writer<Isa>::capacity];
  alignas(64) float copy[row_writer<Isa>::capacity];
  const auto for_blocks = [&](auto f) {
    for (std::int64_t i = begin; i < end; i += block) {
      const std::int64_t n = end - i < block ? end - i : block;
      f(contiguous_rewards<Isa>(rewards, i, n, padded_size<Isa>(n), copy), n);
    }
  };
  const auto units_above = [](N base, const auto& bits, std::int64_t n) {
    std::uint64_t units = 0 - static_cast<std::uint64_t>(n) * bits_of(base);
    for (int i = 0; i < V::lanes; ++i) units += bits[i];
    return static_cast<std::int64_t>(units);
  };
  const F first = rewards[begin];
  extremes<F> found{first, first, F(0.0f)};
  for_blocks([&](const float* r, std::int64_t n) { found.read(r, n); });
  if (any(found.probe - found.probe != F(0.0f)) && !all_finite<Isa>(rewards, begin, end)) {
    for_blocks([&](const float*, std::int64_t n) {
      out.settle();
      float* to = out.take(n);
      for (std::int64_t i = 0; i < n; ++i) to[i] = __builtin_nanf("");
    });
    return status::non_finite;
  }
  N low = rewards[begin], high = low;
  for (int i = 0; i < F::lanes; ++i) {
    low = lesser(N(static_cast<double>(found.low.v[i])), low);
    high = greater(N(static_cast<double>(found.high.v[i])), high);
  }
  const reward_grid<N> grid = grid_of(low, high);
  const auto place = [&](const float* r, std::int64_t n) {
    return place_lanes<Isa>(r, y, n, V(grid.shift), V(grid.base), V(grid.square), block);
  };
  unit_sum<Isa> sum, squares;
  for_blocks([&](const float* r, std::int64_t n) {
    const auto sums = place(r, n);
    sum.add(units_above(grid.base, sums.x, n));
    squares.add(units_above(grid.square, sums.squares, n));
  });
  N mean;
  const auto g = moments_of(grid, N(static_cast<double>(end - begin)), sum.value(), squares.value(),
                            reads_squares, mean);
  const N factor = rule.scale(g);
  const advantage::moments<V> lanes{V(g.count), V(g.mean), V(g.squares), V(1.0)};
  for_blocks([&](const float* r, std::int64_t n) {
    place(r, n);
    out.settle();
    write_lanes<Isa>(rule, y, out.take(n), n, V(mean), lanes, V(factor));
  });
  const auto centred = [&](N r) { return ((r + grid.shift) - grid.base) - mean; };
  return within_range<float>(rule, g, factor, centred(low), centred(high)) ? status::ok
                                                                           : status::non_finite;
}

template <class Pool, class Isa> struct group_engine<cpu<Pool, Isa>> {
  template <class Rule>
  static status run(const Rule& rule, const offsets& cu_groups, const view<const float>& rewards,
                    const view<float>& out, std::int64_t begin, std::int64_t end) {
    const offsets cu = cu_groups;
    row_writer<Isa> writer(out, cu[begin], cu[end]);
    group_tile<Isa> tile;
    status found = status::ok;
    for (std::int64_t i = begin; i < end;) {
      const std::int64_t next = tile.fill(cu, i, end, rewards);
      if (tile.taken() > 0) {
        found |= tile.run(rule, writer);
      } else if (next < end) {
        found |= large_group<Isa>(rule, rewards, cu[next], cu[next + 1], writer);
      }
      i = tile.taken() > 0 ? next : next + 1;
    }
    writer.finish();
    return found;
  }
};

}  // namespace hence::inline v0::detail
