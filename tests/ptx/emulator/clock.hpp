// Which accesses a thread knows to lie behind it.
//
// Time passes at synchronisations. A warp has one time, `now`; what it did then is known to another
// lane of it after a __syncwarp of both, to another warp after a barrier of both, and to another
// block after a flag written behind a fence was read before a fence. A shuffle orders no memory.
#pragma once

#include "lanes.hpp"

#include <algorithm>
#include <map>
#include <vector>

namespace ptx {

/// Per warp of a block, the time up to which its accesses are known.
using times = std::vector<std::uint32_t>;

/// Adds to what is known.
inline void join(times& to, const times& from) {
  if (to.size() < from.size()) to.resize(from.size());
  for (std::size_t k = 0; k < from.size(); ++k) to[k] = std::max(to[k], from[k]);
}

/// What a block knows of other blocks.
using foreign_times = std::map<std::uint32_t, times>;

class warp_clock {
 public:
  void reset(std::size_t warps) {
    now_ = 1, by_all_ = 0;
    for (auto& row : lanes_) std::fill(std::begin(row), std::end(row), 0u);
    warps_.assign(warps, 0);
  }

  std::uint32_t now() const { return now_; }
  const times& warps() const { return warps_; }

  /// __syncwarp of these lanes.
  void sync_lanes(mask members) {
    if (members == all_lanes) {
      by_all_ = now_;
    } else {
      std::uint32_t joined[warp_size] = {};
      for_each(members, [&](int i) {
        for (int j = 0; j < warp_size; ++j) joined[j] = std::max(joined[j], lanes_[i][j]);
      });
      for_each(members, [&](int j) { joined[j] = now_; });
      for_each(members, [&](int i) { std::copy(joined, joined + warp_size, lanes_[i]); });
    }
    ++now_;
  }

  /// What this warp leaves at a fence: all that it knows, and itself.
  times publish(std::size_t own) {
    times out = warps_;
    out[own] = now_++;
    return out;
  }
  /// What it brings to a barrier, where its lanes meet as well.
  times release(std::size_t own) {
    by_all_ = now_;
    return publish(own);
  }
  void acquire(const times& from) { join(warps_, from); }

  /// Whether `lane` knows what these lanes of its own warp did at a time.
  bool knows_lanes(int lane, mask others, std::uint32_t time) const {
    others &= ~bit(lane);
    if (time <= by_all_ || others == 0) return true;
    for (; others != 0; others &= others - 1)
      if (lanes_[lane][std::countr_zero(others)] < time) return false;
    return true;
  }
  bool knows_warp(std::size_t warp, std::uint32_t time) const { return time <= warps_[warp]; }

 private:
  std::uint32_t now_ = 1, by_all_ = 0;
  std::uint32_t lanes_[warp_size][warp_size] = {};
  times warps_;
};

}  // namespace ptx
