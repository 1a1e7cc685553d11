// One launch: its blocks run one after another, in any order.
//
// A block that spins for long lets others begin, so that blocks may wait for each other.
#pragma once

#include "clock.hpp"
#include "counts.hpp"
#include "decode.hpp"
#include "memory.hpp"
#include "options.hpp"

#include <set>

namespace ptx {

struct extent {
  std::uint32_t x = 1, y = 1, z = 1;
  std::size_t count() const { return std::size_t{x} * y * z; }
};

struct launch {
  const kernel* runs = nullptr;
  device_memory* memory = nullptr;
  extent blocks, threads;
  std::size_t dynamic_shared = 0;
  std::vector<std::byte> parameters{};
  schedule order{};
  std::uint32_t number = 1;  // larger than that of any earlier launch
  std::uint64_t limit = 1000000000;
  counts* counted = nullptr;  // if anybody wants to know

  shadow parameter_memory{};
  std::uint64_t executed = 0;                      // warp instructions
  std::map<std::uint64_t, foreign_times> flags{};  // word -> what its last writer tells
};

/// Runs all blocks; throws `finding` at the first fault.
void run(launch& l);

}  // namespace ptx
