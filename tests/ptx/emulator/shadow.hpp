// What is remembered about memory: which bytes hold a value, and who read and wrote them last.
//
// A word of four bytes has one cell until something smaller than a word touches it, then one a
// byte. A cell holds the last write and two reads of different warps: a race with a third reader
// may be missed, a race that is reported is one.
#pragma once

#include "lanes.hpp"
#include "lazy.hpp"

#include <array>
#include <unordered_map>
#include <vector>

namespace ptx {

/// One access of a warp at one of its times.
struct access {
  std::uint32_t block = 0, warp = 0, time = 0;  // time 0: there was none
  mask lanes = 0;
  std::uint32_t line = 0;
  bool strong = false;  // atomic, volatile, relaxed, acquire or release
};

struct cell {
  access write{}, reads[2]{};
  std::uint32_t launch = 0;  // the launch that it tells of
};

/// What a byte holds: nothing yet, a value, or what a cp.async will have written when it is waited
/// for.
constexpr std::uint8_t holds_value = 1, in_flight = 2;

class shadow {
 public:
  void reset(std::size_t bytes) {
    zeros(written, bytes);
    cells_.clear();
    bytes_.clear();
    words_ = (bytes + 3) / 4;
  }

  /// Calls f(cell, offset) for each cell of [offset, offset + size).
  template <class F> void for_each_cell(std::size_t offset, std::size_t size, F&& f) {
    if (cells_.empty()) zeros(cells_, words_);
    for (std::size_t at = offset; at < offset + size;) {
      const std::size_t word = at / 4;
      const bool whole = at % 4 == 0 && offset + size - at >= 4;
      auto split = bytes_.empty() ? bytes_.end() : bytes_.find(word);
      if (whole && split == bytes_.end()) {
        f(cells_[word], at);
        at += 4;
        continue;
      }
      if (split == bytes_.end()) {
        const cell& c = cells_[word];
        split = bytes_.emplace(word, std::array<cell, 4>{c, c, c, c}).first;
      }
      for (const std::size_t end = word * 4 + 4; at < end && at < offset + size; ++at)
        f(split->second[at % 4], at);
    }
  }

  lazy_vector<std::uint8_t> written;  // a byte: 0, holds_value or in_flight

 private:
  lazy_vector<cell> cells_;
  std::unordered_map<std::size_t, std::array<cell, 4>> bytes_;
  std::size_t words_ = 0;
};

}  // namespace ptx
