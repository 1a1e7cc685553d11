/// \file
/// Countdown: an expression of given numbers that equals a target. Evaluated exactly, in a grammar
/// that has no power, no decimal point and no function: nothing that Python's eval would take and a
/// pupil would not.
#pragma once

#include <hence/core/view.hpp>
#include <hence/reward/expression.hpp>

namespace hence::inline v0::reward {

/// How often the given numbers may be used.
enum class usage : std::uint8_t {
  all_once,      ///< each exactly once (TinyZero's countdown)
  at_most_once,  ///< the game's rule
};

/// Why an expression is not a solution; the first that is true.
enum class countdown_fault : std::uint8_t {
  none,
  syntax,    ///< not + - * / (in Unicode or LaTeX too) and parentheses over integers
  too_long,  ///< over 256 bytes, 32 levels or 64 numbers
  overflow,  ///< an intermediate value beyond 126 bits
  division_by_zero,
  wrong_numbers,  ///< another number, one too often, or one unused
  wrong_value,
};

namespace detail {

template <class Isa>
constexpr countdown_fault judge_countdown(text expression, view<const std::int64_t> numbers,
                                          std::int64_t target, usage rule) {
  wide used[most_literals] = {};
  const text s = trimmed(expression);
  expression_reader<Isa> reader(s, grammar::arithmetic, used);
  const exact value = reader.read();
  switch (value.fault) {
    case exact_fault::none:
      break;
    case exact_fault::depth:
      return countdown_fault::too_long;
    case exact_fault::overflow:
      return countdown_fault::overflow;
    case exact_fault::division_by_zero:
      return countdown_fault::division_by_zero;
    default:
      return countdown_fault::syntax;
  }
  if (reader.end() != s.size()) return countdown_fault::syntax;
  if (reader.literals() > most_literals) return countdown_fault::too_long;
  std::uint64_t taken = 0;
  for (int i = 0; i < reader.literals(); ++i) {
    std::int64_t j = 0;
    while (j < numbers.extent[0] && ((taken >> j & 1) != 0 || numbers[j] != used[i])) ++j;
    if (j == numbers.extent[0]) return countdown_fault::wrong_numbers;
    taken |= std::uint64_t{1} << j;
  }
  if (rule == usage::all_once && reader.literals() != numbers.extent[0])
    return countdown_fault::wrong_numbers;
  return value.integer() && value.num == target ? countdown_fault::none
                                                : countdown_fault::wrong_value;
}

}  // namespace detail

/// Judges an expression. Fractions on the way are allowed and exact: 8 / (3 - 8 / 3) is 24.
/// \param expression what the policy wrote, no more.
/// \param numbers the given ones, at most 64, not negative. // [numbers]
/// \param target the value to reach.
/// \param rule how often each number may be used.
template <class Isa = native_isa>
[[gnu::always_inline]] inline countdown_fault check_countdown(text expression,
                                                              view<const std::int64_t> numbers,
                                                              std::int64_t target, usage rule) {
  const std::int64_t given = numbers.extent[0];
  if (given > detail::most_literals)
    hence::detail::refuse(hence::detail::message{} << "hence: numbers has " << given
                                                   << " entries, expected at most 64");
  for (std::int64_t i = 0; i < given; ++i)
    if (numbers[i] < 0)
      hence::detail::refuse(hence::detail::message{} << "hence: numbers[" << i << "] is "
                                                     << numbers[i] << ", expected 0 or more");
  return detail::judge_countdown<Isa>(expression, numbers, target, rule);
}

}  // namespace hence::inline v0::reward
