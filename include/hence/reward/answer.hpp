/// \file
/// Whether an answer is the reference answer: R1's accuracy reward for mathematics, where "the
/// model is required to provide the final answer in a specified format (e.g., within a box)"
/// (2.2.2) and is compared with the known one. What checkers disagree about is a named rule.
#pragma once

#include <hence/reward/extract.hpp>
#include <hence/reward/structure.hpp>

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
  /// Sums, products, powers and quotients that come out whole are no number. 3/4, `2\sqrt{3}` and
  /// `6.02 \times 10^{23}` are. Reference answers may be anything.
  refused,
};

/// What counts as equal. No default: the checkers that exist disagree about each.
struct answer_rules {
  percents percent;
  units unit;
  unevaluated sums;
};

namespace answer {

/// Nothing is forgiven.
inline constexpr answer_rules strict{percents::hundredths, units::must_agree, unevaluated::refused};
/// In the manner of the MATH-500 checkers.
inline constexpr answer_rules math{percents::either, units::may_be_missing, unevaluated::accepted};

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
HENCE_FN constexpr bool is_match(match m) { return m >= match::same_choice; }

namespace detail {

/// A to J out of `A`, `(A)`, `A)`, `A.`, `[A]`; 0 for anything else.
HENCE_FN constexpr char choice_letter(text s) {
  if (!s.empty() && (s[0] == '(' || s[0] == '[')) s = slice(s, 1);
  if (s.empty() || s[0] < 'A' || s[0] > 'J') return '\0';
  const text rest = slice(s, 1);
  const bool closed = rest.empty() || equal(rest, ")") || equal(rest, ".") || equal(rest, "]") ||
                      equal(rest, ":") || equal(rest, ").");
  return closed ? s[0] : '\0';
}

template <class Isa>
constexpr bool same_quantity(const quantity& a, const quantity& b, answer_rules rules) {
  if (rules.sums == unevaluated::refused && a.operations > 0) return false;
  const bool units_agree = a.unit == b.unit || rules.unit == units::dropped ||
                           (rules.unit == units::may_be_missing && (a.unit == 0 || b.unit == 0));
  if (!units_agree) return false;
  const auto hundredth = [](const quantity& q) {
    return q.percent ? divide<Isa>(q.value, {100, 1, 1, 0, exact_fault::none}) : q.value;
  };
  const bool plain = a.value == b.value, scaled = hundredth(a) == hundredth(b);
  if (a.percent == b.percent) return plain;
  if (rules.percent == percents::hundredths) return scaled;
  if (rules.percent == percents::sign_dropped) return plain;
  return plain || scaled;
}

template <class> inline constexpr bool has_rules = false;

inline constexpr int most_unordered = 64;

/// An answer without its wrappers, and the number that it is.
struct read_answer {
  text clean;
  quantity number;
};
template <class Isa> constexpr read_answer read(text s) {
  s = cleaned<Isa>(s);
  return {s, read_quantity<Isa>(s)};
}

template <class Isa>
constexpr match compare(const read_answer& a, const read_answer& b, answer_rules rules, int depth);

/// Parts in order; both lists must end together.
template <class Isa>
constexpr bool same_sequence(const structure& a, const structure& b, answer_rules rules,
                             int depth) {
  const bool unions = a.form == shape::union_of;
  part_reader<Isa> left(a.inside, unions), right(b.inside, unions);
  for (text x, y;;) {
    const bool more_x = left.next(x), more_y = right.next(y);
    if (more_x != more_y) return false;
    if (!more_x) return true;
    if (!is_match(compare<Isa>(read<Isa>(x), read<Isa>(y), rules, depth + 1))) return false;
  }
}

/// Every part of one pairs with a part of the other: multisets of at most 64 parts.
template <class Isa>
constexpr bool same_set(const structure& a, const structure& b, answer_rules rules, int depth) {
  const bool unions = a.form == shape::union_of;
  const int size = count_parts<Isa>(a.inside, unions, most_unordered);
  if (size != count_parts<Isa>(b.inside, unions, most_unordered)) return false;
  // larger ones, and sets inside of sets, in the order given: linear time on any input
  if (size > most_unordered || depth > 0) return same_sequence<Isa>(a, b, rules, depth);
  part_reader<Isa> left(a.inside, unions), right(b.inside, unions);
  read_answer parts[most_unordered] = {};  // of b, each read once; those that are left come first
  int rest = 0;
  text x;
  while (right.next(x)) parts[rest++] = read<Isa>(x);
  while (left.next(x)) {
    const read_answer part = read<Isa>(x);
    int i = 0;
    while (i < rest && !is_match(compare<Isa>(part, parts[i], rules, depth + 1))) ++i;
    if (i == rest) return false;
    parts[i] = parts[--rest];
  }
  return rest == 0;
}

template <class Isa>
constexpr match compare(const read_answer& a, const read_answer& b, answer_rules rules, int depth) {
  if (b.clean.empty()) return match::no_reference;
  if (a.clean.empty()) return match::no_answer;
  if (const char letter = choice_letter(b.clean); letter != '\0' && depth == 0)
    return choice_letter(a.clean) == letter ? match::same_choice : match::different;
  if (a.number.ok() && b.number.ok())
    return same_quantity<Isa>(a.number, b.number, rules) ? match::same_value : match::different;
  // a number is never a text: what has a value and what has none differ
  if (depth < 3 && a.number.ok() == b.number.ok()) {
    const structure s = structure_of<Isa>(a.clean), t = structure_of<Isa>(b.clean);
    if (s.form != shape::single && s.form == t.form) {
      const bool ordered = s.form == shape::ordered;
      if (ordered && (s.open != t.open || s.close != t.close)) return match::different;
      const bool same =
          ordered ? same_sequence<Isa>(s, t, rules, depth) : same_set<Isa>(s, t, rules, depth);
      return same ? match::same_parts : match::different;
    }
  }
  return same_text<Isa>(a.clean, b.clean) ? match::same_form : match::different;
}

}  // namespace detail

/// Compares an answer with the reference answer. O(answer + reference); nothing is allocated.
template <class Isa = native_isa>
constexpr match compare_answers(text answer, text reference, answer_rules rules) {
  return detail::compare<Isa>(detail::read<Isa>(answer), detail::read<Isa>(reference), rules, 0);
}

/// Without rules: does not compile, since there are no rules that all checkers share.
template <class A, class B> constexpr match compare_answers(const A&, const B&) {
  static_assert(detail::has_rules<A>,
                "hence: answers are compared by rules: answer::strict, answer::math, or "
                "answer_rules{percents::..., units::..., unevaluated::...}");
  return match::different;
}

/// 1 where the answer found in the text equals the reference, else 0: the accuracy reward.
/// \param where one of `extract`. Give it `parse(...)`'s answer, so that the thought does not
/// count.
/// \param answer_part what follows the thought.
/// \param reference the known answer.
/// \param rules what counts as equal.
template <class Isa = native_isa, class Where>
constexpr double accuracy_reward(Where where, text answer_part, text reference,
                                 answer_rules rules) {
  const extraction found = find_answer(where, answer_part);
  return found.ok() && is_match(compare_answers<Isa>(found.answer, reference, rules)) ? 1.0 : 0.0;
}

/// \copydoc compare_answers(const A&, const B&)
template <class Where, class A, class B>
constexpr double accuracy_reward(const Where&, const A&, const B&) {
  static_assert(detail::has_rules<A>,
                "hence: answers are compared by rules: answer::strict, answer::math, or "
                "answer_rules{percents::..., units::..., unevaluated::...}");
  return 0;
}

}  // namespace hence::inline v0::reward
