/// \file
/// What a distillation loss is told, reads and writes, and what it refuses.
#pragma once

#include <hence/logits/token_checks.hpp>

namespace hence::inline v0 {

/// How the distributions are made.
struct distill_rule {
  double temperature;  ///< above 0, of both
};
/// An absent bound is an infinity.
struct distill_top_k_rule {
  double temperature;  ///< above 0, of the student; the teacher's log-probs are given
  double log_prob_min = -__builtin_inf();  ///< log-probs below count as this
  double clamp_min = -__builtin_inf(), clamp_max = __builtin_inf();  ///< ends of what a sum may be
};
/// \tparam S the executor's scalar.
template <class S> struct distill_inputs {
  view<const std::uint8_t> mask{};  ///< `[tokens]`, nonzero = live; absent: all
  view<const S> cotangent{};        ///< `[tokens]`, d loss / d per_token; absent: 1
};
/// Where the results go, each absent or of the tokens' number.
template <class S> struct distill_results {
  view<S> per_token{};    ///< `[tokens]`
  view<S, 2> gradient{};  ///< `[tokens, vocabulary]`, or absent; may be the student's logits
};

/// What becomes of the tokens that a teacher's top k does not show.
namespace tail {
/// Nothing: the sum is over the k alone, and need not be a divergence. verl, with forward KL.
struct ignored {};
/// They are one token more, with what is left of either distribution: a divergence between coarser
/// distributions, 0 where they agree, never above the one of the whole. The teacher leaves 2^-24 at
/// least, since log-probs in fp32 say no more.
struct one_token {};
}  // namespace tail

namespace detail {

template <class Tail> constexpr bool is_tail() {
  return std::same_as<Tail, tail::ignored> || std::same_as<Tail, tail::one_token>;
}

template <class S> HENCE_FN softmax_numbers<S> numbers_of_distill(const distill_rule& rule) {
  return numbers_of<S>({.temperature = rule.temperature, .negative = negative_labels::ignored});
}

/// Refuses results on top of what is read, or of each other.
template <class S, std::size_t M>
void check_distill_apart(const distill_results<S>& out, const named_place (&read)[M]) {
  const named_place written[] = {place_of_rows("out.per_token", out.per_token),
                                 place_of_rows("out.gradient", out.gradient)};
  check_written_apart(written, read);
}

template <class T, class S>
[[gnu::always_inline]] inline void check_distill(const distill_rule& rule,
                                                 const view<T, 2>& student,
                                                 const distill_inputs<S>& in,
                                                 const distill_results<S>& out) {
  check_softmax_rule({.temperature = rule.temperature, .negative = negative_labels::ignored});
  const std::int64_t rows = student.extent[0], columns = student.extent[1];
  if (rows < 0 || columns < 1)
    refuse(message() << "hence: student has shape [" << rows << ", " << columns
                     << "], expected [tokens, vocabulary], a vocabulary of 1 or more");
  const view<const T, 2> read = student;
  check_matrix("student", read, rows, columns);
  check_rows("in.mask", in.mask, rows);
  check_rows("in.cotangent", in.cotangent, rows);
  check_rows("out.per_token", out.per_token, rows);
  check_distill_apart(
      out, {place_of_rows("in.mask", in.mask), place_of_rows("in.cotangent", in.cotangent)});
  check_apart(place_of_rows("out.per_token", out.per_token), place_of_rows("student", student));
  if (!out.gradient.given()) return;
  check_matrix("out.gradient", out.gradient, rows, columns);
  const void *from = student.data, *to = out.gradient.data;
  if (!(from == to && sizeof(T) == sizeof(S) &&
        (rows < 2 || student.stride[0] == out.gradient.stride[0])) &&
      overlap(range_of(student), range_of(out.gradient)))
    refuse(message() << "hence: out.gradient overlaps student, expected the same array or one "
                        "apart from it");
}
template <class Divergence, class T, class Q, class S>
[[gnu::always_inline]] inline void check_distill_full(
    const Divergence& how, const distill_rule& rule, const view<T, 2>& student,
    const view<Q, 2>& teacher, const distill_inputs<S>& in, const distill_results<S>& out) {
  if constexpr (requires { how.check(); }) how.check();
  check_distill(rule, student, in, out);
  const view<const Q, 2> read = teacher;
  check_matrix("teacher", read, student.extent[0], student.extent[1]);
  check_distill_apart(out, {place_of_rows("teacher", teacher)});
}
template <class Divergence, class T, class S>
[[gnu::always_inline]] inline void check_distill_top_k(
    const Divergence& how, const distill_top_k_rule& rule, const view<T, 2>& student,
    const view<const std::int64_t, 2>& ids, const view<const S, 2>& teacher_logp,
    const distill_inputs<S>& in, const distill_results<S>& out) {
  if constexpr (requires { how.check(); }) how.check();
  check_distill({.temperature = rule.temperature}, student, in, out);
  if (overlap(range_of(student), range_of(out.gradient)))
    refuse(message() << "hence: out.gradient overlaps student, expected separate arrays");
  if (!(rule.log_prob_min < __builtin_inf()))
    refuse(message() << "hence: log_prob_min is " << rule.log_prob_min
                     << ", expected a number or -infinity");
  if (!(rule.clamp_min <= rule.clamp_max))
    refuse(message() << "hence: clamp_min " << rule.clamp_min << " is not at most clamp_max "
                     << rule.clamp_max);
  check_matrix("ids", ids, student.extent[0], ids.extent[1]);
  check_matrix("teacher_logp", teacher_logp, student.extent[0], ids.extent[1]);
  check_distill_apart(out,
                      {place_of_rows("ids", ids), place_of_rows("teacher_logp", teacher_logp)});
}

}  // namespace detail

}  // namespace hence::inline v0
