/// \file
/// The arithmetic of an `exact_sum` that is spread over a warp: lane k < 16 holds word k. Plain
/// values only, so that a test on the host runs the 32 lanes one after the other
/// (cuda/exact_sum.cuh runs them).
///
/// A term x is split exactly into a multiple of 2^(e - 21), a multiple of 2^(e - 44) and a rest
/// that is almost always 0, where 2^e <= largest |x| of the warp < 2^(e + 1). Both multiples are
/// integers of at most 2^22 in magnitude, read off the bits of x + 1.5 2^(e + 2), so a warp's sum
/// of up to 8 terms a lane fits into 32 bits. The same scheme as core/sum_pack.hpp; all of it is
/// exact.
#pragma once

#include <hence/core/num.hpp>
#include <hence/core/sum.hpp>

namespace hence::inline v0::detail {

/// The part of a term that belongs to one word.
HENCE_FN constexpr std::int64_t word_of(const exact_sum::parts& p, int word) {
  const int i = word - p.first;
  return i == 0 ? p.word[0] : i == 1 ? p.word[1] : i == 2 ? p.word[2] : 0;
}

/// What word k hands to word k + 1, to be taken off as carry 2^32; the words of counts hand on
/// nothing.
HENCE_FN constexpr std::int64_t carry_of(std::int64_t value, int word) {
  return word < exact_sum::limbs - 1 ? value >> 32 : 0;
}

/// How the terms of a warp are split, from the bits of the largest magnitude.
struct term_splitter {
  int exponent;  ///< e
  bool usable;   ///< else (infinities, NaN, the ends of the range) every term is a rest
  num<float> coarse, fine;

  HENCE_FN constexpr explicit term_splitter(std::int32_t largest)
      : exponent((largest >> 23) - 127),
        usable(exponent >= -80 && exponent <= 120),
        coarse(power(usable ? exponent + 2 : 0)),
        fine(power(usable ? exponent - 21 : 0)) {}

 private:
  /// 1.5 2^e.
  static HENCE_FN constexpr float power(int e) {
    return __builtin_bit_cast(float, (e + 127) << 23 | 0x400000);
  }
};

/// x = coarse 2^(e - 21) + fine 2^(e - 44) + rest.
struct split_term {
  std::int32_t coarse, fine;
  num<float> rest;

  HENCE_FN constexpr split_term(num<float> x, const term_splitter& s)
      : coarse(0), fine(0), rest(x) {
    if (!s.usable) return;
    const num<float> t = x + s.coarse, left = x - (t - s.coarse), u = left + s.fine;
    coarse = to_bits(t) - to_bits(s.coarse);
    fine = to_bits(u) - to_bits(s.fine);
    rest = left - (u - s.fine);
  }
};

/// The parts of a warp's integer sums.
HENCE_FN constexpr exact_sum::parts coarse_parts(std::int64_t sum, const term_splitter& s) {
  return exact_sum::parts_of(sum, s.exponent - 21);
}
HENCE_FN constexpr exact_sum::parts fine_parts(std::int64_t sum, const term_splitter& s) {
  return exact_sum::parts_of(sum, s.exponent - 44);
}

}  // namespace hence::inline v0::detail
