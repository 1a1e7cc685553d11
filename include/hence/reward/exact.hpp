/// \file
/// Numbers without rounding: rationals of 128-bit numerators and denominators, and the normal form
/// q sqrt(n) pi^k with n free of squares, in which two numbers are equal exactly if their parts
/// are. What does not fit is a fault, never a wrong value.
#pragma once

#include <hence/core/isa.hpp>

#include <cstdint>  // uint64_t

namespace hence::inline v0::reward {

/// 128 bits, for products of two numbers of 64.
__extension__ typedef __int128 wide;
/// The same without a sign.
__extension__ typedef unsigned __int128 unsigned_wide;

/// Why a text or an operation has no exact value.
enum class exact_fault : std::uint8_t {
  none,
  syntax,            ///< not an expression of the grammar
  depth,             ///< nested deeper than 32 levels, or longer than 256 bytes
  overflow,          ///< beyond 126 bits, or a root whose squares are not looked for
  division_by_zero,  ///< a zero denominator, or zero to a power below one
  not_exact,         ///< not of the form q sqrt(n) pi^k
};

namespace detail {

// Builtins: <bit>'s functions would be shared by units of different instruction sets.
HENCE_FN constexpr int trailing_zeros(std::uint64_t x) { return __builtin_ctzll(x); }
HENCE_FN constexpr int trailing_zeros(unsigned_wide x) {
  const auto low = static_cast<std::uint64_t>(x);
  return low != 0 ? __builtin_ctzll(low)
                  : 64 + __builtin_ctzll(static_cast<std::uint64_t>(x >> 64));
}
HENCE_FN constexpr int bit_width(unsigned_wide x) {
  const auto high = static_cast<std::uint64_t>(x >> 64), low = static_cast<std::uint64_t>(x);
  return high != 0 ? 128 - __builtin_clzll(high) : low != 0 ? 64 - __builtin_clzll(low) : 0;
}
HENCE_FN constexpr unsigned_wide magnitude(wide x) {
  return x < 0 ? 0 - static_cast<unsigned_wide>(x) : static_cast<unsigned_wide>(x);
}

/// Stein's algorithm; no division.
template <class Isa, class U> constexpr U gcd(U a, U b) {
  if (a == 0 || b == 0) return a | b;
  const int shift = trailing_zeros(a | b);
  a >>= trailing_zeros(a);
  while (b != 0) {
    b >>= trailing_zeros(b);
    if (a > b) {
      const U t = a;
      a = b, b = t;
    }
    b -= a;
  }
  return a << shift;
}
template <class Isa> constexpr unsigned_wide common(unsigned_wide a, unsigned_wide b) {
  if ((a | b) >> 64 == 0)
    return gcd<Isa>(static_cast<std::uint64_t>(a), static_cast<std::uint64_t>(b));
  return gcd<Isa>(a, b);
}

/// The largest r with r^k <= n, n < 2^127 (a sum of two numbers of 126 bits), k >= 2.
template <class Isa> constexpr unsigned_wide integer_root(unsigned_wide n, int k) {
  unsigned_wide root = 0;
  for (int bit = (bit_width(n) + k - 1) / k; bit >= 0; --bit) {
    const unsigned_wide tried = root | unsigned_wide{1} << bit;
    unsigned_wide power = 1;
    bool fits = true;
    for (int i = 0; fits && i < k; ++i) {
      fits = bit_width(power) + bit_width(tried) <= 128 && power * tried <= n;
      power *= tried;
    }
    if (fits) root = tried;
  }
  return root;
}

}  // namespace detail

/// q sqrt(root) pi^pi, q = num / den in lowest terms with den > 0, root free of squares. Zero is
/// 0/1 sqrt(1) pi^0. With a fault the other members mean nothing.
struct exact {
  wide num, den;
  std::uint64_t root;
  int pi;
  exact_fault fault;

