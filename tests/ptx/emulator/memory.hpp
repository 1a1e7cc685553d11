// Device memory: every allocation with its bounds, its bytes and what is remembered about them.
//
// A device address is no host address: the range is reserved and never mapped, so that a host
// program that follows a device pointer crashes here as it would with a GPU.
#pragma once

#include "finding.hpp"
#include "shadow.hpp"

#include <map>
#include <memory>
#include <string>

namespace ptx {

struct allocation {
  std::uint64_t begin = 0, size = 0;
  lazy_vector<std::byte> data{};
  shadow memory{};
  bool read_only = false, freed = false;
  std::string name{};  // of a variable, else empty
};

/// A place in some memory that was found to be inside its bounds.
struct place {
  std::byte* data;
  shadow* memory;
  std::size_t offset;
};

/// Generic addresses of shared, local and parameter memory begin here.
constexpr std::uint64_t shared_window = 0x7e0000000000, local_window = 0x7e1000000000,
                        param_window = 0x7e2000000000, window_size = 0x001000000000;

class device_memory {
 public:
  device_memory();
  ~device_memory();
  device_memory(const device_memory&) = delete;
  device_memory& operator=(const device_memory&) = delete;

  /// 512-byte aligned; its bytes hold no value yet.
  allocation& allocate(std::uint64_t size, std::uint64_t alignment = 512);
  /// False if there is no such allocation.
  bool free(std::uint64_t address);
  /// The live allocation around an address, or null.
  allocation* find(std::uint64_t address);
  /// What is known about an address that is in no live allocation; for messages.
  std::string describe(std::uint64_t address) const;

  bool is_device_address(std::uint64_t address) const { return address - base_ < reserved; }
  std::uint64_t live_bytes() const { return live_; }

  static constexpr std::uint64_t reserved = std::uint64_t{1} << 38;

 private:
  std::uint64_t base_ = 0, next_ = 0, live_ = 0;
  std::map<std::uint64_t, std::unique_ptr<allocation>> all_;
};

}  // namespace ptx
