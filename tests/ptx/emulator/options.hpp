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

inline std::uint64_t environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}
inline schedule schedule_of_environment() { return schedule(environment("HENCE_PTX_SCHEDULE", 0)); }
/// Warp instructions after which a launch counts as endless.
inline std::uint64_t limit_of_environment() { return environment("HENCE_PTX_LIMIT", 1000000000); }

}  // namespace ptx