  HENCE_FN constexpr bool ok() const { return fault == exact_fault::none; }
  /// Without a root and without pi.
  HENCE_FN constexpr bool rational() const { return ok() && root == 1 && pi == 0; }
  /// A whole number.
  HENCE_FN constexpr bool integer() const { return rational() && den == 1; }
  /// Whether both have a value and it is the same one.
  friend HENCE_FN constexpr bool operator==(const exact& a, const exact& b) {
    return a.ok() && b.ok() && a.num == b.num && a.den == b.den && a.root == b.root && a.pi == b.pi;
  }
};

namespace detail {

HENCE_FN constexpr exact fail(exact_fault f) { return {0, 1, 1, 0, f}; }

/// The product, if it surely fits 126 bits.
HENCE_FN constexpr bool multiply(wide a, wide b, wide& product) {
  if (bit_width(magnitude(a)) + bit_width(magnitude(b)) > 126) return false;
  product = a * b;
  return true;
}

/// Brings num / den to lowest terms and zero to its one form.
template <class Isa> constexpr exact reduced(exact x) {
  if (!x.ok()) return x;
  if (x.den == 0) return fail(exact_fault::division_by_zero);
  if (x.den < 0) x.num = -x.num, x.den = -x.den;
  if (x.num == 0) return fail(exact_fault::none);
  if (x.den != 1) {
    const auto g =
        static_cast<wide>(common<Isa>(magnitude(x.num), static_cast<unsigned_wide>(x.den)));
    if (g != 1) x.num /= g, x.den /= g;
  }
  return x;
}

}  // namespace detail

/// num/den in lowest terms; a fault if den is 0.
template <class Isa = native_isa> constexpr exact exact_ratio(wide num, wide den) {
  return detail::reduced<Isa>({num, den, 1, 0, exact_fault::none});
}

/// -x.
HENCE_FN constexpr exact negated(exact x) {
  x.num = -x.num;
  return x;
}

/// a + b, where both have the same root and power of pi; else a fault.
template <class Isa = native_isa> constexpr exact add(exact a, exact b) {
  if (!a.ok()) return a;
  if (!b.ok()) return b;
  if (a.num == 0) return b;
  if (b.num == 0) return a;
  if (a.root != b.root || a.pi != b.pi) return detail::fail(exact_fault::not_exact);
  wide left = 0, right = 0;
  if (!detail::multiply(a.num, b.den, left) || !detail::multiply(b.num, a.den, right) ||
      !detail::multiply(a.den, b.den, a.den))
    return detail::fail(exact_fault::overflow);
  a.num = left + right;  // each below 2^126
  return detail::reduced<Isa>(a);
}

/// a b in lowest terms; a fault if it does not fit.
template <class Isa = native_isa> constexpr exact multiply(exact a, exact b) {
  if (!a.ok()) return a;
  if (!b.ok()) return b;
  // sqrt(u) sqrt(v) = g sqrt(u/g v/g), g the common divisor
  const std::uint64_t g = detail::gcd<Isa>(a.root, b.root);
  const unsigned_wide root = static_cast<unsigned_wide>(a.root / g) * (b.root / g);
  exact x{0, 1, 1, 0, exact_fault::none};
  if (!detail::multiply(a.num, b.num, x.num) || !detail::multiply(a.den, b.den, x.den) ||
      !detail::multiply(x.num, static_cast<wide>(g), x.num) || root >> 62 != 0)
    return detail::fail(exact_fault::overflow);
  x.root = static_cast<std::uint64_t>(root);
  x.pi = a.pi + b.pi;
  if (x.pi > 64 || x.pi < -64) return detail::fail(exact_fault::overflow);
  return detail::reduced<Isa>(x);
}

/// 1 / x, whose root is sqrt(n) / n.
template <class Isa = native_isa> constexpr exact inverse(exact x) {
  if (!x.ok()) return x;
  if (x.num == 0) return detail::fail(exact_fault::division_by_zero);
  exact y{x.den, x.num, x.root, -x.pi, exact_fault::none};
  if (!detail::multiply(y.den, static_cast<wide>(x.root), y.den))
    return detail::fail(exact_fault::overflow);
  return detail::reduced<Isa>(y);
}
/// a/b in lowest terms; a fault if it does not fit or b is 0.
template <class Isa = native_isa> constexpr exact divide(exact a, exact b) {
  return multiply<Isa>(a, inverse<Isa>(b));
}

/// x^n for |n| <= 126; 0^n for n < 1 has no value.
template <class Isa = native_isa> constexpr exact power(exact x, wide n) {
  if (!x.ok()) return x;
  if (x.num == 0 && n < 1) return detail::fail(exact_fault::division_by_zero);
  if (n < 0) x = inverse<Isa>(x), n = -n;
  if (n > 126 && x.integer() && (x.num == 1 || x.num == -1 || x.num == 0))
    n = n % 2 == 0 ? 2 : 1;  // the only bases whose high powers fit
  if (n > 126) return detail::fail(exact_fault::overflow);
  exact y{1, 1, 1, 0, exact_fault::none};
  for (; n > 0 && y.ok(); --n) y = multiply<Isa>(y, x);
  return y;
}

namespace detail {

/// n = side^2 free, free without squares.
struct square_parts {
  std::uint32_t side, free;
};
/// Divides by the numbers up to the cube root, at most 1625, that 2 and 3 do not divide.
template <class Isa> constexpr square_parts split_square(std::uint32_t n) {
  square_parts parts{1, 1};
  const auto take = [&](std::uint32_t p) {
    if (n % p != 0) return;
    while (n % (p * p) == 0) n /= p * p, parts.side *= p;
    if (n % p == 0) n /= p, parts.free *= p;
  };
  take(2), take(3);
  for (std::uint32_t p = 5; std::uint64_t{p} * p * p <= n; p += 6) take(p), take(p + 2);
  // what is left is 1, a prime, two primes or the square of one
  const auto r = static_cast<std::uint32_t>(integer_root<Isa>(n, 2));
  if (r * r == n)
    parts.side *= r;
  else
    parts.free *= n;
  return parts;
}

}  // namespace detail

/// The k-th root of a rational, k >= 2. Square roots have a value where num and den are squares or
/// below 2^32, roots of higher order where they are powers or reduce to square roots.
template <class Isa = native_isa> constexpr exact root_of(exact x, int k) {
  if (!x.ok()) return x;
  if (!x.rational() || k < 2 || k > 126) return detail::fail(exact_fault::not_exact);
  if (x.num == 0) return x;
  const bool negative = x.num < 0;
  if (negative && k % 2 == 0) return detail::fail(exact_fault::not_exact);
  const auto num = detail::magnitude(x.num), den = static_cast<unsigned_wide>(x.den);
  const auto whole = [&](unsigned_wide n) {  // its root if it is an integer, else 0
    const unsigned_wide r = detail::integer_root<Isa>(n, k);
    unsigned_wide p = 1;
    for (int i = 0; i < k; ++i) p *= r;
    return p == n ? r : unsigned_wide{0};
  };
  const unsigned_wide a = whole(num), b = whole(den);
  if (a != 0 && b != 0)
    return exact_ratio<Isa>(negative ? -static_cast<wide>(a) : static_cast<wide>(a),
                            static_cast<wide>(b));
  // the sixth root of 8 is the square root of 2
  if (k % 2 == 0 && k != 2) return root_of<Isa>(root_of<Isa>(x, k / 2), 2);
  if (k != 2) return detail::fail(exact_fault::not_exact);
  // sqrt(num / den) = sqrt(num den) / den; num and den have no common factor
  if ((num | den) >> 32 != 0) return detail::fail(exact_fault::overflow);
  const auto above = detail::split_square<Isa>(static_cast<std::uint32_t>(num));
  const auto below = detail::split_square<Isa>(static_cast<std::uint32_t>(den));
  const std::uint64_t free = std::uint64_t{above.free} * below.free;
  if (free >> 62 != 0) return detail::fail(exact_fault::overflow);
  return detail::reduced<Isa>({static_cast<wide>(above.side) * below.side, static_cast<wide>(den),
                               free, 0, exact_fault::none});
}

}  // namespace hence::inline v0::reward
