/// \file
/// `pack<T>`: one native vector register of T with num's operations, lane by lane and bit by bit.
///
/// Built on the compiler's vector extension: no intrinsics header (which costs half a second), no
/// library. Only fma, min and max name an instruction, since the language has no spelling for them.
#pragma once

#include <hence/core/num.hpp>

namespace hence::inline v0 {

namespace detail {

template <class T> struct lane_int;
template <> struct lane_int<float> {
  using type = std::int32_t;
};
template <> struct lane_int<double> {
  using type = std::int64_t;
};

template <class T, int Bytes> struct vector_of;
template <class T> struct vector_of<T, 16> {
  typedef T type __attribute__((vector_size(16)));
};
template <class T> struct vector_of<T, 32> {
  typedef T type __attribute__((vector_size(32)));
};
template <class T> struct vector_of<T, 64> {
  typedef T type __attribute__((vector_size(64)));
};

#if defined(__clang__)
template <int Lanes>
constexpr auto every_lane =
    static_cast<std::conditional_t<Lanes == 16, unsigned short, unsigned char>>(-1);
#else
template <int Lanes>
constexpr auto every_lane = static_cast<std::conditional_t<Lanes == 16, short, char>>(-1);
#endif

/// One fused multiply-add per lane. Code for any x86-64 asks the CPU at run time: nearly all have
/// the instruction, and 40 fused operations take the time of one without it. The bits are the same.
template <class T, class V> HENCE_FN V fma_lanes(V a, V b, V c) {
#if defined(__AVX512F__)
  if constexpr (sizeof(V) == 64 && sizeof(T) == 4)
    return __builtin_ia32_vfmaddps512_mask(a, b, c, every_lane<16>, 4);
  else if constexpr (sizeof(V) == 64)
    return __builtin_ia32_vfmaddpd512_mask(a, b, c, static_cast<unsigned char>(255), 4);
  else
#endif
#if defined(__FMA__)
      if constexpr (sizeof(V) == 32 && sizeof(T) == 4)
    return __builtin_ia32_vfmaddps256(a, b, c);
  else if constexpr (sizeof(V) == 32)
    return __builtin_ia32_vfmaddpd256(a, b, c);
  else
#elif defined(__x86_64__)
  if (__builtin_cpu_supports("fma")) {
    if constexpr (sizeof(T) == 4)
      __asm__("vfmadd231ps %2, %1, %0" : "+x"(c) : "x"(a), "x"(b));
    else
      __asm__("vfmadd231pd %2, %1, %0" : "+x"(c) : "x"(a), "x"(b));
    return c;
  }
#endif
  {
    for (int i = 0; i < int(sizeof(V) / sizeof(T)); ++i)
      c[i] = arithmetic<T>::fma(a[i], b[i], c[i]);
    return c;
  }
}

/// `a < b ? a : b` per lane: what x86's min does, NaN and zeros included.
template <class T, class V> HENCE_FN V lesser_lanes(V a, V b) {
#if defined(__AVX512F__) && defined(__clang__)
  if constexpr (sizeof(V) == 64 && sizeof(T) == 4)
    return __builtin_ia32_minps512(a, b, 4);
  else
#elif defined(__AVX512F__)
  if constexpr (sizeof(V) == 64 && sizeof(T) == 4)
    return __builtin_ia32_minps512_mask(a, b, a, every_lane<16>, 4);
  else
#endif
#if defined(__AVX__)
      if constexpr (sizeof(V) == 32 && sizeof(T) == 4)
    return __builtin_ia32_minps256(a, b);
  else
#endif
    return a < b ? a : b;
}

/// `a > b ? a : b` per lane.
template <class T, class V> HENCE_FN V greater_lanes(V a, V b) {
#if defined(__AVX512F__) && defined(__clang__)
  if constexpr (sizeof(V) == 64 && sizeof(T) == 4)
    return __builtin_ia32_maxps512(a, b, 4);
  else
#elif defined(__AVX512F__)
  if constexpr (sizeof(V) == 64 && sizeof(T) == 4)
    return __builtin_ia32_maxps512_mask(a, b, a, every_lane<16>, 4);
  else
#endif
#if defined(__AVX__)
      if constexpr (sizeof(V) == 32 && sizeof(T) == 4)
    return __builtin_ia32_maxps256(a, b);
  else
#endif
    return a > b ? a : b;
}

}  // namespace detail

/// `lanes` values of T in one register. \tparam Isa sets the width and keeps translation units
/// apart.
template <class T, class Isa = native_isa> struct pack {
  using scalar = T;
  static constexpr int lanes = detail::register_bytes<Isa> / int(sizeof(T));
  /// The compiler's vector of `lanes` numbers.
  using vector = typename detail::vector_of<T, detail::register_bytes<Isa>>::type;
  /// Integers of the same width, as comparisons give.
  using ints = typename detail::vector_of<typename detail::lane_int<T>::type,
                                          detail::register_bytes<Isa>>::type;
  /// All ones in the lanes where a comparison holds.
  struct mask {
    ints m;  ///< all bits set where the condition holds
    friend HENCE_FN mask operator&(mask a, mask b) { return {a.m & b.m}; }
    friend HENCE_FN mask operator|(mask a, mask b) { return {a.m | b.m}; }
    friend HENCE_FN mask operator!(mask a) { return {~a.m}; }
    friend HENCE_FN mask operator&&(mask a, mask b) { return a & b; }  // both sides are computed
    friend HENCE_FN mask operator||(mask a, mask b) { return a | b; }
    /// Refused in one sentence: the lanes of a comparison may differ.
    template <class Bool> explicit operator Bool() const {
      static_assert(detail::always_false<Bool>::value,
                    "hence: a rule runs on many tokens at once, so a comparison is no bool: write "
                    "select(condition, a, b) for `condition ? a : b` and for `if`");
      return {};
    }
  };
  vector v;  ///< the numbers, one a lane

  pack() = default;
  HENCE_FN pack(vector x) : v(x) {}
  HENCE_FN pack(T x) : v(x - vector{}) {}
  HENCE_FN pack(num<T, Isa> x) : pack(x.v) {}
  template <class N>
    requires(!std::same_as<N, T> && (std::integral<N> || std::floating_point<N>))
  HENCE_FN pack(N x) : pack(num<T, Isa>(x)) {}

  /// `lanes` numbers from p on, of any alignment.
  static HENCE_FN pack load(const T* p) {
    pack r;
    __builtin_memcpy(&r.v, p, sizeof(vector));
    return r;
  }
  /// `lanes` numbers to p on, of any alignment.
  HENCE_FN void store(T* p) const { __builtin_memcpy(p, &v, sizeof(vector)); }

  friend HENCE_FN pack operator+(pack a, pack b) { return {a.v + b.v}; }
  friend HENCE_FN pack operator-(pack a, pack b) { return {a.v - b.v}; }
  friend HENCE_FN pack operator*(pack a, pack b) { return {detail::pinned(a.v * b.v)}; }
  friend HENCE_FN pack operator/(pack a, pack b) { return {a.v / b.v}; }
  friend HENCE_FN pack operator-(pack a) { return {-a.v}; }
  friend HENCE_FN mask operator<(pack a, pack b) { return {a.v < b.v}; }
  friend HENCE_FN mask operator<=(pack a, pack b) { return {a.v <= b.v}; }
  friend HENCE_FN mask operator>(pack a, pack b) { return {a.v > b.v}; }
  friend HENCE_FN mask operator>=(pack a, pack b) { return {a.v >= b.v}; }
  friend HENCE_FN mask operator==(pack a, pack b) { return {a.v == b.v}; }
  friend HENCE_FN mask operator!=(pack a, pack b) { return {a.v != b.v}; }

  friend HENCE_FN pack fma(pack a, pack b, pack c) { return {detail::fma_lanes<T>(a.v, b.v, c.v)}; }
  friend HENCE_FN pack select(mask m, pack a, pack b) { return {m.m ? a.v : b.v}; }
  friend HENCE_FN pack abs(pack a) {
    constexpr auto magnitude =
        static_cast<typename detail::lane_int<T>::type>(~(1ull << (8 * sizeof(T) - 1)));
    return {(vector)((ints)a.v & magnitude)};
  }
  friend HENCE_FN pack lesser(pack a, pack b) { return {detail::lesser_lanes<T>(a.v, b.v)}; }
  friend HENCE_FN pack greater(pack a, pack b) { return {detail::greater_lanes<T>(a.v, b.v)}; }
  /// The smaller; b at a tie and where a is NaN.
  friend HENCE_FN pack min(pack a, pack b) { return lesser(a, b); }
  /// The larger; b at a tie and where a is NaN.
  friend HENCE_FN pack max(pack a, pack b) { return greater(a, b); }
};

namespace detail {

template <class T, class Isa> constexpr bool is_number<pack<T, Isa>> = true;
template <class Isa> constexpr bool is_fp32<pack<float, Isa>> = true;

template <class T, class Isa> HENCE_FN auto to_bits(pack<T, Isa> x) {
  return (typename pack<T, Isa>::ints)x.v;
}
template <class T, class Isa>
HENCE_FN pack<T, Isa> from_bits(pack<T, Isa>, typename pack<T, Isa>::ints i) {
  return {(typename pack<T, Isa>::vector)i};
}
/// Whether the mask holds in any lane.
template <class M>
  requires requires(M mask) { mask.m; }
HENCE_FN bool any(M mask) {
#if defined(__AVX512F__)
  if constexpr (sizeof(mask.m) == 64) {
    typedef int words __attribute__((vector_size(64)));
    return __builtin_ia32_cmpd512_mask((words)mask.m, words{}, 1, 0xffff) !=
           0;  // below 0: all ones
  } else
#endif
#if defined(__AVX__)
      if constexpr (sizeof(mask.m) == 32) {
    typedef float floats __attribute__((vector_size(32)));
    return __builtin_ia32_movmskps256((floats)mask.m) != 0;
  } else
#endif
#if defined(__SSE2__)
      if constexpr (sizeof(mask.m) == 16) {
    typedef float floats __attribute__((vector_size(16)));
    return __builtin_ia32_movmskps((floats)mask.m) != 0;
  } else
#endif
  {
    std::int64_t words[sizeof(mask.m) / 8], all = 0;
    __builtin_memcpy(words, &mask.m, sizeof(words));
    for (const auto w : words) all |= w;
    return all != 0;
  }
}
/// Whether a < b in all lanes.
template <class Isa> HENCE_FN bool all_below(pack<float, Isa> a, pack<float, Isa> b) {
#if defined(__AVX512F__)
  if constexpr (sizeof(a.v) == 64)
    return __builtin_ia32_cmpps512_mask(a.v, b.v, 5, 0xffff, 4) == 0;  // 5: not below
  else
#endif
#if defined(__AVX__)
      if constexpr (sizeof(a.v) == 32)
    return __builtin_ia32_movmskps256(a.v < b.v) == 0xff;
  else
#endif
#if defined(__SSE2__)
      if constexpr (sizeof(a.v) == 16)
    return __builtin_ia32_movmskps(a.v < b.v) == 0xf;
  else
#endif
    return !any(!(a < b));
}
/// Whether low < a and b < high in all lanes.
template <class Isa>
HENCE_FN bool all_within(pack<float, Isa> low, pack<float, Isa> a, pack<float, Isa> b,
                         pack<float, Isa> high) {
#if defined(__AVX512F__)
  if constexpr (sizeof(a.v) == 64) {
    const auto above = __builtin_ia32_cmpps512_mask(a.v, low.v, 14, 0xffff, 4);  // 14: above
    return (unsigned short)__builtin_ia32_cmpps512_mask(b.v, high.v, 1, above, 4) == 0xffff;
  } else
#endif
    return !any(!((low < a) & (b < high)));
}
template <class Ints>
  requires(!std::integral<Ints>)
HENCE_FN Ints shift_left(Ints i, int n) {
  return i << n;
}

}  // namespace detail

}  // namespace hence::inline v0
