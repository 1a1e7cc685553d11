/// \file
/// What launchers refuse about the memory that they are given beside a call's arrays: the status,
/// and a workspace.
#pragma once

#include <hence/core/place.hpp>

#include <cstddef>  // byte
#include <cstdint>  // uintptr_t
#include <initializer_list>
#include <span>

namespace hence::inline v0::cuda::detail {

using byte_ranges = std::initializer_list<hence::detail::byte_range>;

/// Refuses a null status, and one inside an array that the call writes or reads.
inline void check_conditions(status* conditions, byte_ranges written, byte_ranges read) {
  using namespace hence::detail;
  if (conditions == nullptr)
    refuse(message() << "hence: conditions is null, expected a status in device memory");
  for (const byte_range& w : written)
    if (overlap(w, {conditions, sizeof(status)}))
      refuse(message() << "hence: an output overlaps conditions, expected separate arrays");
  for (const byte_range& r : read)
    if (overlap(r, {conditions, sizeof(status)}))
      refuse(message() << "hence: an input overlaps conditions, expected separate arrays");
}

/// Refuses a workspace that has fewer than `bytes`, does not begin at a multiple of `alignment`, or
/// shares memory with the status or an array of the call; and the status as `check_conditions`.
inline void check_workspace(std::span<std::byte> workspace, std::int64_t bytes,
                            std::int64_t alignment, status* conditions, byte_ranges written,
                            byte_ranges read) {
  using namespace hence::detail;
  check_conditions(conditions, written, read);
  const auto size = static_cast<std::int64_t>(workspace.size());
  if (size < bytes)
    refuse(message() << "hence: workspace has " << size << " bytes, expected at least " << bytes);
  if (reinterpret_cast<std::uintptr_t>(workspace.data()) % static_cast<std::uintptr_t>(alignment))
    refuse(message() << "hence: workspace is not aligned to " << alignment << " bytes");
  const byte_range memory{workspace.data(), size};
  if (overlap(memory, {conditions, sizeof(status)}))
    refuse(message() << "hence: workspace overlaps conditions, expected separate arrays");
  for (const byte_ranges& arrays : {written, read})
    for (const byte_range& a : arrays)
      if (overlap(a, memory))
        refuse(message() << "hence: workspace overlaps another array, expected separate ones");
}

}  // namespace hence::inline v0::cuda::detail
