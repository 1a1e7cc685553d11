/// \file
/// `cons@k`: the answer that most of the samples give. Answers are ids: equal ids are equal
/// answers, negative ones are samples without an answer. R1 reports `cons@64` on AIME
/// (arXiv:2501.12948, D.1).
#pragma once

#include <hence/core/sum.hpp>
#include <hence/core/view.hpp>

namespace hence::inline v0::evaluate {

/// Who wins where several answers have the most votes.
enum class ties : std::uint8_t {
  first_seen,  ///< the one whose first sample comes first
  lowest_id,
  fractional,  ///< the winner is the first seen, but a reference among m tied answers earns 1 / m
};

/// The outcome of a vote.
struct vote {
  std::int64_t winner;  ///< -1: no sample has an answer
  double votes;         ///< the winner's summed weight
  double correct;       ///< 1, 0, or a fraction
};

namespace detail {

template <class> inline constexpr bool has_ties = false;

template <class Isa>
vote count_votes(view<const std::int64_t> answers, std::int64_t reference, ties rule,
                 view<const double> weights) {
  vote best{-1, 0, 0};
  std::int64_t tied = 0;
  bool reference_tied = false;
  for (std::int64_t i = 0; i < answers.extent[0]; ++i) {
    const std::int64_t id = answers[i];
    bool seen = id < 0;
    for (std::int64_t j = 0; !seen && j < i; ++j) seen = answers[j] == id;
    if (seen) continue;
    basic_exact_sum<Isa> sum;  // exact: equal multisets of weights tie whatever their order
    std::int64_t count = 0;
    for (std::int64_t j = i; j < answers.extent[0]; ++j) {
      if (answers[j] != id) continue;
      ++count;
      if (weights.present()) sum.add(weights[j]);
    }
    const double votes = weights.present() ? sum.value() : static_cast<double>(count);
    if (best.winner < 0 || votes > best.votes) {
      best = {id, votes, 0};
      tied = 1, reference_tied = id == reference;
    } else if (votes == best.votes) {
      if (rule == ties::lowest_id && id < best.winner) best.winner = id;
      ++tied, reference_tied |= id == reference;
    }
  }
  if (rule == ties::fractional)
    best.correct = reference_tied ? 1 / static_cast<double>(tied) : 0;
  else
    best.correct = best.winner >= 0 && best.winner == reference ? 1 : 0;
  return best;
}

}  // namespace detail

/// The majority of a prompt's answers. O(samples x different answers).
/// \param answers ids, negative: none // [samples]
/// \param reference the right answer's id; a negative one is never right.
/// \param rule who wins a tie.
/// \param weights of the votes, finite; absent: 1 each // [samples]
template <class Isa = native_isa>
[[gnu::always_inline]] inline vote majority_vote(view<const std::int64_t> answers,
                                                 std::int64_t reference, ties rule,
                                                 view<const double> weights = {}) {
  using hence::detail::message;
  if (weights.present() && weights.extent[0] != answers.extent[0])
    hence::detail::refuse(message{} << "hence: weights has " << weights.extent[0]
                                    << " entries, answers has " << answers.extent[0]);
  for (std::int64_t i = 0; weights.present() && i < weights.extent[0]; ++i)
    if (!(weights[i] - weights[i] == 0))
      hence::detail::refuse(message{} << "hence: weights[" << i << "] is " << weights[i]
                                      << ", expected a finite number");
  return detail::count_votes<Isa>(answers, reference, rule, weights);
}

/// Without a rule for ties: does not compile, since frameworks differ.
template <class Answers> constexpr vote majority_vote(const Answers&, std::int64_t) {
  static_assert(detail::has_ties<Answers>,
                "hence: say who wins a tie: ties::first_seen, ties::lowest_id or ties::fractional");
  return {-1, 0, 0};
}

/// Gives equal answers equal ids, for votes: each sample joins the first one that it equals, whose
/// index is the id; -1 where there is no answer. O(samples x different answers).
/// \param has_answer callable (index) -> bool. \param same callable (index, earlier index) -> bool,
/// e.g. `compare_answers` of the reward headers.
/// \param ids // [samples]
template <class Isa = native_isa, class HasAnswer, class Same>
constexpr void answer_ids(view<std::int64_t> ids, HasAnswer&& has_answer, Same&& same) {
  for (std::int64_t i = 0; i < ids.extent[0]; ++i) {
    ids[i] = -1;
    if (!has_answer(i)) continue;
    ids[i] = i;
    for (std::int64_t j = 0; j < i; ++j)
      if (ids[j] == j && same(i, j)) {
        ids[i] = j;
        break;
      }
  }
}

}  // namespace hence::inline v0::evaluate
