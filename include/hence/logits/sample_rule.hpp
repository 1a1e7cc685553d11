/// \file
/// What `sample` draws from and writes, what it refuses, and the uniform of a place.
#pragma once

#include <hence/core/random.hpp>
#include <hence/logits/token_checks.hpp>

namespace hence::inline v0 {

/// What to draw from. Temperature has no default; filters are off unless given.
struct sample_rule {
  double temperature;      ///< 0: greedy, the largest logit with the lowest index
  std::int64_t top_k = 0;  ///< 0: off
  double top_p = 1;        ///< 1: off
  double min_p = 0;        ///< 0: off
  double typical_p = 1;    ///< 1: off
};

/// Where results go, each absent or of the rows' number.
struct sample_results {
  view<std::int64_t> token{};    ///< `[rows]`; -1 in a row without a distribution
  view<float> logp{};            ///< `[rows]`: log of its probability among the kept
  view<float> logp_full{};       ///< `[rows]`: as `token_logprob` at this temperature gives it
  view<std::uint8_t, 2> kept{};  ///< `[rows, vocabulary]`: the kept set, for the trainer
};

/// The uniform of a place: the first word of Philox there. A draw depends on nothing else, so any
/// split over rows, threads or machines gives the same tokens.
HENCE_FN constexpr float uniform_of(std::uint64_t seed, draw place) {
  return uniform(philox(seed, place).word[0]);
}

namespace detail {

template <class Isa = native_isa> void check_sample_rule(const sample_rule& r) {
  if (!(r.temperature == 0 || (r.temperature >= 1e-20 && r.temperature <= 1e20)))
    refuse(message() << "hence: sample_rule.temperature is " << r.temperature
                     << ", expected 0 (greedy) or a number from 1e-20 to 1e20");
  if (r.top_k < 0)
    refuse(message() << "hence: sample_rule.top_k is " << r.top_k << ", expected 0 (off) or more");
  if (!(r.top_p > 0 && r.top_p <= 1))
    refuse(message() << "hence: sample_rule.top_p is " << r.top_p
                     << ", expected a number above 0, at most 1 (off)");
  if (!(r.min_p >= 0 && r.min_p <= 1))
    refuse(message() << "hence: sample_rule.min_p is " << r.min_p << ", expected 0 (off) to 1");
  if (!(r.typical_p > 0 && r.typical_p <= 1))
    refuse(message() << "hence: sample_rule.typical_p is " << r.typical_p
                     << ", expected a number above 0, at most 1 (off)");
}

template <class T>
[[gnu::always_inline]] inline void check_sample_arrays(const sample_rule& rule,
                                                       const view<T, 2>& logits,
                                                       const view<const float>& uniforms,
                                                       const sample_results& out) {
  const std::int64_t rows = logits.extent[0], columns = logits.extent[1];
  check_sample_rule(rule);
  if (rows < 0 || columns < 1 || columns > 0xffffff)
    refuse(message() << "hence: logits has shape [" << rows << ", " << columns
                     << "], expected [rows, vocabulary], a vocabulary of 1 to 2^24 - 1");
  const view<const T, 2> read = logits;
  check_matrix("logits", read, rows, columns);
  if (rule.temperature > 0 || uniforms.given())  // greedy draws nothing
    check_rows("uniforms", uniforms.present(), uniforms.extent[0], 1, rows, false);
  check_rows("out.token", out.token, rows);
  check_rows("out.logp", out.logp, rows);
  check_rows("out.logp_full", out.logp_full, rows);
  if (out.kept.given()) check_matrix("out.kept", out.kept, rows, columns);
  const named_place written[] = {
      place_of_rows("out.token", out.token), place_of_rows("out.logp", out.logp),
      place_of_rows("out.logp_full", out.logp_full), place_of_rows("out.kept", out.kept)};
  const named_place reads[] = {place_of_rows("logits", logits),
                               place_of_rows("uniforms", uniforms)};
  check_written_apart(written, reads);
}

/// The memory of a call is of its own.
template <class T>
[[gnu::always_inline]] inline void check_sample_memory(const view<std::byte>& memory,
                                                       const view<T, 2>& logits,
                                                       const view<const float>& uniforms,
                                                       const sample_results& out) {
  if (memory.extent[0] > 1 && memory.stride[0] != 1)
    refuse(message() << "hence: memory has stride " << memory.stride[0] << ", expected 1");
  check_written_apart({{"memory", range_of(memory)}}, {{"logits", range_of(logits)},
                                                       {"uniforms", range_of(uniforms)},
                                                       {"out.token", range_of(out.token)},
                                                       {"out.logp", range_of(out.logp)},
                                                       {"out.logp_full", range_of(out.logp_full)},
                                                       {"out.kept", range_of(out.kept)}});
}

/// One row's results. \param logp never above 0 but for its rounding.
HENCE_FN void write_drawn_row(const sample_results& out, std::int64_t row, std::int64_t token,
                              double logp, double logp_full) {
  if (out.token.present()) out.token[row] = token;
  if (out.logp.present()) out.logp[row] = static_cast<float>(logp < 0 || logp != logp ? logp : 0);
  if (out.logp_full.present()) out.logp_full[row] = static_cast<float>(logp_full);
}

}  // namespace detail

}  // namespace hence::inline v0
