#include <hence/core/workspace.hpp>

#include <doctest/doctest.h>

#include <cstring>
#include <stdexcept>
#include <string>

namespace {

using bytes = hence::view<std::byte>;

std::string refusal_of(const bytes& w, std::int64_t needed) {
  try {
    hence::detail::check_workspace(w, needed);
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "accepted";
}

alignas(64) std::byte room[256];

}  // namespace

TEST_CASE("a workspace is absent, or large enough, aligned and contiguous") {
  CHECK(refusal_of({}, 128) == "accepted");
  CHECK(refusal_of({room, 128}, 128) == "accepted");
  CHECK(refusal_of({room, 127}, 128) == "hence: workspace has 127 bytes, expected at least 128");
  CHECK(refusal_of({room + 32, 128}, 128) == "hence: workspace is not aligned to 64 bytes");
  CHECK(refusal_of({nullptr, 128}, 128) == "hence: workspace is null, expected at least 128 bytes");
  CHECK(refusal_of({nullptr, 0}, 128) == "hence: workspace has 0 bytes, expected at least 128");
  CHECK(refusal_of({nullptr, 0}, 0) == "accepted");
  bytes strided(room, 128);
  strided.stride[0] = 2;
  CHECK(refusal_of(strided, 128) == "hence: workspace is not contiguous");
}

TEST_CASE("a call's memory is the given one, or its own and aligned") {
  const hence::detail::call_memory given({room, 256}, 128);
  CHECK(given.part(0, 64) == room);
  CHECK(given.part(3, 64) == room + 192);
  const hence::detail::call_memory own({}, 128);
  CHECK(own.part(0, 64) != nullptr);
  CHECK(reinterpret_cast<std::uintptr_t>(own.part(0, 64)) % 64 == 0);
  std::memset(own.part(0, 64), 7, 128);
  CHECK(own.part(1, 64)[63] == std::byte{7});
}
