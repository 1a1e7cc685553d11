// A fault of the kernel that runs. It ends the launch.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace ptx {

struct finding : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// "0x7f00"; for messages.
inline std::string hex(std::uint64_t x) {
  std::string text;
  do text.insert(text.begin(), "0123456789abcdef"[x & 15]);
  while ((x >>= 4) != 0);
  return "0x" + text;
}

}  // namespace ptx
