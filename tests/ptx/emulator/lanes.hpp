// A register of a warp: 64 bits for each of 32 lanes; and sets of lanes.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace ptx {

constexpr int warp_size = 32;
using mask = std::uint32_t;  // bit i is lane i
constexpr mask all_lanes = 0xffffffffu;

constexpr mask bit(int lane) { return mask{1} << lane; }

struct alignas(64) lanes {
  std::uint64_t v[warp_size];
};

/// The low bits of a register as a T, which is how PTX reads one.
template <class T> T as(std::uint64_t bits) {
  if constexpr (sizeof(T) == 8)
    return std::bit_cast<T>(bits);
  else if constexpr (sizeof(T) == 4)
    return std::bit_cast<T>(static_cast<std::uint32_t>(bits));
  else if constexpr (sizeof(T) == 2)
    return std::bit_cast<T>(static_cast<std::uint16_t>(bits));
  else
    return std::bit_cast<T>(static_cast<std::uint8_t>(bits));
}

/// A T as a register holds it: signed integers extended by their sign, all else by zeros.
template <class T> std::uint64_t bits_of(T x) {
  if constexpr (std::is_integral_v<T>)
    return static_cast<std::uint64_t>(x);
  else if constexpr (sizeof(T) == 8)
    return std::bit_cast<std::uint64_t>(x);
  else if constexpr (sizeof(T) == 4)
    return std::bit_cast<std::uint32_t>(x);
  else
    return std::bit_cast<std::uint16_t>(x);
}

/// Calls f(lane) for the lanes of a set, in order.
template <class F> void for_each(mask set, F&& f) {
  if (set == all_lanes)
    for (int lane = 0; lane < warp_size; ++lane) f(lane);
  else
    for (; set != 0; set &= set - 1) f(std::countr_zero(set));
}

}  // namespace ptx
