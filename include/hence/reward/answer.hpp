/// \file
/// Whether an answer is the reference answer: R1's accuracy reward for mathematics, where "the
/// model is required to provide the final answer in a specified format (e.g., within a box)"
/// (2.2.2) and is compared with the known one. What checkers disagree about is a named rule.
#pragma once

#include <hence/reward/answer_rules.hpp>
#include <hence/reward/extract.hpp>
#include <hence/reward/pairing.hpp>
#include <hence/reward/structure.hpp>

namespace hence::inline v0::reward {

namespace detail {

/// A to J out of `A`, `(A)`, `A)`, `[A]`, `A:` (a final stop came off before); 0 for anything else.
/// \param s not empty.
HENCE_FN constexpr char choice_letter(text s) {
  const char open = s[0];
  if (open == '(' || open == '[') s = slice(s, 1);
  if (s.empty() || s[0] < 'A' || s[0] > 'J') return '\0';
  const text rest = slice(s, 1);
  const bool closed = open == '('   ? equal(rest, ")")
                      : open == '[' ? equal(rest, "]")
                                    : rest.empty() || equal(rest, ")") || equal(rest, ":");
  return closed ? s[0] : '\0';
}

template <class Isa, class Value>
constexpr bool same_quantity(const basic_quantity<Value>& a, const basic_quantity<Value>& b,
                             answer_rules rules) {
  if (rules.sums == unevaluated::refused && a.operations > 0) return false;
  const bool forgiving = !a.letter && !b.letter;  // 6s^2 is not 6: s may be the side of a square
  const bool units_agree =
      a.unit == b.unit ||
      (forgiving && (rules.unit == units::dropped || (rules.unit == units::may_be_missing &&
                                                      a.percent == b.percent &&  // 5 cm is not 5%
                                                      (a.unit == 0 || b.unit == 0))));
  if (!units_agree) return false;
  const auto hundredth = [](const basic_quantity<Value>& q) {
    return q.percent ? divide<Isa>(q.value, Value(exact{100, 1, 1, 0, exact_fault::none}))
                     : q.value;
  };
  const bool plain = a.value == b.value, scaled = hundredth(a) == hundredth(b);
  if (a.percent == b.percent) return plain;
  if (rules.percent == percents::hundredths) return scaled;
  if (rules.percent == percents::sign_dropped) return plain;
  return plain || scaled;
}

/// Two numbers. One left to compute is `refused`, but equals itself written the same way.
template <class Isa, class Value>
constexpr match compare_quantities(const basic_quantity<Value>& x, text a,
                                   const basic_quantity<Value>& y, text b, answer_rules rules) {
  if (same_quantity<Isa>(x, y, rules)) return match::same_value;
  const bool refused = rules.sums == unevaluated::refused;
  rules.sums = unevaluated::accepted;
  return refused && same_quantity<Isa>(x, y, rules) && same_text<Isa>(a, b) ? match::same_form
                                                                            : match::different;
}

template <class> inline constexpr bool has_rules = false;

inline constexpr std::size_t longest_unordered = 4096;  // bytes: each part meets each other

/// An answer without its wrappers, and the number that it is.
struct read_answer {
  text clean;
  quantity number;
  char name;                                ///< x of "x = 5"
  const basic_quantity<exact_sum>* as_sum;  ///< read already, or null
  /// Whether it may be a sum of unlike terms: a number, or one that failed only for its terms.
  HENCE_FN constexpr bool fits_sum() const {
    return number.ok() || number.value.fault == exact_fault::not_exact;
  }
};
template <class Isa> constexpr read_answer read(text s) {
  char name = '\0';
  s = cleaned<Isa>(s, name);
  return {s, read_quantity<Isa>(s), name, nullptr};
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

/// What "x = 1, y = 2" says of its names: bit 0 for a part without one, bit 1 if two differ.
template <class Isa> constexpr int names_of(const structure& s) {
  part_reader<Isa> parts(s.inside, s.form == shape::union_of);
  int found = 0;
  char first = '\0';
  for (text part; parts.next(part);) {
    char name = '\0';
    cleaned<Isa>(part, name);
    if (name == '\0') found |= 1;
    if (first != '\0' && name != '\0' && name != first) found |= 2;
    if (first == '\0') first = name;
  }
  return found;
}

/// Pairs the parts of a set with those of another. `Sums`: room for as many sums of unlike terms,
/// so that these too are read once each; 1: there are none.
template <class Isa, std::size_t Sums>
constexpr bool pair_off(const structure& a, read_answer (&parts)[most_unordered], int size,
                        answer_rules rules, int depth) {
  basic_quantity<exact_sum> sums[Sums] = {}, own = {};
  pairing<Isa> pairs{size, {}, {}};
  const auto add_sum = [](read_answer& r, basic_quantity<exact_sum>& sum) {
    if (!r.fits_sum()) return;
    sum = read_quantity<Isa, exact_sum>(r.clean);
    r.as_sum = &sum;
  };
  for (int j = 0; j < size; ++j) {
    pairs.partner[j] = -1;
    if constexpr (Sums > 1) add_sum(parts[j], sums[j]);
  }
  part_reader<Isa> left(a.inside, a.form == shape::union_of);
  text x;
  for (int i = 0; left.next(x); ++i) {
    read_answer part = read<Isa>(x);
    if constexpr (Sums > 1) add_sum(part, own);
    for (int j = 0; j < size; ++j)
      if (is_match(compare<Isa>(part, parts[j], rules, depth + 1)))
        pairs.allowed[i] |= std::uint64_t{1} << j;
    if (std::uint64_t tried = 0; !pairs.place(i, tried)) return false;
  }
  return true;
}

/// Every part of one pairs with a part of the other: multisets of at most 64 parts and 4096 bytes.
template <class Isa>
constexpr bool same_set(const structure& a, const structure& b, answer_rules rules, int depth) {
  const bool unions = a.form == shape::union_of;
  const int size = count_parts<Isa>(a.inside, unions, most_unordered);
  if (size != count_parts<Isa>(b.inside, unions, most_unordered)) return false;
  // larger ones, and sets inside of sets, in the order given: linear time on any input
  if (size > most_unordered || depth > 0 || a.inside.size() > longest_unordered ||
      b.inside.size() > longest_unordered)
    return same_sequence<Isa>(a, b, rules, depth);
  const int names = names_of<Isa>(a), others = names_of<Isa>(b);
  // braces around one of them do not take the other's order
  const bool bare = !unions && (a.open == '\0' || b.open == '\0');
  const bool named = names == 2 && others == 2;
  if (bare && !named && rules.order == lists::in_order)
    return same_sequence<Isa>(a, b, rules, depth);
  // "x = 1, y = 2" without its names is in that order
  if (((names & 2) != 0 && (others & 1) != 0) || ((others & 2) != 0 && (names & 1) != 0))
    return same_sequence<Isa>(a, b, rules, depth);
  part_reader<Isa> right(b.inside, unions);
  read_answer parts[most_unordered] = {};  // of b, each read once
  bool sums = false;                       // a part of a or b is a sum of unlike terms
  text x;
  for (int j = 0; right.next(x); ++j) {
    parts[j] = read<Isa>(x);
    sums |= parts[j].fits_sum() && !parts[j].number.ok();
  }
  for (part_reader<Isa> left(a.inside, unions); !sums && left.next(x);) {
    const quantity q = read<Isa>(x).number;
    sums |= !q.ok() && q.value.fault == exact_fault::not_exact;
  }
  return sums ? pair_off<Isa, most_unordered>(a, parts, size, rules, depth)
              : pair_off<Isa, 1>(a, parts, size, rules, depth);
}

/// Compares where at least one is a number or a sum of unlike terms. `no_answer`: neither is. A
/// number is never a text: what has a value and what has none differ.
template <class Isa>
constexpr match compare_sums(const read_answer& a, const read_answer& b, answer_rules rules) {
  const auto sum_of = [](const read_answer& r) {
    return !r.fits_sum() ? basic_quantity<exact_sum>{fail(exact_fault::syntax), false, 0, false, 0}
           : r.as_sum != nullptr ? *r.as_sum
                                 : read_quantity<Isa, exact_sum>(r.clean);
  };
  const basic_quantity<exact_sum> x = sum_of(a), y = sum_of(b);
  if (!x.ok() && !y.ok()) return match::no_answer;
  if (x.ok() != y.ok()) return match::different;
  return compare_quantities<Isa>(x, a.clean, y, b.clean, rules);
}

template <class Isa>
constexpr match compare(const read_answer& a, const read_answer& b, answer_rules rules, int depth) {
  if (b.clean.empty()) return match::no_reference;
  if (a.clean.empty()) return match::no_answer;
  if (const char letter = choice_letter(b.clean); letter != '\0' && depth == 0)
    return choice_letter(a.clean) == letter ? match::same_choice : match::different;
  if (a.name != '\0' && b.name != '\0' && a.name != b.name) return match::different;
  if (a.number.ok() && b.number.ok())
    return compare_quantities<Isa>(a.number, a.clean, b.number, b.clean, rules);
  if (const match sums = compare_sums<Isa>(a, b, rules); sums != match::no_answer) return sums;
  if (depth < 3) {
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
                "answer_rules{percents::..., units::..., unevaluated::..., lists::...}");
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
                "answer_rules{percents::..., units::..., unevaluated::..., lists::...}");
  return 0;
}

}  // namespace hence::inline v0::reward
