/// \file
/// Exact summation of floats with packs: seven vector operations per register where the terms are
/// of similar size, a dozen elsewhere.
///
/// Adding x to a large S rounds x to a multiple of S's last bit, and the difference is exact:
/// d = (S + x) - S, x = d + rest. S itself sums the d as long as it keeps its exponent, or integers
/// read off the bits of S + x do; the rests go to a second S. All of it is exact, so that the way
/// taken leaves no trace in the result.
#pragma once

#include <hence/core/pack.hpp>
#include <hence/core/sum.hpp>

namespace hence::inline v0 {

namespace detail {

/// Tokens per block: small enough for the first-level cache, and for 22-bit terms in 32-bit lanes.
constexpr int block_tokens = 1024;

template <class Ints> HENCE_FN bool any_bit(Ints v) {
  std::int64_t words[sizeof(v) / 8], all = 0;
  __builtin_memcpy(words, &v, sizeof(words));
  for (const auto w : words) all |= w;
  return all != 0;
}
template <class Ints> HENCE_FN std::int64_t sum_lanes(Ints v) {
  std::int64_t total = 0;
  for (unsigned i = 0; i < sizeof(Ints) / 4; ++i) total += v[i];
  return total;
}

/// The largest and the smallest magnitude of each lane, as bits; infinities and NaN are the largest
/// of all.
template <class Isa> struct magnitudes {
  using ints = typename pack<float, Isa>::ints;
  ints largest = {}, smallest = ~ints{} & 0x7fffffff;

  HENCE_FN void add(pack<float, Isa> x) {
    const ints m = to_bits(abs(x));
    largest = m > largest ? m : largest;
    smallest = m < smallest ? m : smallest;
  }
  HENCE_FN std::int32_t top() const {
    std::int32_t top = 0;
    for (unsigned i = 0; i < sizeof(ints) / 4; ++i) top = largest[i] > top ? largest[i] : top;
    return top;
  }
  /// Whether all are 2^low or more and below 2^high.
  HENCE_FN bool within(int low, int high) const {
    using mask = typename pack<float, Isa>::mask;
    return !any(mask{smallest < (low + 127) << 23} | mask{largest >= (high + 127) << 23});
  }
};

/// e of 2^e <= |x| < 2^(e + 1), from the bits of |x|; 128 for infinities and NaN.
HENCE_FN int exponent_of(std::int32_t magnitude) { return (magnitude >> 23) - 127; }
/// 1.5 2^e: adding this rounds x to a multiple of 2^(e - 23).
HENCE_FN float splitter(int e) { return 1.5f * __builtin_bit_cast(float, (e + 127) << 23); }

/// The sum of up to a block's terms of similar size: |x| < 2^(exponent + 1), and none but 0 far
/// below.
template <class Isa> class narrow_sum {
  using F = pack<float, Isa>;
  /// log2 of the terms of one lane.
  static constexpr int spread = register_bytes<Isa> == 64 ? 6 : register_bytes<Isa> == 32 ? 7 : 8;
  static_assert(block_tokens <= F::lanes << spread);
  static constexpr int levels = 23 - spread;  // between the last bits of the two sums
  int exponent_;
  F high_, low_;

  HENCE_FN int high_exponent() const { return exponent_ + 2 + spread; }

 public:
  HENCE_FN explicit narrow_sum(int exponent)
      : exponent_(exponent),
        high_(splitter(exponent + 2 + spread)),
        low_(splitter(exponent + 2 + spread - levels)) {}

  HENCE_FN void add(F x) {
    const F next = high_ + x;
    low_ = low_ + (x - (next - high_));
    high_ = next;
  }
  /// Whether the sum of terms of these magnitudes is right.
  HENCE_FN bool holds(const magnitudes<Isa>& seen) const {
    return exponent_ <= 110 && exponent_ >= -80 &&  // else a sum leaves the normal numbers
           seen.within(high_exponent() - levels, exponent_ + 1);
  }
  HENCE_FN void add_to(basic_exact_sum<Isa>& sum) const {
    const int high = high_exponent(), low = high - levels;
    sum.add_scaled(sum_lanes(to_bits(high_) - to_bits(F(splitter(high)))), high - 23);
    sum.add_scaled(sum_lanes(to_bits(low_) - to_bits(F(splitter(low)))), low - 23);
  }
};

/// 45 bits of terms below 2^(exponent + 1) are summed; what is left of each goes to `rests`, which
/// may be x. \return whether anything is left.
template <class Isa>
HENCE_FN bool add_upper_bits(basic_exact_sum<Isa>& sum, const float* x, int n, int exponent,
                             float* rests) {
  using F = pack<float, Isa>;
  using I = typename F::ints;
  using U = typename vector_of<std::uint32_t, register_bytes<Isa>>::type;  // wraps without overflow
  static_assert(block_tokens / 4 <= 256, "22-bit terms overflow a 32-bit lane after 512 of them");
  const F coarse = splitter(exponent + 2), fine = splitter(exponent - 21);
  U coarse_sum{}, fine_sum{}, lefts{};
  for (int i = 0; i < n; i += F::lanes) {
    const F term = F::load(x + i), t = term + coarse;
    const F rest = term - (t - coarse), u = rest + fine, left = rest - (u - fine);
    coarse_sum += (U)to_bits(t);
    fine_sum += (U)to_bits(u);
    lefts |= (U)to_bits(left);
    left.store(rests + i);
  }
  // Modulo 2^32 the splitters' own bits come off at once.
  const auto packs = static_cast<std::uint32_t>((n + F::lanes - 1) / F::lanes);
  coarse_sum -= (U)to_bits(coarse) * packs;
  fine_sum -= (U)to_bits(fine) * packs;
  sum.add_scaled(sum_lanes((I)coarse_sum), exponent - 21);
  sum.add_scaled(sum_lanes((I)fine_sum), exponent - 44);
  return any_bit(lefts);
}

/// Adds x[0..n), n <= block_tokens, to `sum`. The tail of the last pack must be readable and 0.
template <class Isa>
[[gnu::noinline]] void add_block(basic_exact_sum<Isa>& sum, const float* x, int n) {
  using F = pack<float, Isa>;
  alignas(64) float rests[block_tokens + 16];
  for (;;) {
    magnitudes<Isa> seen;
    for (int i = 0; i < n; i += F::lanes) seen.add(F::load(x + i));
    const std::int32_t top = seen.top();
    if (top == 0) return;
    const int e = exponent_of(top);
    if (e > 120 || e < -80) break;
    if (!add_upper_bits<Isa>(sum, x, n, e, rests)) return;
    x = rests;
  }
  // infinities and NaN, and where the splitters leave the range
  for (int i = 0; i < n; ++i) sum.add(x[i]);
}

/// The sum of a block of terms seen one pack at a time, given a guess of their largest exponent. A
/// wrong guess costs an `add_block` and nothing else.
template <class Isa> class guessed_sum {
  narrow_sum<Isa> sum_;
  magnitudes<Isa> seen_{};

 public:
  HENCE_FN explicit guessed_sum(int exponent) : sum_(exponent) {}
  HENCE_FN void add(pack<float, Isa> x) { sum_.add(x), seen_.add(x); }
  HENCE_FN std::int32_t top() const { return seen_.top(); }

  /// \param x, n the terms, stored. \param guess the next one, mended if a better one is known.
  [[gnu::noinline]] void add_to(basic_exact_sum<Isa>& sum, const float* x, int n,
                                int& guess) const {
    if (sum_.holds(seen_)) return sum_.add_to(sum);
    add_block<Isa>(sum, x, n);
    const int e = exponent_of(top()) + 1;
    if (narrow_sum<Isa>(e).holds(seen_)) guess = e;
  }
};

}  // namespace detail

}  // namespace hence::inline v0
