// Event files: the checksum of known bytes, and a record taken apart by hand.
#include "r1_zero/tensorboard.hpp"

#include <doctest/doctest.h>

#include <cstring>

TEST_CASE("the checksum") {
  // CRC-32C of "123456789" is E3069283 (RFC 3720 has the polynomial and this value)
  const std::uint32_t crc = 0xE3069283u;
  CHECK(demo::masked_checksum("123456789") == ((crc >> 15 | crc << 17) + 0xa282ead8u));
}

TEST_CASE("a record") {
  const std::string r = demo::event_scalar(2.5, 300, "kl", 0.75);
  std::uint64_t size = 0;
  std::memcpy(&size, r.data(), 8);
  REQUIRE(r.size() == 8 + 4 + size + 4);
  const std::string event = r.substr(12, size);
  double seconds = 0;
  std::memcpy(&seconds, event.data() + 1, 8);
  CHECK(event[0] == 0x09);  // field 1, 64 bits
  CHECK(seconds == 2.5);
  CHECK(event.substr(9, 3) == "\x10\xAC\x02");                    // field 2: 300
  CHECK(event.substr(12, 4) == std::string("\x2A\x0B\x0A\x09"));  // field 5, in it field 1
  CHECK(event.substr(16, 4) == "\x0A\x02kl");
  float value = 0;
  std::memcpy(&value, event.data() + 21, 4);
  CHECK(event[20] == 0x15);  // field 2, 32 bits
  CHECK(value == 0.75f);
  std::uint32_t checksum = 0;
  std::memcpy(&checksum, r.data() + 12 + size, 4);
  CHECK(checksum == demo::masked_checksum(event));
  CHECK(demo::event_header(0).find("brain.Event:2") != std::string::npos);
}
