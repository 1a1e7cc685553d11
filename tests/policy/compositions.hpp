/// \file
/// Every composition of the slice, each with the oracle's description of it.
#pragma once

#include "arrays.hpp"
#include "oracle.hpp"

namespace fixture {

// Numbers that float32 holds exactly, so that every executor and the oracle compute the same loss.
constexpr double low = 0.75, high = 1.25, log_low = -0.5, log_high = 0.375, coef = 0.0625;
constexpr double rows_given = 6, constant = 96;

inline void tell(oracle::spec& s, hence::ratio::token<hence::ratio::unclamped>) {
  s.pooled = false;
}
inline void tell(oracle::spec& s, hence::ratio::sequence<hence::ratio::unclamped>) {
  s.pooled = true;
}
template <class S> void tell(oracle::spec& s, hence::ratio::token<hence::ratio::log_clamp<S>> r) {
  s.limited = true;
  s.log_low = r.clamp.low, s.log_high = r.clamp.high;
}
template <class S>
void tell(oracle::spec& s, hence::ratio::sequence<hence::ratio::log_clamp<S>> r) {
  s.pooled = s.limited = true;
  s.log_low = r.clamp.low, s.log_high = r.clamp.high;
}
template <class S> void tell(oracle::spec& s, hence::clip::two_sided<S> r) {
  s.rule = oracle::surrogate::two_sided;
  s.low = r.low, s.high = r.high;
}
template <class S> void tell(oracle::spec& s, hence::clip::cispo<S> r) {
  s.rule = oracle::surrogate::cispo;
  s.low = r.low, s.high = r.high;
}
inline void tell(oracle::spec& s, decltype(pair_rule)) { s.rule = oracle::surrogate::pair; }
inline void tell(oracle::spec& s, decltype(token_rule)) { s.rule = oracle::surrogate::token; }
inline void tell(oracle::spec& s, hence::kl::none) { s.kl = oracle::estimator::none; }
template <class S, class G> void tell(oracle::spec& s, hence::kl::k1<S, G> k) {
  s.kl = oracle::estimator::k1;
  s.coef = k.coef, s.k2_gradient = std::is_same_v<G, hence::kl::as_k2>;
}
template <class S, class G> void tell(oracle::spec& s, hence::kl::k2<S, G> k) {
  s.kl = oracle::estimator::k2;
  s.coef = k.coef, s.k2_gradient = std::is_same_v<G, hence::kl::as_k2>;
}
template <class S, class G> void tell(oracle::spec& s, hence::kl::k3<S, G> k) {
  s.kl = oracle::estimator::k3;
  s.coef = k.coef, s.k2_gradient = std::is_same_v<G, hence::kl::as_k2>;
}
inline void tell(oracle::spec& s, hence::aggregate::token_mean) {
  s.by = oracle::divisor::token_mean;
}
inline void tell(oracle::spec& s,
                 hence::aggregate::sequence_mean_token_mean<hence::aggregate::all_rows>) {
  s.by = oracle::divisor::all_rows;
}
inline void tell(oracle::spec& s,
                 hence::aggregate::sequence_mean_token_mean<hence::aggregate::non_empty_rows>) {
  s.by = oracle::divisor::non_empty_rows;
}
inline void tell(oracle::spec& s, hence::aggregate::sequence_mean_token_mean_over a) {
  s.by = oracle::divisor::rows_given;
  s.number = a.rows;
}
inline void tell(oracle::spec& s, hence::aggregate::constant a) {
  s.by = oracle::divisor::constant;
  s.number = a.value;
}

/// The oracle's description of a loss.
template <class Loss> oracle::spec spec_of(const Loss& loss) {
  oracle::spec s;
  tell(s, loss.ratio);
  tell(s, loss.surrogate);
  tell(s, loss.kl);
  tell(s, loss.aggregation);
  return s;
}

// The axes. Each calls f once for every choice, with numbers of type S.
template <class S, class F> void each_surrogate(F&& f) {
  f(hence::clip::two_sided{S(low), S(high)});
  f(hence::clip::cispo{S(low), S(high)});
  f(pair_rule);
  f(token_rule);
}
template <class S, class F> void each_kl(F&& f) {
  using namespace hence::kl;
  f(none{});
  f(k1{S(coef)});
  f(k2{S(coef)});
  f(k3{S(coef)});
  f(k1{S(coef), as_k2{}});
  f(k2{S(coef), as_k2{}});
  f(k3{S(coef), as_k2{}});
}
template <class F> void each_aggregation(F&& f) {
  using namespace hence::aggregate;
  f(token_mean{});
  f(sequence_mean_token_mean{});
  f(sequence_mean_token_mean{non_empty_rows{}});
  f(sequence_mean_token_mean_over{rows_given});
  f(hence::aggregate::constant{fixture::constant});
}

}  // namespace fixture
