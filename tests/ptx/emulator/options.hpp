// What may differ from run to run without changing a right kernel's results.
#pragma once

#include <cstdint>
#include <cstdlib>

namespace ptx {

/// Which warp, block and group of lanes goes first. 0: in order. 1: backwards. Others: at random.
class schedule {
 public:
  explicit schedule(std::uint64_t seed = 0) : seed_(seed) {}

  /// One of n, the next by this schedule.
  std::size_t choose(std::size_t n) {
    if (seed_ == 0 || n < 2) return 0;
    if (seed_ == 1) return n - 1;
    state_ = state_ * 6364136223846793005u + 1442695040888963407u + seed_;
    return static_cast<std::size_t>((state_ >> 33) % n);
  }
  bool is_random() const { return seed_ > 1; }

 private:
  std::uint64_t seed_, state_ = 88172645463325252u;
};

/// HENCE_PTX_SCHEDULE.
inline schedule schedule_of_environment() {
  const char* text = std::getenv("HENCE_PTX_SCHEDULE");
  return schedule(text == nullptr ? 0 : std::strtoull(text, nullptr, 10));
}

}  // namespace ptx
