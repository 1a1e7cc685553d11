/// \file
/// `cons@k` over fewer samples than were drawn: the exact expectation of the majority vote over all
/// subsets of k of the n samples, where others average a few random ones.
#pragma once

#include <hence/core/num.hpp>
#include <hence/evaluate/majority.hpp>

namespace hence::inline v0::evaluate {

/// Numbers of samples up to here: C(n, k) fits a double.
inline constexpr std::int64_t most_consensus_samples = 1000;

/// Doubles that `expected_majority` needs.
HENCE_FN constexpr std::int64_t consensus_workspace_size(std::int64_t k) {
  return (k + 1) * (k + 1);
}

namespace detail {

/// Calls f(i, C(n, i)) for i in [0, last].
template <class Isa, class F>
constexpr void binomials(std::int64_t n, std::int64_t last, const F& f) {
  num<double, Isa> b = 1.0;
  for (std::int64_t i = 0; i <= last && i <= n; ++i) {
    f(i, b);
    b = b * num<double, Isa>(static_cast<double>(n - i)) /
        num<double, Isa>(static_cast<double>(i + 1));
  }
}

/// The sum over j of C(g, j) times the ways to draw the other k - j so that the reference, with j
/// votes, wins or ties. ways(t, r): so many draws of r samples with t answers tied at j. All terms
/// are positive: nothing cancels.
template <class Isa>
double expect_majority(view<const std::int64_t> counts, std::int64_t reference,
                       std::int64_t unanswered, std::int64_t k, ties rule, view<double> ways) {
  using V = num<double, Isa>;
  const std::int64_t width = k + 1, own = counts[reference];
  std::int64_t n = unanswered;
  for (std::int64_t c = 0; c < counts.extent[0]; ++c) n += counts[c];
  V all = 1.0;
  binomials<Isa>(n, k, [&](std::int64_t, V b) { all = b; });
  V sum = 0.0;
  for (std::int64_t j = 1; j <= own && j <= k; ++j) {
    const std::int64_t most_tied = k / j - 1;  // with the reference
    for (std::int64_t i = 0; i < (most_tied + 1) * width; ++i) ways[i] = 0;
    ways[0] = 1;
    // one answer more, drawn at most `below` times, or j times as one that ties
    const auto include = [&](std::int64_t size, std::int64_t below, bool may_tie) {
      for (std::int64_t t = most_tied; t >= 0; --t)
        for (std::int64_t r = k; r >= 0; --r) {
          V w = 0.0;
          binomials<Isa>(size, r < j ? r : j, [&](std::int64_t i, V b) {
            if (i <= below) w = w + b * V(ways[t * width + r - i]);
            if (i == j && may_tie && t > 0) w = w + b * V(ways[(t - 1) * width + r - i]);
          });
          ways[t * width + r] = w.v;
        }
    };
    for (std::int64_t c = 0; c < counts.extent[0]; ++c) {
      if (c == reference || counts[c] == 0) continue;
      if (rule == ties::lowest_id)
        include(counts[c], c < reference ? j - 1 : j, false);
      else
        include(counts[c], j - 1, true);
    }
    V drawn = 0.0;
    binomials<Isa>(own, j, [&](std::int64_t, V b) { drawn = b; });
    for (std::int64_t t = 0; t <= most_tied; ++t) {
      V with_rest = 0.0;  // what is left to draw has no answer
      binomials<Isa>(unanswered, k - j, [&](std::int64_t i, V b) {
        with_rest = with_rest + b * V(ways[t * width + (k - j - i)]);
      });
      sum = sum + drawn * with_rest / V(static_cast<double>(t + 1));
    }
  }
  const double share = (sum / all).v;
  return share < 1 ? share : 1;
}

}  // namespace detail

/// The expectation of `correct` when k of the samples are drawn without replacement and voted on.
/// O(k^2 log(k) samples) at most. Under `first_seen` the order of the draw is random too, so that
/// each tied answer wins as often: the same value as `fractional`.
/// \param counts samples of each answer, by ascending id; their sum and `unanswered` at most 1000
/// // [answers]
/// \param reference the right answer's index in `counts`; negative: it was never given (value 0).
/// \param unanswered samples without an answer.
/// \param k samples drawn, 1 to all.
/// \param rule what a tie is worth.
/// \param workspace at least `consensus_workspace_size(k)`; overwritten.
template <class Isa = native_isa>
[[gnu::always_inline]] inline double expected_majority(view<const std::int64_t> counts,
                                                       std::int64_t reference,
                                                       std::int64_t unanswered, std::int64_t k,
                                                       ties rule, view<double> workspace) {
  using hence::detail::message;
  std::int64_t n = unanswered;
  bool sound = unanswered >= 0 && unanswered <= most_consensus_samples;
  for (std::int64_t c = 0; sound && c < counts.extent[0]; ++c) {
    sound = counts[c] >= 0 && counts[c] <= most_consensus_samples;
    n += counts[c];
  }
  if (!sound || n > most_consensus_samples)
    hence::detail::refuse(message{} << "hence: counts and unanswered hold a negative number or more"
                                       " than "
                                    << most_consensus_samples << " samples");
  if (k < 1 || k > n)
    hence::detail::refuse(message{} << "hence: k is " << k << ", expected 1 to " << n
                                    << ", the number of samples");
  if (reference >= counts.extent[0])
    hence::detail::refuse(message{} << "hence: reference is " << reference << ", counts has "
                                    << counts.extent[0] << " entries");
  if (workspace.extent[0] < consensus_workspace_size(k))
    hence::detail::refuse(message{} << "hence: workspace has " << workspace.extent[0]
                                    << " entries, expected at least "
                                    << consensus_workspace_size(k));
  return reference < 0
             ? 0
             : detail::expect_majority<Isa>(counts, reference, unanswered, k, rule, workspace);
}

}  // namespace hence::inline v0::evaluate
