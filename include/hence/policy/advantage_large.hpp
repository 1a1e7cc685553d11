/// \file
/// One group with packs that no lot can hold: the same three passes, each of which fetches the
/// rewards anew, block by block.
#pragma once

#include <hence/policy/advantage_lot.hpp>

namespace hence::inline v0::detail {

template <class Isa> class large_group {
 public:
  /// The group of rows [begin, end).
  large_group(const view<const float>& rewards, std::int64_t begin, std::int64_t end)
      : rewards_(rewards), begin_(begin), end_(end) {}

  template <class Rule>
  status run(const Rule& rule, const advantage::batch_moments& batch, row_writer<Isa>& out) {
    if (!find_extremes()) return write_nan(out);
    grid_ = grid_of(low_, high_);
    unit_sum<Isa> sum, squares;
    for_blocks([&](const float* r, std::int64_t n) {
      const auto sums = place(r, n);
      sum.add(units_above(grid_.base, sums.x, n));
      squares.add(units_above(grid_.square, sums.squares, n));
    });
    N mean;
    const auto g = moments_of(grid_, N(static_cast<double>(end_ - begin_)), sum.value(),
                              squares.value(), reads_squares<Rule>, mean, batch);
    const N factor = factor_of(rule, g);
    const advantage::moments<V> lanes{V(g.count), V(g.mean), V(g.squares), V(1.0), batch};
    for_blocks([&](const float* r, std::int64_t n) {
      place(r, n);
      write_lanes<Isa>(rule, r, y_, out.take(n), n, V(mean), lanes, V(factor));
    });
    const auto is_finite = [&](N r) {
      const N e = ((r + grid_.shift) - grid_.base) - mean;
      const float a = static_cast<float>((centre(rule, r, e, g) * factor).v);
      return a - a == 0;
    };
    return is_finite(low_) && is_finite(high_) ? status::ok : status::non_finite;
  }

 private:
  using N = num<double, Isa>;
  using V = pack<double, Isa>;
  using F = pack<float, Isa>;
  static constexpr std::int64_t block = row_writer<Isa>::capacity;

  template <class Visit> HENCE_FN void for_blocks(Visit visit) {
    for (std::int64_t i = begin_; i < end_; i += block) {
      const std::int64_t n = end_ - i < block ? end_ - i : block;
      visit(contiguous_rewards<Isa>(rewards_, i, n, padded_size<Isa>(n), copy_), n);
    }
  }
  /// To low_ and high_; false if a reward is not finite.
  bool find_extremes() {
    const F first = rewards_[begin_];
    extremes<F> found{first, first, F(0.0f)};
    for_blocks([&](const float* r, std::int64_t n) { found.read(r, n); });
    if (any(found.probe - found.probe != F(0.0f)) && !all_finite<Isa>(rewards_, begin_, end_))
      return false;
    low_ = high_ = rewards_[begin_];
    for (int i = 0; i < F::lanes; ++i) {
      low_ = lesser(N(static_cast<double>(found.low.v[i])), low_);
      high_ = greater(N(static_cast<double>(found.high.v[i])), high_);
    }
    return true;
  }
  HENCE_FN lane_sums<Isa> place(const float* r, std::int64_t n) {
    prefetch_rewards(r, n, block);
    return place_lanes<Isa>(r, y_, n, V(grid_.shift), V(grid_.base), V(grid_.square));
  }
  template <class Units>
  HENCE_FN static std::int64_t units_above(N base, const Units& bits, std::int64_t n) {
    std::uint64_t units = 0 - static_cast<std::uint64_t>(n) * bits_of(base);
    for (int i = 0; i < V::lanes; ++i) units += bits[i];
    return static_cast<std::int64_t>(units);
  }
  status write_nan(row_writer<Isa>& out) {
    for_blocks([&](const float*, std::int64_t n) {
      float* to = out.take(n).to;
      for (std::int64_t i = 0; i < n; ++i) to[i] = __builtin_nanf("");
    });
    return status::non_finite;
  }

  view<const float> rewards_;
  std::int64_t begin_, end_;
  N low_, high_;
  reward_grid<N> grid_;
  alignas(64) double y_[row_writer<Isa>::capacity];
  alignas(64) float copy_[row_writer<Isa>::capacity];
};

}  // namespace hence::inline v0::detail
