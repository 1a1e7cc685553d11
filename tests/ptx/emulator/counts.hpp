// What a launch did, counted: how often each instruction ran and what its accesses cost a device.
//
// Global memory moves in sectors of 32 bytes. A step of a warp is what it accesses until one of its
// instructions comes again: sectors that two loads of one step share count once, as an L1 cache
// would have it, and `least` is what the step's different bytes need at least. Shared memory has 32
// banks of 4 bytes: a request takes as many wavefronts as one bank has different words to give,
// lanes of 8 and 16 bytes going in halves and quarters of a warp. Nothing here knows a cache.
#pragma once

#include "lanes.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <set>
#include <vector>

namespace ptx {

struct instruction;

/// Accesses of one kind.
struct traffic {
  std::uint64_t requests = 0;  // an instruction of a warp is one
  std::uint64_t touched = 0;   // sectors of the requests, each by itself
  std::uint64_t units = 0;     // sectors of the steps, or wavefronts
  std::uint64_t least = 0;     // of units, for as many different bytes
};

struct counts {
  std::uint64_t launches = 0;
  std::vector<std::uint64_t> visits{};  // of each instruction, a warp at a time
  traffic reads{}, writes{};            // of global memory
  traffic shared{};
};

/// One instruction's access by a warp: where its lanes' bytes lie.
class request {
 public:
  void add(std::uint64_t address, std::size_t size) {
    at_[lanes_++] = address;
    size_ = size;
  }

  void count_wavefronts(traffic& to) const {
    const std::size_t together = size_ <= 4 ? 32 : 128 / size_;
    ++to.requests;
    for (std::size_t from = 0; from < lanes_; from += together) {
      std::array<std::set<std::uint64_t>, 32> banks;
      std::size_t words = 0, most = 0;
      for (std::size_t k = from; k < std::min(lanes_, from + together); ++k)
        for (std::size_t b = 0; b < size_; b += 4) {
          auto& bank = banks[(at_[k] + b) / 4 % 32];
          words += bank.insert((at_[k] + b) / 4).second;
          most = std::max(most, bank.size());
        }
      to.units += most, to.least += (words + 31) / 32;
    }
  }

  /// Sector -> which of its bytes.
  using sectors = std::map<std::uint64_t, std::uint32_t>;
  sectors sectors_of() const {
    sectors out;
    for (std::size_t k = 0; k < lanes_; ++k)
      for (std::size_t b = 0; b < size_; ++b)
        out[(at_[k] + b) / 32] |= std::uint32_t{1} << (at_[k] + b) % 32;
    return out;
  }

 private:
  std::array<std::uint64_t, warp_size> at_{};
  std::size_t lanes_ = 0, size_ = 0;
};

/// A warp's accesses of global memory since one of its instructions came again.
class step {
 public:
  void add(const instruction* of, const request& r, traffic& to) {
    if (!seen_.insert(of).second) {
      end(to);
      seen_.insert(of);
    }
    const request::sectors touched = r.sectors_of();
    ++to.requests, to.touched += touched.size();
    for (const auto& [sector, bytes] : touched) sectors_[sector] |= bytes;
  }
  void end(traffic& to) {
    std::uint64_t bytes = 0;
    for (const auto& [sector, used] : sectors_)
      bytes += static_cast<std::uint64_t>(std::popcount(used));
    to.units += sectors_.size(), to.least += (bytes + 31) / 32;
    sectors_.clear(), seen_.clear();
  }

 private:
  request::sectors sectors_;
  std::set<const instruction*> seen_;
};

}  // namespace ptx
