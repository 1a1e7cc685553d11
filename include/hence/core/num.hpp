/// \file
/// `num<T>`: a scalar whose arithmetic no compiler may contract, reorder or approximate.
///
/// Every operation rounds once, to nearest: `a * b + c` is two roundings on every compiler and on
/// the GPU, `fma(a, b, c)` is one. Rules never see a built-in float; they see `num`, `pack`
/// (core/pack.hpp) and `dual` (core/dual.hpp) of these, and find `min`, `clamp`, `exp`, `select` by
/// ADL.
#pragma once

#include <hence/core/isa.hpp>

#include <concepts>     // same_as
#include <cstdint>      // int32_t
#include <type_traits>  // is_constant_evaluated

namespace hence::inline v0 {

namespace detail {

/// Hides a value from the optimiser, so that the multiplication that made it stays a
/// multiplication.
template <class T> HENCE_FN constexpr T pinned(T x) {
#if !defined(__CUDA_ARCH__)
  if (!std::is_constant_evaluated()) {
#  if defined(__AVX512F__)
    if constexpr (sizeof(T) <= 8 || sizeof(T) == 64)
      __asm__("" : "+v"(x));
    else
      __asm__("" : "+x"(x));
#  elif defined(__x86_64__)
    __asm__("" : "+x"(x));
#  elif defined(__aarch64__)
    __asm__("" : "+w"(x));
#  else
    __asm__("" : "+m"(x));
#  endif
  }
#endif
  return x;
}

/// Correctly rounded fp32 fma without FMA hardware: the product is exact in double, the sum is
/// rounded to odd there, so that the second rounding to float sees which side of a tie it was on.
HENCE_FN constexpr float fma_by_double(float a, float b, float c) {
  const double p = static_cast<double>(a) * b;
  const double s = p + c;
  const double tail = s - p;
  const double error = (p - (s - tail)) + (c - tail);
  auto bits = __builtin_bit_cast(std::int64_t, s);
  if ((error > 0 || error < 0) && (bits & 1) == 0) bits += (error > 0) == (s > 0) ? 1 : -1;
  return static_cast<float>(__builtin_bit_cast(double, bits));
}

/// The four operations and fma on built-in types, each rounded once.
template <class T> struct arithmetic {
  static HENCE_FN constexpr T mul(T a, T b) { return a * b; }
  static HENCE_FN constexpr T add(T a, T b) { return a + b; }
  static HENCE_FN constexpr T sub(T a, T b) { return a - b; }
  static HENCE_FN constexpr T div(T a, T b) { return a / b; }
  static HENCE_FN constexpr T fma(T a, T b, T c) {
    return a * b + c;
  }  // for wide oracle types only
};

template <> struct arithmetic<float> {
#if defined(__CUDA_ARCH__)
  static HENCE_FN float mul(float a, float b) { return __fmul_rn(a, b); }
  static HENCE_FN float add(float a, float b) { return __fadd_rn(a, b); }
  static HENCE_FN float sub(float a, float b) { return __fsub_rn(a, b); }
  static HENCE_FN float div(float a, float b) { return __fdiv_rn(a, b); }
  // nvcc turns __fmaf_rn(-1, b, c) into a subtraction that names no rounding
  static HENCE_FN float fma(float a, float b, float c) {
    __asm__("fma.rn.f32 %0, %1, %2, %0;" : "+f"(c) : "f"(a), "f"(b));
    return c;
  }
#else
  static HENCE_FN constexpr float mul(float a, float b) { return pinned(a * b); }
  static HENCE_FN constexpr float add(float a, float b) { return a + b; }
  static HENCE_FN constexpr float sub(float a, float b) { return a - b; }
  static HENCE_FN constexpr float div(float a, float b) { return a / b; }
  static HENCE_FN float fma(float a, float b, float c) {
#  if defined(__FMA__) || defined(__aarch64__)
    return __builtin_fmaf(a, b, c);
#  else
    return fma_by_double(a, b, c);
#  endif
  }
#endif
};

template <> struct arithmetic<double> {
#if defined(__CUDA_ARCH__)
  static HENCE_FN double mul(double a, double b) { return __dmul_rn(a, b); }
  static HENCE_FN double add(double a, double b) { return __dadd_rn(a, b); }
  static HENCE_FN double sub(double a, double b) { return __dsub_rn(a, b); }
  static HENCE_FN double div(double a, double b) { return __ddiv_rn(a, b); }
  static HENCE_FN double fma(double a, double b, double c) {
    __asm__("fma.rn.f64 %0, %1, %2, %0;" : "+d"(c) : "d"(a), "d"(b));
    return c;
  }
#else
  static HENCE_FN constexpr double mul(double a, double b) { return pinned(a * b); }
  static HENCE_FN constexpr double add(double a, double b) { return a + b; }
  static HENCE_FN constexpr double sub(double a, double b) { return a - b; }
  static HENCE_FN constexpr double div(double a, double b) { return a / b; }
  static HENCE_FN double fma(double a, double b, double c) { return __builtin_fma(a, b, c); }
#endif
};

template <class T> struct always_false {
  static constexpr bool value = false;
};

}  // namespace detail

/// A scalar of type T (float, double; wider in tests). \tparam Isa keeps differently compiled
/// translation units apart.
template <class T, class Isa = native_isa> struct num {
  using scalar = T;
  /// What a comparison gives: a bool whose `&`, `|` and `!` are spelt like those of a pack's mask,
  /// and that finds `select` for two plain numbers too.
  struct mask {
    bool m;  ///< the condition
    HENCE_FN constexpr operator bool() const { return m; }
    friend HENCE_FN constexpr mask operator&(mask a, mask b) { return {a.m && b.m}; }
    friend HENCE_FN constexpr mask operator|(mask a, mask b) { return {a.m || b.m}; }
    friend HENCE_FN constexpr mask operator!(mask a) { return {!a.m}; }
  };
  T v;  ///< the number

  num() = default;
  HENCE_FN constexpr num(T x) : v(x) {}
  /// Whole numbers convert, as in `2 * ratio`; a float widens. A double never narrows silently.
  template <class N>
    requires(!std::same_as<N, T> && (std::integral<N> || std::floating_point<N>))
  HENCE_FN constexpr num(N x) : v(static_cast<T>(x)) {
    static_assert(std::integral<N> || sizeof(N) <= sizeof(T),
                  "hence: a float64 number meets float32 arithmetic; write 0.5f, or give the rule "
                  "members of the loss's own type");
  }

  friend HENCE_FN constexpr num operator+(num a, num b) { return {ops::add(a.v, b.v)}; }
  friend HENCE_FN constexpr num operator-(num a, num b) { return {ops::sub(a.v, b.v)}; }
  friend HENCE_FN constexpr num operator*(num a, num b) { return {ops::mul(a.v, b.v)}; }
  friend HENCE_FN constexpr num operator/(num a, num b) { return {ops::div(a.v, b.v)}; }
  friend HENCE_FN constexpr num operator-(num a) { return {-a.v}; }
  friend HENCE_FN constexpr mask operator<(num a, num b) { return mask{a.v < b.v}; }
  friend HENCE_FN constexpr mask operator<=(num a, num b) { return mask{a.v <= b.v}; }
  friend HENCE_FN constexpr mask operator>(num a, num b) { return mask{a.v > b.v}; }
  friend HENCE_FN constexpr mask operator>=(num a, num b) { return mask{a.v >= b.v}; }
  friend HENCE_FN constexpr mask operator==(num a, num b) { return mask{a.v == b.v}; }
  friend HENCE_FN constexpr mask operator!=(num a, num b) { return mask{a.v != b.v}; }

  /// a b + c with one rounding.
  friend HENCE_FN constexpr num fma(num a, num b, num c) { return {ops::fma(a.v, b.v, c.v)}; }
  /// `m ? a : b`.
  friend HENCE_FN constexpr num select(bool m, num a, num b) { return m ? a : b; }
  friend HENCE_FN constexpr num abs(num a) {
    if constexpr (std::same_as<T, float>) {
      return {__builtin_bit_cast(float, __builtin_bit_cast(std::int32_t, a.v) & 0x7fffffff)};
    } else if constexpr (std::same_as<T, double>) {  // no sum: on a device its rounding has no name
      return {
          __builtin_bit_cast(double, __builtin_bit_cast(std::int64_t, a.v) & 0x7fffffffffffffff)};
    } else {
      return {a.v < T(0) ? -a.v : a.v + T(0)};
    }
  }
  /// `a < b ? a : b`, so that a NaN in b survives; the same on every executor.
  friend HENCE_FN constexpr num lesser(num a, num b) { return a.v < b.v ? a : b; }
  /// `a > b ? a : b`.
  friend HENCE_FN constexpr num greater(num a, num b) { return a.v > b.v ? a : b; }
  /// The smaller; b at a tie and where a is NaN.
  friend HENCE_FN constexpr num min(num a, num b) { return lesser(a, b); }
  /// The larger; b at a tie and where a is NaN.
  friend HENCE_FN constexpr num max(num a, num b) { return greater(a, b); }

 private:
  using ops = detail::arithmetic<T>;
};

namespace detail {

/// Whether V is a `num` or a `pack`, and whether of fp32: the types that formulas are made of.
template <class V> constexpr bool is_number = false;
template <class T, class Isa> constexpr bool is_number<num<T, Isa>> = true;
template <class V> constexpr bool is_fp32 = false;
template <class Isa> constexpr bool is_fp32<num<float, Isa>> = true;

/// The float's bit pattern as a signed integer, and back.
template <class Isa> HENCE_FN constexpr std::int32_t to_bits(num<float, Isa> x) {
  return __builtin_bit_cast(std::int32_t, x.v);
}
template <class Isa> HENCE_FN constexpr num<float, Isa> from_bits(num<float, Isa>, std::int32_t i) {
  return {__builtin_bit_cast(float, i)};
}
/// i << n without the signed-overflow rule.
HENCE_FN constexpr std::int32_t shift_left(std::int32_t i, int n) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(i) << n);
}

}  // namespace detail

}  // namespace hence::inline v0
