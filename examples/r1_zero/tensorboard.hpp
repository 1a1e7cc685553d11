/// \file
/// TensorBoard's event files: records of a length, its checksum, a protocol buffer `Event`, its
/// checksum. tensorflow/core/util/event.proto; checksums are CRC-32C, masked.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <string_view>

namespace demo {

/// CRC-32C, rotated and shifted as TFRecord has it.
inline std::uint32_t masked_checksum(std::string_view bytes) {
  std::uint32_t crc = ~0u;
  for (const char c : bytes) {
    crc ^= static_cast<std::uint8_t>(c);
    for (int k = 0; k < 8; ++k) crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0u);
  }
  crc = ~crc;
  return std::rotr(crc, 15) + 0xa282ead8u;
}

namespace detail {

/// The bytes of a number as it lies in memory, which is little-endian.
template <class T> std::string bytes_of(T x) {
  const auto raw = std::bit_cast<std::array<char, sizeof(T)>>(x);
  return {raw.data(), raw.size()};
}
inline std::string varint(std::uint64_t x) {
  std::string s;
  for (; x >= 128; x >>= 7) s += static_cast<char>(x | 128);
  return s + static_cast<char>(x);
}
/// A field of bytes. \param field its number.
inline std::string field(int number, std::string_view bytes) {
  return varint(static_cast<std::uint64_t>(number) << 3 | 2) + varint(bytes.size()) +
         std::string(bytes);
}

}  // namespace detail

/// One record around an event.
inline std::string event_record(std::string_view event) {
  const std::string length = detail::bytes_of(std::uint64_t{event.size()});
  return length + detail::bytes_of(masked_checksum(length)) + std::string(event) +
         detail::bytes_of(masked_checksum(event));
}
/// The record that begins a file.
inline std::string event_header(double seconds) {
  return event_record("\x09" + detail::bytes_of(seconds) + detail::field(3, "brain.Event:2"));
}
/// A number under a name. \param seconds since 1970.
inline std::string event_scalar(double seconds, std::int64_t step, std::string_view name,
                                double value) {
  const std::string entry =
      detail::field(1, name) + "\x15" + detail::bytes_of(static_cast<float>(value));
  return event_record("\x09" + detail::bytes_of(seconds) + "\x10" +
                      detail::varint(static_cast<std::uint64_t>(step)) +
                      detail::field(5, detail::field(1, entry)));
}

}  // namespace demo
