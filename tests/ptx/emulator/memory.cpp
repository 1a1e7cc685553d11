#include "memory.hpp"

#include <sys/mman.h>

namespace ptx {

/// The longest allocation whose bytes are not left to zero pages.
constexpr std::uint64_t filled_bytes = 1 << 28;

device_memory::device_memory() {
  void* range =
      mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (range == MAP_FAILED) throw std::bad_alloc();
  base_ = reinterpret_cast<std::uint64_t>(range);
  next_ = (base_ + 4096) / 4096 * 4096;
}

device_memory::~device_memory() { munmap(reinterpret_cast<void*>(base_), reserved); }

allocation& device_memory::allocate(std::uint64_t size, std::uint64_t alignment) {
  const std::uint64_t begin = (next_ + alignment - 1) / alignment * alignment;
  // Neighbours are 1 to 2 KiB apart: what runs over one end doesn't land in another allocation.
  next_ = begin + size + 1024;
  if (size > reserved || next_ > base_ + reserved) throw std::bad_alloc();
  auto one = std::make_unique<allocation>();
  one->begin = begin, one->size = size;
  if (size <= filled_bytes)
    one->data.assign(size, std::byte{0xa5});
  else
    one->data.resize(size);
  one->memory.reset(size);
  live_ += size;
  return *(all_[begin] = std::move(one));
}

bool device_memory::free(std::uint64_t address) {
  const auto found = all_.find(address);
  if (found == all_.end() || found->second->freed) return false;
  allocation& a = *found->second;
  a.freed = true;
  live_ -= a.size;
  a.data = {};
  a.memory = {};
  return true;
}

allocation* device_memory::find(std::uint64_t address) {
  auto above = all_.upper_bound(address);
  if (above == all_.begin()) return nullptr;
  allocation& a = *std::prev(above)->second;
  return !a.freed && address - a.begin < a.size ? &a : nullptr;
}

std::string device_memory::describe(std::uint64_t address) const {
  if (!is_device_address(address)) return hex(address) + ", which is no device address";
  const auto above = all_.upper_bound(address);
  if (above == all_.begin()) return hex(address) + ", before all device memory";
  const allocation& a = *std::prev(above)->second;
  const std::string where = std::to_string(address - a.begin) + " bytes into an allocation of " +
                            std::to_string(a.size) + " bytes";
  return where + (a.freed ? " that was freed" : "") + (a.name.empty() ? "" : " (" + a.name + ")");
}

}  // namespace ptx
