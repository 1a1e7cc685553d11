/// \file
/// What `token_logprob` reads and writes beside the logits.
#pragma once

#include <hence/core/view.hpp>
#include <hence/logits/softmax_rule.hpp>

namespace hence::inline v0 {

/// A label per row, `[rows]`, int32 or int64.
class token_labels {
 public:
  HENCE_FN constexpr token_labels() {}
  HENCE_FN constexpr token_labels(view<const std::int64_t> v) : wide_(v) {}
  HENCE_FN constexpr token_labels(view<const std::int32_t> v) : narrow_(v) {}
  template <class C>
    requires std::constructible_from<view<const std::int64_t>, C>
  [[gnu::always_inline]] constexpr token_labels(C&& c) : wide_(c) {}
  template <class C>
    requires std::constructible_from<view<const std::int32_t>, C>
  [[gnu::always_inline]] constexpr token_labels(C&& c) : narrow_(c) {}

  HENCE_FN constexpr bool present() const { return wide_.present() || narrow_.present(); }
  /// Labels given.
  HENCE_FN constexpr std::int64_t size() const {
    return wide_.present() ? wide_.extent[0] : narrow_.extent[0];
  }
  HENCE_FN constexpr std::int64_t operator[](std::int64_t i) const {
    return wide_.present() ? wide_[i] : narrow_[i];
  }
  /// The memory that they lie in, which no output may share.
  HENCE_FN detail::byte_range bytes() const {
    return wide_.present() ? detail::range_of(wide_) : detail::range_of(narrow_);
  }
  /// Labels [begin, begin + count).
  HENCE_FN constexpr token_labels part(std::int64_t begin, std::int64_t count) const {
    token_labels p = *this;
    if (wide_.present()) p.wide_.data += begin * wide_.stride[0], p.wide_.extent[0] = count;
    if (narrow_.present()) p.narrow_.data += begin * narrow_.stride[0], p.narrow_.extent[0] = count;
    return p;
  }

 private:
  view<const std::int64_t> wide_{};
  view<const std::int32_t> narrow_{};
};

/// Results per row, each `[rows]` or absent. \tparam S the executor's scalar.
template <class S> struct token_results {
  view<S> logp{};            ///< log p of the label
  view<S> entropy{};         ///< -sum p log p
  view<S> anchor{};          ///< log Z = anchor + log_sum: alone, log Z loses what a large logit
  view<S> log_sum{};         ///< has; anchor is near the largest x/T and log_sum within log V of 0
  view<S> expected_logit{};  ///< sum p x/T = log Z - H
  view<softmax_state> states{};  ///< for the backward pass
};

/// d loss / d logp and d loss / d entropy, each `[rows]` or absent (0).
template <class S> struct token_cotangents {
  view<const S> logp{}, entropy{};
};

}  // namespace hence::inline v0
