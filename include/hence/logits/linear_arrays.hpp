/// \file
/// What `linear_logprob` reads and writes beside the hidden states, and how its memory is cut.
#pragma once

#include <hence/core/gemm/product.hpp>
#include <hence/logits/token_checks.hpp>
#include <hence/logits/token_rows.hpp>

#include <cstddef>  // byte

namespace hence::inline v0 {

/// The output layer. \tparam W how weights are stored. \tparam S the executor's scalar.
template <class W, class S = float> struct linear_head {
  view<W, 2> weight{};   ///< `[vocabulary, width]`, as PyTorch's Linear holds it
  view<const S> bias{};  ///< `[vocabulary]`, or absent
};
template <class W> linear_head(view<W, 2>) -> linear_head<W>;

/// Where gradients go; each may be absent. \tparam S the executor's scalar.
template <class S = float> struct linear_gradients {
  view<S, 2> hidden{};                   ///< `[tokens, width]`
  view<S, 2> weight{};                   ///< `[vocabulary, width]`
  view<S> bias{};                        ///< `[vocabulary]`
  update of_hidden = update::overwrite;  ///< of `hidden`; ignored tokens get 0 or stay
  update of_head = update::overwrite;    ///< of `weight` and `bias`
};

/// Parts that `linear_logprob` cuts a tile's work into for a pool, each with the backend's scratch.
constexpr std::int64_t linear_parts = 16;

namespace detail {

/// A backend's scratch, so that the next one begins at a cache line too.
template <class Gemm> HENCE_FN constexpr std::int64_t scratch_of() {
  return (Gemm::scratch_floats + 15) / 16 * 16;
}
/// Columns [begin, begin + count).
template <class T>
HENCE_FN constexpr view<T, 2> columns_of(view<T, 2> m, std::int64_t begin, std::int64_t count) {
  return transposed(rows_of(transposed(m), begin, count));
}

/// A row's floats in a tile: rows begin at a cache line, and never a whole number of pages apart,
/// where a column would fall on one set of the cache.
HENCE_FN constexpr std::int64_t rounded_up(std::int64_t n) {
  const std::int64_t lines = (n + 15) / 16;
  return 16 * (lines % 4 == 0 ? lines + 1 : lines);
}
/// Logits, hidden state and its gradient.
HENCE_FN constexpr std::int64_t floats_per_token(std::int64_t width, std::int64_t vocabulary) {
  return rounded_up(vocabulary) + 2 * rounded_up(width);
}

/// The part of the memory that begins at a cache line, as whole S.
template <class S> HENCE_FN view<S> aligned_floats(const view<std::byte>& memory) {
  const auto address = reinterpret_cast<std::uintptr_t>(memory.data);
  const auto skip = static_cast<std::int64_t>((64 - address % 64) % 64);
  if (memory.data == nullptr || memory.extent[0] < skip) return {};
  return {reinterpret_cast<S*>(memory.data + skip),
          (memory.extent[0] - skip) / static_cast<std::int64_t>(sizeof(S))};
}

template <class Isa = native_isa>
void check_tokens(const char* name, bool present, std::int64_t size, std::int64_t tokens) {
  if (!present && tokens > 0)
    refuse(message() << "hence: " << name << " is null, expected " << tokens << " tokens");
  if (size != tokens)
    refuse(message() << "hence: " << name << " has " << size << " entries, hidden has " << tokens
                     << " tokens");
}

/// Absent or one for each row of the head.
template <class T> void check_bias(const char* name, const view<T>& bias, std::int64_t columns) {
  if (!bias.given()) return;
  if (bias.extent[0] != columns || !bias.present())
    refuse(message() << "hence: " << name << (bias.present() ? " has " : " is null, with ")
                     << bias.extent[0] << " entries, head.weight has " << columns << " rows");
  if (!std::is_const_v<T>) check_stride(name, bias.stride[0], columns);
}

template <class H, class W, class S>
void check_linear_head(const view<H, 2>& hidden, const linear_head<W, S>& head,
                       const token_labels& labels) {
  const std::int64_t tokens = hidden.extent[0], width = hidden.extent[1],
                     columns = head.weight.extent[0];
  const view<const std::remove_const_t<H>, 2> read = hidden;
  const view<const std::remove_const_t<W>, 2> weight = head.weight;
  if (columns < 1 || width < 1)
    refuse(message() << "hence: head.weight has shape [" << columns << ", " << weight.extent[1]
                     << "] and hidden [" << tokens << ", " << width
                     << "], expected [vocabulary, width] and [tokens, width]");
  check_matrix("hidden", read, tokens, width);
  if (weight.extent[1] != width)
    refuse(message() << "hence: head.weight has shape [" << columns << ", " << weight.extent[1]
                     << "], expected [vocabulary, " << width << "], the width of hidden");
  check_matrix("head.weight", weight, columns, width);
  check_bias("head.bias", head.bias, columns);
  check_tokens("labels", labels.present(), labels.size(), tokens);
}

/// Absent or one for each token; the stride of one that is written is looked at too.
template <class T> void check_token_array(const char* name, const view<T>& v, std::int64_t tokens) {
  if (v.given()) check_tokens(name, v.present(), v.extent[0], tokens);
  check_rows(name, v, tokens);
}

template <class S> void check_linear_results(const token_results<S>& out, std::int64_t tokens) {
  check_token_array("out.logp", out.logp, tokens);
  check_token_array("out.entropy", out.entropy, tokens);
  check_token_array("out.anchor", out.anchor, tokens);
  check_token_array("out.log_sum", out.log_sum, tokens);
  check_token_array("out.expected_logit", out.expected_logit, tokens);
  check_token_array("out.states", out.states, tokens);
}

template <class Isa = native_isa>
void check_linear_states(const view<const softmax_state>& states, std::int64_t tokens) {
  if (!states.given() && tokens > 0)
    refuse(message() << "hence: states is null, expected " << tokens
                     << " tokens as linear_logprob wrote them");
  check_tokens("states", states.present(), states.extent[0], tokens);
}

template <class H, class W, class S>
void check_linear_gradients(const view<H, 2>& hidden, const linear_head<W, S>& head,
                            const token_cotangents<S>& cot, const linear_gradients<S>& gradients) {
  const std::int64_t tokens = hidden.extent[0], width = hidden.extent[1],
                     columns = head.weight.extent[0];
  check_token_array("cot.logp", cot.logp, tokens);
  check_token_array("cot.entropy", cot.entropy, tokens);
  const view<S, 2>&h = gradients.hidden, &w = gradients.weight;
  if (h.given()) check_matrix("gradients.hidden", h, tokens, width);
  if (w.given()) check_matrix("gradients.weight", w, columns, width);
  check_bias("gradients.bias", gradients.bias, columns);
}

/// Refuses what is written on top of what is read or written beside it.
template <class H, class W, class S>
void check_linear_places(const view<H, 2>& hidden, const linear_head<W, S>& head,
                         const token_labels& labels, const view<const softmax_state>& states,
                         const token_cotangents<S>& cot, const token_results<S>& out,
                         const linear_gradients<S>& gradients, const view<std::byte>& memory) {
  if (memory.extent[0] > 1 && memory.stride[0] != 1)
    refuse(message() << "hence: memory has stride " << memory.stride[0] << ", expected 1");
  const named_place written[] = {place_of_rows("gradients.hidden", gradients.hidden),
                                 place_of_rows("gradients.weight", gradients.weight),
                                 place_of_rows("gradients.bias", gradients.bias),
                                 place_of_rows("memory", memory)};
  const named_place read[] = {
      place_of_rows("hidden", hidden),          place_of_rows("head.weight", head.weight),
      place_of_rows("head.bias", head.bias),    place_of_labels(labels),
      place_of_rows("states", states),          place_of_rows("cot.logp", cot.logp),
      place_of_rows("cot.entropy", cot.entropy)};
  check_written_apart(written, read);
  const result_places<S> results(out);
  check_written_apart(results.of, read);
  check_written_apart(results.of, written);
}

}  // namespace detail

}  // namespace hence::inline v0
