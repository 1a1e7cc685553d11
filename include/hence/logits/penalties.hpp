/// \file
/// `penalize`: lowers the logits of tokens that a row has already used, in place, before `sample`.
///
/// In this order, as vLLM and Hugging Face apply them:
///   1. repetition (CTRL, Keskar et al., arXiv:1909.05858, sec. 4.1, in the sign-aware form of
///   both):
///      tokens of the prompt or the response: x / r if x > 0, else x r;
///   2. frequency and presence (OpenAI): x - f count - p, for tokens of the response;
///   3. no_repeat_ngram: -infinity for a token that would complete an n-gram which the prompt and
///   the
///      response already hold (Paulus et al., arXiv:1705.04304, 2.5).
///
/// A distribution so changed is another one: log-probs of such tokens carry it as their
/// `sampling_mask`, or the trainer's ratio means nothing.
/// Numeric contract: each line of the formula rounds once in fp32, then once to storage; the same
/// bits everywhere. Time: proportional to the history, not to the vocabulary.
#pragma once

#include <hence/core/batch.hpp>
#include <hence/core/execute.hpp>
#include <hence/core/layout.hpp>
#include <hence/core/load.hpp>
#include <hence/core/place.hpp>
#include <hence/logits/token_checks.hpp>

namespace hence::inline v0 {

/// Each at its neutral value is off.
struct penalty_rule {
  float repetition = 1;              ///< above 0; above 1 discourages
  float frequency = 0;               ///< per occurrence in the response
  float presence = 0;                ///< once for a token that the response holds
  std::int64_t no_repeat_ngram = 0;  ///< n; 0: off
};

/// What each row has seen, as ragged lists of token ids.
struct token_history {
  view<const std::int64_t> prompt{};    ///< or absent, with its boundaries
  offsets cu_prompt{};                  ///< `[rows + 1]`
  view<const std::int64_t> response{};  ///< tokens drawn so far
  offsets cu_response{};                ///< `[rows + 1]`
};

namespace detail {

/// A logit after the penalties of a token seen `count` times in the response.
template <class V> HENCE_FN V penalized(const penalty_rule& rule, V x, V count) {
  const V r = rule.repetition;
  x = select(x > V(0.0f), x / r, x * r);
  if (count == V(0.0f)) return x;
  return x - V(rule.frequency) * count - V(rule.presence);
}

/// One row's history as one list.
struct seen_tokens {
  const std::int64_t *prompt, *response;
  std::int64_t prompt_size, response_size;
  HENCE_FN std::int64_t size() const { return prompt_size + response_size; }
  HENCE_FN std::int64_t operator[](std::int64_t i) const {
    return i < prompt_size ? prompt[i] : response[i - prompt_size];
  }
};

template <class Isa = native_isa>
void check_history(const char* name, const char* cu_name, const view<const std::int64_t>& ids,
                   const offsets& cu, std::int64_t rows) {
  check_offsets(cu_name, cu);
  if (cu.rows() != rows)
    refuse(message() << "hence: " << cu_name << " describes " << cu.rows() << " rows, logits has "
                     << rows);
  if (ids.extent[0] != cu[rows])
    refuse(message() << "hence: " << name << " has " << ids.extent[0] << " ids, " << cu_name
                     << " describes " << cu[rows]);
  if (!ids.present() && ids.extent[0] > 0)
    refuse(message() << "hence: " << name << " is null, expected " << ids.extent[0] << " ids");
  if (ids.extent[0] > 1 && ids.stride[0] != 1)
    refuse(message() << "hence: " << name << " is not contiguous");
}
template <class Isa = native_isa> void check_penalty_rule(const penalty_rule& rule) {
  if (!(rule.repetition > 0) || rule.repetition > 1e30f)
    refuse(message() << "hence: repetition is " << static_cast<double>(rule.repetition)
                     << ", expected a positive number (1: off)");
  if (!(rule.frequency - rule.frequency == 0) || !(rule.presence - rule.presence == 0))
    refuse(message() << "hence: frequency is " << static_cast<double>(rule.frequency)
                     << " and presence " << static_cast<double>(rule.presence)
                     << ", expected finite numbers");
  if (rule.no_repeat_ngram < 0)
    refuse(message() << "hence: no_repeat_ngram is " << rule.no_repeat_ngram
                     << ", expected 0 (off) or more");
}

/// Calls f(id) for every token that would complete an n-gram that the row holds already.
template <class F> HENCE_FN void for_each_banned(const seen_tokens& seen, std::int64_t n, F&& f) {
  if (n == 0) return;
  const std::int64_t tail = seen.size() - (n - 1);
  for (std::int64_t begin = 0; begin < tail; ++begin) {
    bool alike = true;
    for (std::int64_t i = 0; alike && i < n - 1; ++i) alike = seen[begin + i] == seen[tail + i];
    if (alike) f(seen[begin + n - 1]);
  }
}

}  // namespace detail

/// Runs in the caller's thread; rows do not know each other.
/// \param rule the penalties and their numbers.
/// \param logits `[rows, vocabulary]` of float, bf16 or f16, rows of any stride; changed in place.
/// \param history ids of each row's prompt (may be absent) and response.
/// \param counts `[vocabulary]`, all 0, and all 0 again afterwards. That is not looked at: with
/// other numbers the penalties are those of other counts.
/// \return `status::label` if an id is outside the vocabulary: it is passed over.
template <class Executor, class T>
status penalize(const Executor&, const penalty_rule& rule, view<T, 2> logits,
                const token_history& history, view<std::int32_t> counts) {
  static_assert(detail::stored_logit<T>,
                "hence: logits to penalize are float, hence::bf16 or hence::f16, and not constant");
  using V = num<float, detail::executor_isa<Executor>>;
  detail::check_penalty_rule(rule);
  const std::int64_t rows = logits.extent[0], columns = logits.extent[1];
  if (rows < 0 || columns < 1)
    detail::refuse(detail::message()
                   << "hence: logits has shape [" << rows << ", " << columns
                   << "], expected [rows, vocabulary], a vocabulary of 1 or more");
  detail::check_matrix("logits", logits, rows, columns);
  const bool has_prompt = history.prompt.given() || history.cu_prompt.present();
  if (has_prompt)
    detail::check_history("history.prompt", "history.cu_prompt", history.prompt, history.cu_prompt,
                          rows);
  detail::check_history("history.response", "history.cu_response", history.response,
                        history.cu_response, rows);
  if (!counts.present() || counts.extent[0] != columns)
    detail::refuse(detail::message() << "hence: counts has " << counts.extent[0]
                                     << " entries, expected the vocabulary's " << columns);
  detail::check_rows("counts", counts, columns);
  detail::check_written_apart(
      {{"logits", detail::range_of(logits)}, {"counts", detail::range_of(counts)}},
      {{"history.prompt", detail::range_of(history.prompt)},
       {"history.cu_prompt", history.cu_prompt.bytes()},
       {"history.response", detail::range_of(history.response)},
       {"history.cu_response", history.cu_response.bytes()}});
  status found = status::ok;
  for (std::int64_t row = 0; row < rows; ++row) {
    detail::seen_tokens seen{nullptr, nullptr, 0, 0};
    if (history.prompt.present()) {
      seen.prompt = history.prompt.data + history.cu_prompt[row];
      seen.prompt_size = history.cu_prompt[row + 1] - history.cu_prompt[row];
    }
    if (history.response.present()) {
      seen.response = history.response.data + history.cu_response[row];
      seen.response_size = history.cu_response[row + 1] - history.cu_response[row];
    }
    const auto in_vocabulary = [&](std::int64_t id) { return id >= 0 && id < columns; };
    for (std::int64_t i = 0; i < seen.response_size; ++i) {
      const std::int64_t id = seen.response[i];
      if (in_vocabulary(id)) ++counts[id];
    }
    // the first visit changes the logit and marks it: -1 - count
    for (std::int64_t i = 0; i < seen.size(); ++i) {
      const std::int64_t id = seen[i];
      if (!in_vocabulary(id)) {
        found |= status::label;
        continue;
      }
      if (counts[id] < 0) continue;
      T& x = logits(row, id);
      x = T(detail::penalized(rule, V(static_cast<float>(x)), V(static_cast<float>(counts[id]))).v);
      counts[id] = -1 - counts[id];
    }
    detail::for_each_banned(seen, rule.no_repeat_ngram, [&](std::int64_t id) {
      if (in_vocabulary(id)) logits(row, id) = T(-__builtin_inff());
    });
    for (std::int64_t i = 0; i < seen.size(); ++i)
      if (in_vocabulary(seen[i])) counts[seen[i]] = 0;
  }
  return found;
}

}  // namespace hence::inline v0
