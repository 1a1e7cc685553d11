/// \file
/// What checkers of answers disagree about, each a named rule, and the outcomes of a comparison.
#pragma once

#include <hence/core/isa.hpp>

#include <cstdint>  // uint8_t

namespace hence::inline v0::reward {

/// What 50% is.
enum class percents : std::uint8_t {
  hundredths,    ///< 0.5 and nothing else
  sign_dropped,  ///< 50, as Hendrycks' MATH checker reads it
  either,        ///< 50% where both have the sign, else 0.5 or 50 (math-verify)
};
/// Whether units count.
enum class units : std::uint8_t {
  must_agree,      ///< both have the same or none
  may_be_missing,  ///< different ones differ, a missing one does not matter
  dropped,         ///< known units are not looked at (Hendrycks' checker)
};
/// What is taken for a number.
enum class unevaluated : std::uint8_t {
  /// 17*23 is 391. Whoever asks for a product must not use this: the question itself is an answer.
  accepted,
  /// Sums, products with a sign, powers, and quotients that come out whole or are not of integers
  /// and
  /// roots are no number. 3/4, `2\sqrt{3}` and `6.02 \times 10^{23}` are. References may be
  /// anything.
  refused,
};

/// What a list without brackets is: 1, 2, 3.
enum class lists : std::uint8_t {
  sets,  ///< in any order: the solutions of an equation
  /// As given: where a question asks to sort, the question itself is a permutation. A list and a
  /// set in braces are compared so too, two sets in any order.
  in_order,
};

namespace detail {

template <class> inline constexpr bool names_rules = false;

}  // namespace detail

/// What counts as equal. No default: the checkers that exist disagree about each.
struct answer_rules {
  /// Does not compile: each rule is to be named.
  template <class Unstated = void> constexpr answer_rules() {
    static_assert(detail::names_rules<Unstated>,
                  "hence: name the rules: answer::strict, answer::math, or "
                  "answer_rules{percents::..., units::..., unevaluated::..., lists::...}");
  }
  /// One of each.
  HENCE_FN constexpr answer_rules(percents p, units u, unevaluated s, lists l)
      : percent(p), unit(u), sums(s), order(l) {}
  percents percent;  ///< what 50% is
  units unit;        ///< whether 5 may be 5 cm
  unevaluated sums;  ///< whether 2+3 may be 5
  lists order;       ///< whether 2, 1 may be 1, 2
};

namespace answer {

/// Nothing is forgiven.
inline constexpr answer_rules strict{percents::hundredths, units::must_agree, unevaluated::refused,
                                     lists::in_order};
/// In the manner of the MATH-500 checkers.
inline constexpr answer_rules math{percents::either, units::may_be_missing, unevaluated::accepted,
                                   lists::sets};

}  // namespace answer

/// How an answer and its reference were found to be equal, or why they are not.
enum class match : std::uint8_t {
  different,
  no_answer,     ///< the answer is blank or nothing but wrappers
  no_reference,  ///< the reference is: nothing equals it
  same_choice,   ///< the same letter of a multiple choice
  same_value,    ///< the same exact number
  same_parts,    ///< the same set, list, tuple, interval or union
  same_form,     ///< the same normalised text
};
/// Whether the answers are equal, in whatever way.
HENCE_FN constexpr bool is_match(match m) { return m >= match::same_choice; }

}  // namespace hence::inline v0::reward
