/// \file
/// Random numbers without a state: Philox4x32-10, a function of the seed and of the place where the
/// number is used. Any split over threads, micro-batches, ranks or devices draws the same numbers.
/// John Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
#pragma once

#include <hence/core/num.hpp>

namespace hence::inline v0 {

/// The place that a draw belongs to. Each place has four words; draws that must be independent of
/// each other take different words or different places.
struct draw {
  std::uint32_t token = 0;     ///< index of the token in its sequence
  std::uint32_t step = 0;      ///< training step, or any other number that separates uses
  std::uint64_t sequence = 0;  ///< identity of the sequence, the same on every rank
};

/// Four independent words of 32 random bits.
struct random_words {
  std::uint32_t word[4];  ///< 32 random bits each
};

namespace detail {

/// One of Philox's rounds.
HENCE_FN constexpr random_words philox_round(random_words c, std::uint32_t key0,
                                             std::uint32_t key1) {
  const std::uint64_t a = std::uint64_t{0xD2511F53} * c.word[0];
  const std::uint64_t b = std::uint64_t{0xCD9E8D57} * c.word[2];
  return {{static_cast<std::uint32_t>(b >> 32) ^ c.word[1] ^ key0, static_cast<std::uint32_t>(b),
           static_cast<std::uint32_t>(a >> 32) ^ c.word[3] ^ key1, static_cast<std::uint32_t>(a)}};
}

}  // namespace detail

/// The words at `place`. The seed is the key, (token, step, low and high word of sequence) the
/// counter: what cuRAND's Philox gives for that seed, subsequence `sequence` and offset 4 (token +
/// 2^32 step).
HENCE_FN constexpr random_words philox(std::uint64_t seed, draw place) {
  random_words c{{place.token, place.step, static_cast<std::uint32_t>(place.sequence),
                  static_cast<std::uint32_t>(place.sequence >> 32)}};
  auto key0 = static_cast<std::uint32_t>(seed), key1 = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    c = detail::philox_round(c, key0, key1);
    key0 += 0x9E3779B9u, key1 += 0xBB67AE85u;
  }
  return c;
}

/// A number in [0, 1), never 1: the upper 24 bits, each value k 2^-24 as likely as the other.
HENCE_FN constexpr float uniform(std::uint32_t word) {
  return detail::arithmetic<float>::mul(static_cast<float>(word >> 8), 0x1p-24f);
}

}  // namespace hence::inline v0
