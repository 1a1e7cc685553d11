/// \file
/// `exact_sum`: the mathematically exact sum of floating-point numbers, rounded once at the end.
///
/// Because it is exact, its bits do not depend on the order of the terms, the lanes, the threads,
/// the micro-batches or the ranks. The state is an array of integers that merges by adding element
/// by element: an integer all-reduce (MPI_INT64_T, ncclInt64, sum) over `words()` merges ranks.
///
/// A long accumulator in base 2^32 (Kulisch; "small superaccumulator", Neal, arXiv:1505.05571):
/// limb k holds multiples of 2^(32 k - 224). Terms below 2^-224 lose those bits, towards zero;
/// terms of 2^159 and above count as infinite. Every fp32 value is exact, and so is a mean of fp32
/// values to 2^-224.
#pragma once

#include <hence/core/isa.hpp>

#include <cstdint>

namespace hence::inline v0 {

/// Accumulates float or double terms exactly. Trivially copyable; 16 words; host and device.
/// \tparam Isa keeps translation units apart.
template <class Isa> class basic_exact_sum {
 public:
  static constexpr int limbs = 13;  ///< words that hold the sum
  /// All words: the sum's, and counts of infinities and NaN.
  static constexpr int words_count = 16;
  static constexpr int lowest = 224;  ///< the lowest bit is 2^-224

  /// Adds one term. NaN and infinities are counted, not added.
  HENCE_HOST_DEVICE constexpr void add(double x) { add(parts_of(x)); }
  HENCE_FN constexpr void add(float x) { add(static_cast<double>(x)); }

  /// Adds n 2^exponent, |n| < 2^62.
  HENCE_HOST_DEVICE constexpr void add_scaled(std::int64_t n, int exponent) {
    add(parts_of(n, exponent));
  }

  /// What a term adds to three neighbouring words.
  struct parts {
    int first;             ///< the word that the first of them is added to
    std::int64_t word[3];  ///< what is added
  };
  HENCE_FN constexpr void add(const parts& p) {
    for (int i = 0; i < 3; ++i) words_[p.first + i] += p.word[i];
    if (++pending_ == (1 << 30)) normalise();
  }
  static HENCE_FN constexpr parts parts_of(double x) {
    const auto bits = __builtin_bit_cast(std::uint64_t, x);
    const int exponent = static_cast<int>(bits >> 52 & 0x7ff);
    if (exponent >= 0x3ff + 159) return {plus_infinities, {x > 0, x < 0, x != x}};
    // Zero and subnormals get a leading bit too: they are far below 2^-224 all the same.
    const auto significand = static_cast<std::int64_t>((bits & 0xfffffffffffffull) | 1ull << 52);
    return parts_of(bits >> 63 ? -significand : significand, exponent - 0x3ff - 52);
  }
  /// Of n 2^exponent, |n| < 2^62.
  static HENCE_FN constexpr parts parts_of(std::int64_t n, int exponent) {
    int position = exponent + lowest;
    if (position < 0) {  // drop bits below 2^-224, towards zero so that x and -x still cancel
      if (position <= -63) return {};
      n = n < 0 ? -(-n >> -position) : n >> -position;
      position = 0;
    }
    const int limb = position >> 5, shift = position & 31;
    // n 2^shift as low + middle 2^32 + high 2^64, low and middle in [0, 2^32)
    const auto low = static_cast<std::uint64_t>(n) << shift;
    const std::int64_t above = n >> (32 - shift);
    return {limb, {static_cast<std::int64_t>(low & 0xffffffffu), above & 0xffffffff, above >> 32}};
  }

  /// Merges another sum; associative and commutative to the bit.
  HENCE_HOST_DEVICE constexpr basic_exact_sum& operator+=(const basic_exact_sum& other) {
    basic_exact_sum b = other;
    normalise();
    b.normalise();
    for (int i = 0; i < words_count; ++i) words_[i] += b.words_[i];
    ++pending_;
    return *this;
  }

  /// The sum, rounded to nearest even; NaN or an infinity if the terms say so.
  HENCE_HOST_DEVICE constexpr double value() const {
    basic_exact_sum s = *this;
    return value_of(s.words_);
  }
  /// The sum whose words these are; leaves them spoilt.
  static HENCE_HOST_DEVICE constexpr double value_of(std::int64_t* words) {
    carry(words);
    if (words[nans] > 0 || (words[plus_infinities] > 0 && words[minus_infinities] > 0))
      return __builtin_nan("");
    if (words[plus_infinities] > 0) return __builtin_huge_val();
    if (words[minus_infinities] > 0) return -__builtin_huge_val();
    const bool negative = words[limbs - 1] < 0;
    if (negative) {
      for (int i = 0; i < limbs; ++i) words[i] = -words[i];
      carry(words);
    }
    int top = limbs - 1;
    while (top > 0 && words[top] == 0) --top;
    if (words[top] == 0) return 0.0;
    // The leading two limbs and as much of the third as makes 64 bits; everything below is sticky.
    const auto limb = [&](int i) { return i < 0 ? 0 : static_cast<std::uint64_t>(words[i]); };
    const std::uint64_t two = limb(top) << 32 | limb(top - 1);
    const int room = leading_zeros(static_cast<std::uint32_t>(limb(top)));  // < 32
    std::uint64_t head = two << room | limb(top - 2) >> (32 - room);
    std::uint64_t sticky = limb(top - 2) & ((1ull << (32 - room)) - 1);
    for (int i = 0; i < top - 2; ++i) sticky |= limb(i);
    head |= sticky != 0 ? 1u : 0u;
    return finish(negative, head, 32 * (top - 1) - lowest - room);
  }

  /// The state for an integer all-reduce over ranks; call `normalise()` first, then sum word by
  /// word.
  HENCE_FN constexpr std::int64_t* words() { return words_; }
  HENCE_FN constexpr const std::int64_t* words() const { return words_; }

  /// Carries, so that every limb but the last is in [0, 2^32). The value does not change.
  HENCE_HOST_DEVICE constexpr void normalise() {
    carry(words_);
    pending_ = 0;
  }
  /// The same on the words alone.
  static HENCE_HOST_DEVICE constexpr void carry(std::int64_t* words) {
    for (int i = 0; i + 1 < limbs; ++i) {
      words[i + 1] += words[i] >> 32;
      words[i] &= 0xffffffff;
    }
  }

 private:
  static constexpr int plus_infinities = limbs, minus_infinities = limbs + 1, nans = limbs + 2;

  static HENCE_FN constexpr int leading_zeros(std::uint32_t x) {
    int n = 0;
    for (int step = 16; step > 0; step >>= 1)
      if (x >> (32 - step) == 0) {
        n += step;
        x <<= step;
      }
    return n;
  }
  /// head 2^exponent rounded to double; bit 63 of the head is set, bit 0 is sticky.
  static HENCE_FN constexpr double finish(bool negative, std::uint64_t head, int exponent) {
    std::uint64_t significand = head >> 11;
    const std::uint64_t rest = head & 0x7ff;
    significand += rest > 0x400 || (rest == 0x400 && (significand & 1)) ? 1 : 0;
    exponent += 11;
    if (significand >> 53) {
      significand >>= 1;
      ++exponent;
    }
    const std::uint64_t bits = (significand & 0xfffffffffffffull) |
                               static_cast<std::uint64_t>(exponent + 52 + 0x3ff) << 52 |
                               (negative ? 1ull << 63 : 0);
    return __builtin_bit_cast(double, bits);
  }

  std::int64_t words_[words_count] = {};
  std::int32_t pending_ = 0;
};

/// The one for the instruction set of this translation unit.
using exact_sum = basic_exact_sum<native_isa>;

/// The sum for oracle types: compensated (Neumaier) in T itself; its bits depend on the order.
template <class T> class plain_sum {
 public:
  HENCE_FN constexpr plain_sum() : sum_(0), lost_(0) {}
  /// Adds x, in the order of the calls.
  HENCE_FN void add(T x) {
    const T t = sum_ + x;
    const bool sum_is_larger = (sum_ < 0 ? -sum_ : sum_) >= (x < 0 ? -x : x);
    lost_ += sum_is_larger ? (sum_ - t) + x : (x - t) + sum_;
    sum_ = t;
  }
  HENCE_FN plain_sum& operator+=(const plain_sum& other) {
    add(other.sum_);
    lost_ += other.lost_;
    return *this;
  }
  /// The sum so far.
  HENCE_FN T value() const {
    const T t = sum_ + lost_;
    return t == t ? t : sum_;
  }

 private:
  T sum_, lost_;
};

namespace detail {

template <class T> struct sum_for {
  using type = plain_sum<T>;
};
template <> struct sum_for<float> {
  using type = exact_sum;
};

}  // namespace detail

/// What an executor of scalar type T sums with.
template <class T> using sum_of = typename detail::sum_for<T>::type;

}  // namespace hence::inline v0
