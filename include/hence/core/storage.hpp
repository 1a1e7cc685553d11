/// \file
/// `bf16` and `f16`: 16-bit floats to store, not to calculate with. They widen to float exactly and
/// are rounded from float to nearest even, by integer arithmetic, so that no flag changes a bit.
///
/// Their layouts are those of `__nv_bfloat16` and `__half`, `at::BFloat16` and `at::Half`.
#pragma once

#include <hence/core/num.hpp>

namespace hence::inline v0 {

/// 8 bits of exponent and 7 of mantissa: the upper half of a float.
struct bf16 {
  std::uint16_t bits;

  bf16() = default;
  /// Rounds to nearest even, subnormals too. A NaN stays a NaN and becomes quiet.
  explicit HENCE_FN constexpr bf16(float x) : bits(rounded(__builtin_bit_cast(std::uint32_t, x))) {}
  HENCE_FN constexpr operator float() const {
    return __builtin_bit_cast(float, std::uint32_t{bits} << 16);
  }

 private:
  static HENCE_FN constexpr std::uint16_t rounded(std::uint32_t x) {
    const std::uint32_t even = (x + 0x7fffu + ((x >> 16) & 1u)) >> 16;
    const bool is_nan = (x & 0x7fffffffu) > 0x7f800000u;
    return static_cast<std::uint16_t>(is_nan ? (x >> 16) | 0x40u : even);
  }
};

/// IEEE 754 binary16: 5 bits of exponent and 10 of mantissa, largest number 65504.
struct f16 {
  std::uint16_t bits;

  f16() = default;
  /// Rounds to nearest even, to infinity from 65520 on. A NaN stays a NaN and becomes quiet.
  explicit HENCE_FN constexpr f16(float x) : bits(rounded(__builtin_bit_cast(std::uint32_t, x))) {}
  HENCE_FN constexpr operator float() const {
    const std::uint32_t size = (bits & 0x7fffu) << 13, exponent = size & 0x0f800000u;
    const std::uint32_t sign = (bits & 0x8000u) << 16;
    const std::uint32_t bias = exponent == 0x0f800000u ? 224u << 23 : 112u << 23;
    // A subnormal is 2^-14 less than the same mantissa with exponent 1.
    const std::uint32_t first = exponent == 0 ? 1u << 23 : 0u;
    const float less = exponent == 0 ? 0x1p-14f : 0.0f;
    const float wide =
        detail::arithmetic<float>::sub(__builtin_bit_cast(float, size + bias + first), less);
    return __builtin_bit_cast(float, sign | __builtin_bit_cast(std::uint32_t, wide));
  }

 private:
  static HENCE_FN constexpr std::uint16_t rounded(std::uint32_t x) {
    const std::uint32_t size = x & 0x7fffffffu, sign = (x >> 16) & 0x8000u;
    if (size > 0x7f800000u) {
      return static_cast<std::uint16_t>(sign | 0x7e00u | ((size >> 13) & 0x3ffu));
    }
    if (size >= 0x477ff000u) return static_cast<std::uint16_t>(sign | 0x7c00u);
    // In units of f16's last place: 2^-24 for its subnormals, where the mantissa loses `drop` bits.
    const std::uint32_t exponent = size >> 23;
    const bool normal = exponent > 112;
    const std::uint32_t drop = normal ? 13u : (exponent < 102 ? 25u : 126u - exponent);
    const std::uint32_t mantissa = normal ? size - (112u << 23) : (size & 0x7fffffu) | 0x800000u;
    const std::uint32_t odd = (mantissa >> drop) & 1u;
    return static_cast<std::uint16_t>(sign | ((mantissa + (1u << (drop - 1)) - 1u + odd) >> drop));
  }
};

}  // namespace hence::inline v0
