/// \file
/// Exact summation of a block of floats with packs: about a dozen vector operations per register.
///
/// Each term x is split exactly into a multiple of q (a 22-bit integer, q from the block's largest
/// magnitude), a multiple of q 2^-23, and a rest that is almost always 0. The two integers are read
/// off the bits of x + 1.5 2^23 q and summed in 32-bit lanes, which cannot overflow within a block;
/// rests are added one by one. All of it is exact, so the choice of q leaves no trace in the
/// result.
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

/// Adds x[0..n), n <= block_tokens, to `sum`. The tail of the last pack must be readable and 0.
template <class Isa> void add_block(basic_exact_sum<Isa>& sum, const float* x, int n) {
  using F = pack<float, Isa>;
  using I = typename F::ints;
  using U = typename vector_of<std::uint32_t, register_bytes<Isa>>::type;  // wraps without overflow
  constexpr int lanes = F::lanes;
  static_assert(block_tokens / 4 <= 256, "22-bit terms overflow a 32-bit lane after 512 of them");
  I largest{};
  for (int i = 0; i < n; i += lanes) {
    const I magnitude = to_bits(abs(F::load(x + i)));
    largest = magnitude > largest ? magnitude : largest;
  }
  std::int32_t top = 0;
  for (int i = 0; i < lanes; ++i) top = largest[i] > top ? largest[i] : top;
  const int exponent = (top >> 23) - 127;  // |x| < 2^(exponent + 1)
  if (top == 0) return;
  if (exponent > 120 ||
      exponent < -80) {  // infinities and NaN, and where the splitters leave the range
    for (int i = 0; i < n; ++i) sum.add(x[i]);
    return;
  }
  const auto power = [](int e) { return __builtin_bit_cast(float, (e + 127) << 23); };
  const F coarse = 1.5f * power(exponent + 2), fine = 1.5f * power(exponent - 21);
  U coarse_sum{}, fine_sum{}, lefts{};
  for (int i = 0; i < n; i += lanes) {
    const F term = F::load(x + i), t = term + coarse;
    const F rest = term - (t - coarse), u = rest + fine;
    coarse_sum += (U)to_bits(t);
    fine_sum += (U)to_bits(u);
    lefts |= (U)to_bits(rest - (u - fine));
  }
  // Modulo 2^32 the splitters' own bits come off at once.
  const auto packs = static_cast<std::uint32_t>((n + lanes - 1) / lanes);
  coarse_sum -= (U)to_bits(coarse) * packs;
  fine_sum -= (U)to_bits(fine) * packs;
  sum.add_scaled(sum_lanes((I)coarse_sum), exponent - 21);
  sum.add_scaled(sum_lanes((I)fine_sum), exponent - 44);
  if (!any_bit(lefts)) return;
  for (int i = 0; i < n; ++i) {
    const num<float, Isa> term = x[i], c = coarse.v[0], f = fine.v[0];
    const auto rest = term - ((term + c) - c);
    sum.add((rest - ((rest + f) - f)).v);
  }
}

}  // namespace detail

}  // namespace hence::inline v0
