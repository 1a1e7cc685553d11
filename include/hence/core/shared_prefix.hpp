/// \file
/// A batch in which the responses to one prompt store that prompt once: index maps, the rows of
/// hidden states that predict response tokens, and the exact way of their gradients back.
///
/// Stored order, group after group: the prompt, then the responses of its rows one after the other.
///
///     group 0: P P P P | A A | B B B | group 1: Q Q | C C C C | D
///
/// Attention over it is the model's: a response token sees its prompt and its own row's tokens.
/// The first token of every response is predicted by the prompt's last one, so the gradient of that
/// hidden state is a sum over the group's rows: here it is exact, rounded once, and does not depend
/// on their order. 8 rows of 187 + 25 tokens are 387 stored instead of 1696.
#pragma once

#include <hence/core/execute.hpp>
#include <hence/core/place.hpp>
#include <hence/core/sum.hpp>

namespace hence::inline v0 {

/// Group g has rows `[cu_groups[g], cu_groups[g + 1])`.
struct shared_prefix {
  offsets cu_groups;     ///< `[groups + 1]`, rows
  offsets cu_prompts;    ///< `[groups + 1]`, prompt tokens, each prompt counted once
  offsets cu_responses;  ///< `[rows + 1]`, response tokens

  /// Prompts.
  HENCE_FN std::int64_t groups() const { return cu_groups.rows(); }
  HENCE_FN std::int64_t rows() const { return cu_responses.rows(); }
  /// Tokens stored.
  HENCE_FN std::int64_t stored() const { return cu_prompts[groups()] + responses(); }
  /// Response tokens, as a `ragged` batch of `cu_responses` has them.
  HENCE_FN std::int64_t responses() const { return cu_responses[rows()]; }
  /// Where the prompt of group g begins.
  HENCE_FN std::int64_t prompt_begin(std::int64_t g) const {
    return cu_prompts[g] + cu_responses[cu_groups[g]];
  }
  /// Where the response of row i, which is of group g, begins.
  HENCE_FN std::int64_t response_begin(std::int64_t g, std::int64_t i) const {
    return cu_prompts[g + 1] + cu_responses[i];
  }
  /// Tokens of group g's prompt.
  HENCE_FN std::int64_t prompt_length(std::int64_t g) const {
    return cu_prompts[g + 1] - cu_prompts[g];
  }
  /// Tokens of response i.
  HENCE_FN std::int64_t response_length(std::int64_t i) const {
    return cu_responses[i + 1] - cu_responses[i];
  }
};

/// Each may be absent.
struct shared_prefix_maps {
  view<std::int64_t> position{};   ///< `[stored]`, the token's place in its own sequence, from 0
  view<std::int64_t> group{};      ///< `[stored]`
  view<std::int64_t> row{};        ///< `[stored]`, -1 for a prompt's tokens, which all rows see
  view<std::int64_t> predictor{};  ///< `[responses]`, the stored token whose state predicts it
};

namespace detail {

template <class Isa = native_isa> void check_shared_prefix(const shared_prefix& s) {
  check_offsets("cu_groups", s.cu_groups);
  check_offsets("cu_prompts", s.cu_prompts);
  check_offsets("cu_responses", s.cu_responses);
  if (s.cu_prompts.rows() != s.groups())
    refuse(message() << "hence: cu_prompts describes " << s.cu_prompts.rows()
                     << " prompts, cu_groups " << s.groups() << " groups");
  if (s.cu_groups[s.groups()] != s.rows())
    refuse(message() << "hence: cu_groups ends at " << s.cu_groups[s.groups()]
                     << ", cu_responses describes " << s.rows() << " rows");
  for (std::int64_t g = 0; g < s.groups(); ++g) {
    const std::int64_t first = s.cu_responses[s.cu_groups[g]],
                       last = s.cu_responses[s.cu_groups[g + 1]];
    if (s.prompt_length(g) == 0 && last > first)
      refuse(message() << "hence: the prompt of group " << g
                       << " is empty, expected 1 token or more: nothing predicts its responses");
  }
}
template <class Isa = native_isa>
void check_map(const char* name, const view<std::int64_t>& map, std::int64_t size) {
  if (!map.given()) return;
  if (!map.present() && size > 0)
    refuse(message() << "hence: " << name << " is null, expected " << size << " entries");
  if (map.extent[0] != size)
    refuse(message() << "hence: " << name << " has " << map.extent[0] << " entries, expected "
                     << size);
  check_stride(name, map.stride[0], size);
}
template <class Isa = native_isa>
void check_states(const char* name, bool present, const std::int64_t (&extent)[2],
                  const std::int64_t (&stride)[2], std::int64_t rows, std::int64_t columns,
                  bool writes) {
  if (columns < 0)
    refuse(message() << "hence: " << name << " has shape [" << extent[0] << ", " << extent[1]
                     << "], expected a width of 0 or more");
  if (!present && rows * columns > 0)
    refuse(message() << "hence: " << name << " is null, expected shape [" << rows << ", " << columns
                     << "]");
  if (extent[0] != rows || extent[1] != columns)
    refuse(message() << "hence: " << name << " has shape [" << extent[0] << ", " << extent[1]
                     << "], expected [" << rows << ", " << columns << "]");
  const std::int64_t step = stride[0] < 0 ? -stride[0] : stride[0];
  if (writes && ((rows > 1 && step < columns) || (columns > 1 && stride[1] != 1)))
    refuse(message() << "hence: " << name << " has strides " << stride[0] << " and " << stride[1]
                     << ", expected at least its " << columns << " columns and 1");
}
template <class T>
[[gnu::always_inline]] inline void check_states(const char* name, const view<T, 2>& m,
                                                std::int64_t rows, std::int64_t columns) {
  check_states(name, m.present(), m.extent, m.stride, rows, columns, !std::is_const_v<T>);
}
/// Refuses an output over the boundaries of groups, prompts and responses.
template <class Isa = native_isa>
void check_apart_from_prefix(const char* written, byte_range range, const shared_prefix& s) {
  check_apart(written, {range, 0, 0}, "cu_groups", {s.cu_groups.bytes(), 0, 0});
  check_apart(written, {range, 0, 0}, "cu_prompts", {s.cu_prompts.bytes(), 0, 0});
  check_apart(written, {range, 0, 0}, "cu_responses", {s.cu_responses.bytes(), 0, 0});
}
/// Calls f(r, p) for every response token r of row i, p being what predicts it.
template <class F>
HENCE_FN void for_each_predictor(const shared_prefix& s, std::int64_t g, std::int64_t i, F&& f) {
  const std::int64_t begin = s.cu_responses[i], stored = s.response_begin(g, i);
  for (std::int64_t t = 0; t < s.response_length(i); ++t)
    f(begin + t, t == 0 ? s.prompt_begin(g) + s.prompt_length(g) - 1 : stored + t - 1);
}

}  // namespace detail

/// Writes the maps that are present.
[[gnu::always_inline]] inline void write_maps(const shared_prefix& s,
                                              const shared_prefix_maps& out) {
  detail::check_shared_prefix(s);
  detail::check_map("out.position", out.position, s.stored());
  detail::check_map("out.group", out.group, s.stored());
  detail::check_map("out.row", out.row, s.stored());
  detail::check_map("out.predictor", out.predictor, s.responses());
  const detail::byte_range maps[] = {detail::range_of(out.position), detail::range_of(out.group),
                                     detail::range_of(out.row), detail::range_of(out.predictor)};
  const char* const names[] = {"out.position", "out.group", "out.row", "out.predictor"};
  for (int m = 0; m < 4; ++m) {
    detail::check_apart_from_prefix(names[m], maps[m], s);
    for (int n = 0; n < m; ++n)
      detail::check_apart(names[m], {maps[m], 0, 0}, names[n], {maps[n], 0, 0});
  }
  const auto write = [&](std::int64_t at, std::int64_t position, std::int64_t g, std::int64_t row) {
    if (out.position.present()) out.position[at] = position;
    if (out.group.present()) out.group[at] = g;
    if (out.row.present()) out.row[at] = row;
  };
  for (std::int64_t g = 0; g < s.groups(); ++g) {
    const std::int64_t length = s.prompt_length(g);
    for (std::int64_t p = 0; p < length; ++p) write(s.prompt_begin(g) + p, p, g, -1);
    for (std::int64_t i = s.cu_groups[g]; i < s.cu_groups[g + 1]; ++i) {
      for (std::int64_t t = 0; t < s.response_length(i); ++t)
        write(s.response_begin(g, i) + t, length + t, g, i);
      if (out.predictor.present())
        detail::for_each_predictor(s, g, i,
                                   [&](std::int64_t r, std::int64_t p) { out.predictor[r] = p; });
    }
  }
}

/// out_r = the hidden state that predicts response token r: what `linear_logprob` takes.
/// \param s the batch. \param hidden `[stored, width]`. \param out `[responses, width]`, apart from
/// it.
template <class Executor>
void gather_predictors(const Executor&, const shared_prefix& s,
                       view<const typename Executor::scalar, 2> hidden,
                       view<typename Executor::scalar, 2> out) {
  detail::check_shared_prefix(s);
  const std::int64_t width = hidden.extent[1];
  detail::check_states("hidden", hidden, s.stored(), width);
  detail::check_states("out", out, s.responses(), width);
  detail::check_apart("out", {detail::range_of(out), 0, 0}, "hidden",
                      {detail::range_of(hidden), 0, 0});
  detail::check_apart_from_prefix("out", detail::range_of(out), s);
  for (std::int64_t g = 0; g < s.groups(); ++g)
    for (std::int64_t i = s.cu_groups[g]; i < s.cu_groups[g + 1]; ++i)
      detail::for_each_predictor(s, g, i, [&](std::int64_t r, std::int64_t p) {
        for (std::int64_t d = 0; d < width; ++d) out(r, d) = hidden(p, d);
      });
}

/// Its exact transpose: the gradient of every stored hidden state, 0 for one that predicts nothing.
/// A prompt's last state gets the sum over its group's rows, exact and rounded once.
/// \param s the batch. \param gradient `[responses, width]`. \param out `[stored, width]`, apart
/// from it.
template <class Executor>
void scatter_to_predictors(const Executor&, const shared_prefix& s,
                           view<const typename Executor::scalar, 2> gradient,
                           view<typename Executor::scalar, 2> out) {
  using S = typename Executor::scalar;
  detail::check_shared_prefix(s);
  const std::int64_t width = gradient.extent[1];
  detail::check_states("gradient", gradient, s.responses(), width);
  detail::check_states("out", out, s.stored(), width);
  detail::check_apart("out", {detail::range_of(out), 0, 0}, "gradient",
                      {detail::range_of(gradient), 0, 0});
  detail::check_apart_from_prefix("out", detail::range_of(out), s);
  for (std::int64_t g = 0; g < s.groups(); ++g) {
    const std::int64_t prompt = s.prompt_begin(g), last = prompt + s.prompt_length(g) - 1;
    for (std::int64_t p = prompt; p < last; ++p)
      for (std::int64_t d = 0; d < width; ++d) out(p, d) = S(0);
    for (std::int64_t d = 0; last >= prompt && d < width; ++d) {
      sum_of<S> total;
      for (std::int64_t i = s.cu_groups[g]; i < s.cu_groups[g + 1]; ++i)
        if (s.response_length(i) > 0) total.add(gradient(s.cu_responses[i], d));
      out(last, d) = static_cast<S>(total.value());
    }
    for (std::int64_t i = s.cu_groups[g]; i < s.cu_groups[g + 1]; ++i) {
      const std::int64_t n = s.response_length(i), at = s.response_begin(g, i);
      for (std::int64_t t = 0; t < n; ++t)
        for (std::int64_t d = 0; d < width; ++d)
          out(at + t, d) = t + 1 < n ? gradient(s.cu_responses[i] + t + 1, d) : S(0);
    }
  }
}

}  // namespace hence::inline v0
