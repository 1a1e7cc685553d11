/// \file
/// Loads and stores between storage (float, bf16, f16, bytes) and the numbers that formulas are
/// made of: `num` one element, `pack` a register's worth, with the same bits.
#pragma once

#include <hence/core/pack.hpp>
#include <hence/core/storage.hpp>

namespace hence::inline v0::detail {

/// Elements that a number holds.
template <class V> constexpr int lane_count = 1;
template <class T, class Isa> constexpr int lane_count<pack<T, Isa>> = pack<T, Isa>::lanes;

/// Whether a comparison of numbers or of packs holds in any lane.
template <class M> HENCE_FN bool any_lane(M mask) {
  if constexpr (std::convertible_to<M, bool>)
    return mask;
  else
    return any(mask);
}

/// Whether low < a and b < high, for one number.
template <class V>
  requires(lane_count<V> == 1)
HENCE_FN bool all_within(V low, V a, V b, V high) {
  return low < a && b < high;
}

/// What logits are stored as.
template <class T>
concept stored_logit = std::same_as<T, float> || std::same_as<T, bf16> || std::same_as<T, f16>;

// ---- one element
template <class V, class T>
  requires(lane_count<V> == 1)
HENCE_FN V load_as(const T* p) {
  return V(static_cast<typename V::scalar>(*p));
}
template <class V, class T>
  requires(lane_count<V> == 1)
HENCE_FN void store_as(T* p, V x) {
  *p = T(x.v);
}
template <class V>
  requires(lane_count<V> == 1)
HENCE_FN auto load_mask(const std::uint8_t* p) {
  return typename V::mask{*p != 0};
}

// ---- a register: unsigned integers of Bits bits, as many as V has lanes
template <class V, class U> struct narrow_lanes {
  typedef U type __attribute__((vector_size(sizeof(U) * unsigned(lane_count<V>))));
};
template <class V> using wide_lanes = typename narrow_lanes<V, std::uint32_t>::type;

template <class V, class U, class T> HENCE_FN wide_lanes<V> widened(const T* p) {
  typename narrow_lanes<V, U>::type narrow;
  __builtin_memcpy(&narrow, p, sizeof(narrow));
  return __builtin_convertvector(narrow, wide_lanes<V>);
}

template <class V, class T>
  requires(lane_count<V> > 1)
HENCE_FN V load_as(const T* p) {
  using I = typename V::ints;
  if constexpr (std::same_as<T, float>) {
    return V::load(p);
  } else if constexpr (std::same_as<T, bf16>) {
    return from_bits(V(), (I)(widened<V, std::uint16_t>(p) << 16));
  } else {
    static_assert(std::same_as<T, f16>);
    // As f16's conversion: exponents move by 112, those of infinity and NaN by 224; a subnormal is
    // 2^-14 less than the same mantissa with exponent 1.
    const wide_lanes<V> half = widened<V, std::uint16_t>(p);
    const I size = (I)((half & 0x7fffu) << 13), exponent = size & 0x0f800000;
    const I top = exponent == 0x0f800000, low = exponent == 0;
    const I biased = size + (112 << 23) + (top & (112 << 23)) + (low & (1 << 23));
    const V less = from_bits(V(), low & 0x38800000);
    return from_bits(V(), to_bits(from_bits(V(), biased) - less) | (I)((half & 0x8000u) << 16));
  }
}

template <class V, class T>
  requires(lane_count<V> > 1)
HENCE_FN void store_as(T* p, V x) {
  if constexpr (std::same_as<T, float>) {
    x.store(p);
  } else if constexpr (std::same_as<T, bf16>) {
    const auto bits = (wide_lanes<V>)to_bits(x);
    const auto even = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    const auto is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
    const auto chosen = is_nan ? (bits >> 16) | 0x40u : even;
    const auto narrow =
        __builtin_convertvector(chosen, typename narrow_lanes<V, std::uint16_t>::type);
    __builtin_memcpy(p, &narrow, sizeof(narrow));
  } else {
    for (int i = 0; i < lane_count<V>; ++i) p[i] = T(x.v[i]);
  }
}

/// Nonzero bytes as a mask of lanes.
template <class V>
  requires(lane_count<V> > 1)
HENCE_FN auto load_mask(const std::uint8_t* p) {
  return typename V::mask{widened<V, std::uint8_t>(p) != 0u};
}

}  // namespace hence::inline v0::detail
