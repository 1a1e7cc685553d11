/// \file
/// What `token_advantages` takes and what it refuses.
#pragma once

#include <hence/core/layout.hpp>
#include <hence/policy/advantage_recursion.hpp>
#include <hence/policy/advantage_whiten.hpp>

namespace hence::inline v0 {

/// Give `rewards`, `token_rewards`, or both, which add up: a score at the end of the row and
/// `kl_rewards` for each token. \tparam S the executor's scalar.
template <class S> struct token_advantage_inputs {
  view<const S> rewards{};             ///< `[rows]`, paid at the row's last live token
  per_token<const S> token_rewards{};  ///< in the batch's layout
  per_token<const S> values{};         ///< the critic's, where the rule reads them (gae)
};

namespace detail {

template <class R>
concept recursion = requires(const R& r, num<double> x, advantage::token_state<num<double>> s) {
  { r.step(x, x, s) } -> std::same_as<advantage::token_state<num<double>>>;
  { r.returns(s) } -> std::same_as<num<double>>;
  r.hole(r, s);
};
template <class R> constexpr bool is_gae_with_reset = false;
template <> constexpr bool is_gae_with_reset<advantage::gae<advantage::hole_reset>> = true;

/// Layered: the first fault speaks.
template <class Rule, class Whitening> constexpr bool check_token_rule() {
  constexpr bool reset = is_gae_with_reset<Rule>, rule = recursion<Rule>;
  constexpr bool whitening = requires { requires Whitening::is_whitening; };
  static_assert(
      rule, "hence: a rule for the advantages of tokens is gae, reinforce_plus_plus or as_given");
  static_assert(!reset,
                "hence: gae has no hole_reset: a hole is skipped (hole_skip) or discounts "
                "(hole_discount)");
  static_assert(!rule || whitening, "hence: whitening is whiten_none, whiten_add or whiten_floor");
  return rule && !reset && whitening;
}

template <class Isa = native_isa> void check_discount(const char* name, double x) {
  if (!(x >= 0 && x <= 1))
    refuse(message() << "hence: " << name << " is " << x << ", expected a number from 0 to 1");
}
template <class Isa = native_isa, class Rule, class Whitening>
void check_token_numbers(const Rule& rule, const Whitening& whitening) {
  if constexpr (requires { rule.gamma; }) check_discount("gamma", rule.gamma);
  if constexpr (requires { rule.lambda; }) check_discount("lambda", rule.lambda);
  if constexpr (Whitening::reads_batch) {
    if (whitening.ddof < 0)
      refuse(message() << "hence: " << Whitening::name << ".ddof is " << whitening.ddof
                       << ", expected 0 or more");
    if (!(whitening.eps >= 0) || whitening.eps > 1.7e308)
      refuse(message() << "hence: " << Whitening::name << ".eps is " << whitening.eps
                       << ", expected a finite number, 0 or more");
  }
}

/// Bytes that an array spans, dead positions included.
template <class S> HENCE_FN std::int64_t span_bytes(const per_token<S>& a) {
  const std::int64_t elements = !a.is_padded       ? a.extent[0]
                                : a.extent[0] == 0 ? 0
                                                   : (a.extent[0] - 1) * a.row_stride + a.extent[1];
  return elements * static_cast<std::int64_t>(sizeof(S));
}
template <class S> HENCE_FN byte_range span_of(const per_token<S>& a) {
  return {a.data, a.present() ? span_bytes(a) : 0};
}
template <class Isa = native_isa>
void check_tokens_apart(const char* name, byte_range a, const char* other, byte_range b) {
  if (overlap(a, b))
    refuse(message() << "hence: " << name << " overlaps " << other << ", expected separate arrays");
}

template <class Rule, class S, class Isa = native_isa>
void check_token_arrays(const layout& b, const token_advantage_inputs<S>& in,
                        const per_token<S>& advantages, const per_token<S>& returns) {
  check_layout(b);
  const bool of_rows = in.rewards.given() || (!in.token_rewards.present() && b.rows == 0);
  if (of_rows && in.rewards.extent[0] != b.rows)
    refuse(message() << "hence: rewards has " << in.rewards.extent[0] << " entries, the batch has "
                     << b.rows << " rows");
  if (of_rows && !in.rewards.present() && b.rows > 0)
    refuse(message() << "hence: rewards is null, expected " << b.rows << " rows");
  if (Rule::pays_every_token && in.rewards.given() && in.token_rewards.present())
    refuse(message() << "hence: rewards and token_rewards are both given, as_given takes one");
  if (!of_rows || in.token_rewards.present()) check_shape("token_rewards", in.token_rewards, b);
  if (Rule::reads_values) check_shape("values", in.values, b);
  check_shape("advantages", advantages, b);
  if (returns.present()) check_shape("returns", returns, b);
  const auto apart = [&](const char* name, byte_range written) {
    check_tokens_apart(name, written, "rewards", range_of(in.rewards));
    check_tokens_apart(name, written, "token_rewards", span_of(in.token_rewards));
    check_tokens_apart(name, written, "values", span_of(in.values));
    check_tokens_apart(name, written, "mask.response", span_of(b.response));
    check_tokens_apart(name, written, "cu_seqlens", b.boundaries());
  };
  apart("advantages", span_of(advantages));
  apart("returns", span_of(returns));
  check_tokens_apart("returns", span_of(returns), "advantages", span_of(advantages));
}

}  // namespace detail

}  // namespace hence::inline v0
