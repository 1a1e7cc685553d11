// The PTX in what nvcc puts into a program, for programs built with -compress-mode=none.
//
// A fat binary is a row of images, each with a header: u16 kind (1 is PTX), u16 version, u32 size
// of the header, u64 size of the image. Read off what nvcc 13.0 writes.
#pragma once

#include "text.hpp"

#include <cstring>
#include <string_view>

namespace ptx {

/// Every PTX text of one fat binary. Throws `refusal` for a compressed one.
inline std::vector<std::string_view> ptx_of(const void* fat_binary) {
  const auto* bytes = static_cast<const char*>(fat_binary);
  const auto read = [&]<class T>(std::size_t at, T) {
    T x;
    std::memcpy(&x, bytes + at, sizeof x);
    return x;
  };
  if (read(0, std::uint32_t{}) != 0xba55ed50u) throw refusal("not a fat binary");
  std::size_t at = read(6, std::uint16_t{});
  const std::size_t end = at + read(8, std::uint64_t{});
  std::vector<std::string_view> texts;
  while (at + 16 <= end) {
    const std::size_t header = read(at + 4, std::uint32_t{});
    const std::size_t size = read(at + 8, std::uint64_t{});
    if (read(at, std::uint16_t{}) == 1) {
      const std::string_view image(bytes + at + header, size);
      if (image.find(".version") == image.npos || image.find("compressed") == 0)
        throw refusal("compressed PTX: build the program with nvcc -compress-mode=none");
      texts.push_back(image.substr(0, image.find('\0')));
    }
    at += header + size;
  }
  return texts;
}

}  // namespace ptx
