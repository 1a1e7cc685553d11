// The threads of one block: their warps, their shared memory and their barriers.
#pragma once

#include "options.hpp"
#include "warp.hpp"

namespace ptx {

struct launch;

class block {
 public:
  void begin(launch& of, std::size_t index);

  /// Runs until all threads have left or `budget` instructions are spent; true when done.
  bool run(std::uint64_t budget);

  launch& of() { return *of_; }
  schedule& order();
  std::size_t index() const { return index_; }
  std::size_t warps_count() const { return count_; }
  warp& operator[](std::size_t k) { return warps_[k]; }

  std::vector<std::byte> shared, local;
  shadow shared_memory, local_memory;
  foreign_times foreign;          // what is known of other blocks
  foreign_times fenced, pending;  // what flags will tell; flags read before a fence

 private:
  bool release_barriers();
  void release(std::uint64_t id, const std::vector<std::size_t>& arrived);
  [[noreturn]] void stuck();

  launch* of_ = nullptr;
  std::size_t index_ = 0, count_ = 0, last_ = 0;
  bool spun_ = false;  // the last warp used up its turn
  std::vector<warp> warps_;
};

}  // namespace ptx
