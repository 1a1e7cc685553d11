/// \file
/// What the functions on logits refuse, at compile time and before anything is written.
#pragma once

#include <hence/core/execute.hpp>
#include <hence/core/load.hpp>
#include <hence/core/place.hpp>
#include <hence/logits/token_arrays.hpp>

namespace hence::inline v0::detail {

/// Layered: the first fault speaks.
template <class Executor, class T, class Out = float> constexpr bool check_logits() {
  using E = std::remove_const_t<T>;
  constexpr bool is_wide = std::same_as<typename Executor::scalar, double>;
  constexpr bool readable = stored_logit<E> || (is_wide && std::same_as<E, double>);
  constexpr bool writable = stored_logit<Out> || (is_wide && std::same_as<Out, double>);
  static_assert(readable,
                "hence: logits are stored as float, hence::bf16 or hence::f16 (as double for "
                "reference<double>)");
  static_assert(!readable || writable,
                "hence: a gradient of logits is stored as float, hence::bf16 or hence::f16 (as "
                "double for reference<double>), and is not constant");
  return readable && writable;
}

/// `[rows]`, or absent.
template <class Isa = native_isa>
void check_rows(const char* name, bool present, std::int64_t size, std::int64_t stride,
                std::int64_t rows, bool writes) {
  if (!present && rows > 0)
    refuse(message() << "hence: " << name << " is null, expected " << rows << " rows");
  if (size != rows)
    refuse(message() << "hence: " << name << " has " << size << " entries, logits has " << rows
                     << " rows");
  if (writes) check_stride(name, stride, rows);
}
template <class T>
[[gnu::always_inline]] inline void check_rows(const char* name, const view<T>& v,
                                              std::int64_t rows) {
  if (v.given()) check_rows(name, v.present(), v.extent[0], v.stride[0], rows, !std::is_const_v<T>);
}

/// A matrix of the logits' shape, columns contiguous.
template <class Isa = native_isa>
void check_matrix(const char* name, bool present, const std::int64_t (&extent)[2],
                  const std::int64_t (&stride)[2], std::int64_t rows, std::int64_t columns,
                  bool writes) {
  if (!present && rows * columns > 0)
    refuse(message() << "hence: " << name << " is null, expected shape [" << rows << ", " << columns
                     << "]");
  if (extent[0] != rows || extent[1] != columns)
    refuse(message() << "hence: " << name << " has shape [" << extent[0] << ", " << extent[1]
                     << "], expected [" << rows << ", " << columns << "]");
  if (columns > 1 && stride[1] != 1)
    refuse(message() << "hence: " << name << " has column stride " << stride[1]
                     << ", expected 1 (the columns of a row are contiguous)");
  const std::int64_t step = stride[0] < 0 ? -stride[0] : stride[0];
  if (writes && rows > 1 && step < columns)
    refuse(message() << "hence: " << name << " has row stride " << stride[0]
                     << ", expected at least its " << columns << " columns");
}
template <class T>
[[gnu::always_inline]] inline void check_matrix(const char* name, const view<T, 2>& v,
                                                std::int64_t rows, std::int64_t columns) {
  check_matrix(name, v.present(), v.extent, v.stride, rows, columns, !std::is_const_v<T>);
}

/// Entries, or rows, that columns of one table may be.
template <class T> HENCE_FN named_place place_of_rows(const char* name, const view<T>& v) {
  return {name, range_of(v), v.stride[0] * static_cast<std::int64_t>(sizeof(T)), sizeof(T)};
}
template <class T> HENCE_FN named_place place_of_rows(const char* name, const view<T, 2>& v) {
  constexpr auto size = static_cast<std::int64_t>(sizeof(T));
  return {name, range_of(v), v.stride[0] * size, v.extent[1] * size};
}
HENCE_FN named_place place_of_labels(const token_labels& labels) {
  return {"labels", labels.bytes(), 0, 0};
}

template <class T>
[[gnu::always_inline]] inline void check_logits_and_labels(
    const softmax_rule& rule, const view<T, 2>& logits, const token_labels& labels,
    const view<const std::uint8_t, 2>& keep) {
  check_softmax_rule(rule);
  const std::int64_t rows = logits.extent[0], columns = logits.extent[1];
  if (rows < 0 || columns < 1)
    refuse(message() << "hence: logits has shape [" << rows << ", " << columns
                     << "], expected [rows, vocabulary], a vocabulary of 1 or more");
  const view<const T, 2> read = logits;  // reading may alias rows
  check_matrix("logits", read, rows, columns);
  check_rows("labels", labels.present(), labels.size(), 1, rows, false);
  if (keep.given()) check_matrix("keep", keep, rows, columns);
}

/// Where the members of `out` lie.
template <class S> struct result_places {
  named_place of[6];
  HENCE_FN explicit result_places(const token_results<S>& out)
      : of{place_of_rows("out.logp", out.logp),
           place_of_rows("out.entropy", out.entropy),
           place_of_rows("out.anchor", out.anchor),
           place_of_rows("out.log_sum", out.log_sum),
           place_of_rows("out.expected_logit", out.expected_logit),
           place_of_rows("out.states", out.states)} {}
};

template <class T, class S>
[[gnu::always_inline]] inline void check_token_arrays(const softmax_rule& rule,
                                                      const view<T, 2>& logits,
                                                      const token_labels& labels,
                                                      const token_results<S>& out,
                                                      const view<const std::uint8_t, 2>& keep) {
  check_logits_and_labels(rule, logits, labels, keep);
  const std::int64_t rows = logits.extent[0];
  check_rows("out.logp", out.logp, rows);
  check_rows("out.entropy", out.entropy, rows);
  check_rows("out.anchor", out.anchor, rows);
  check_rows("out.log_sum", out.log_sum, rows);
  check_rows("out.expected_logit", out.expected_logit, rows);
  check_rows("out.states", out.states, rows);
  const result_places<S> written(out);
  const named_place read[] = {place_of_rows("logits", logits), place_of_labels(labels),
                              place_of_rows("keep", keep)};
  check_written_apart(written.of, read);
}

/// The gradient may be the logits themselves.
template <class T, class S, class Out>
[[gnu::always_inline]] inline void check_gradient_arrays(const view<T, 2>& logits,
                                                         const token_labels& labels,
                                                         const token_cotangents<S>& cot,
                                                         const view<Out, 2>& gradient,
                                                         const view<const std::uint8_t, 2>& keep) {
  const std::int64_t rows = logits.extent[0], columns = logits.extent[1];
  check_rows("cot.logp", cot.logp, rows);
  check_rows("cot.entropy", cot.entropy, rows);
  check_matrix("gradient", gradient, rows, columns);
  const void *from = logits.data, *to = gradient.data;
  const bool in_place = from == to && sizeof(T) == sizeof(Out) &&
                        (rows < 2 || logits.stride[0] == gradient.stride[0]);
  if (!in_place && overlap(range_of(logits), range_of(gradient)))
    refuse(message() << "hence: gradient overlaps logits, expected the same array (of the same row "
                        "stride and element size) or one apart from it");
  const named_place written[] = {place_of_rows("gradient", gradient)};
  const named_place read[] = {place_of_labels(labels), place_of_rows("keep", keep),
                              place_of_rows("cot.logp", cot.logp),
                              place_of_rows("cot.entropy", cot.entropy)};
  check_written_apart(written, read);
}
/// Results and gradient of one call, whose cotangents are read after results are written.
template <class S, class Out>
[[gnu::always_inline]] inline void check_results_and_gradient(const token_cotangents<S>& cot,
                                                              const token_results<S>& out,
                                                              const view<Out, 2>& gradient) {
  const result_places<S> written(out);
  const named_place cotangents[] = {place_of_rows("cot.logp", cot.logp),
                                    place_of_rows("cot.entropy", cot.entropy)};
  check_written_apart(written.of, cotangents);
  const named_place last[] = {place_of_rows("gradient", gradient)};
  check_written_apart(last, written.of);
}

template <class T, class S, class Out>
[[gnu::always_inline]] inline void check_token_gradient(
    const softmax_rule& rule, const view<T, 2>& logits, const token_labels& labels,
    const view<const softmax_state>& states, const token_cotangents<S>& cot,
    const view<Out, 2>& gradient, const view<const std::uint8_t, 2>& keep) {
  check_logits_and_labels(rule, logits, labels, keep);
  const std::int64_t rows = logits.extent[0];
  if (!states.present() && rows > 0)
    refuse(message() << "hence: states is null, expected " << rows
                     << " rows as token_logprob wrote them");
  check_rows("states", states, rows);
  check_gradient_arrays(logits, labels, cot, gradient, keep);
  check_apart(place_of_rows("gradient", gradient), place_of_rows("states", states));
}

}  // namespace hence::inline v0::detail
