/// \file
/// What the two files of the operation advantage share.
#pragma once

#include "operation.hpp"

#include <hence/policy/advantage_rule.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace conformance {

template <class S> struct advantage_outputs {
  std::vector<S> advantages, returns;
  hence::status conditions;
};

template <class S>
void demand_same(const std::vector<S>& a, const std::vector<S>& b, const char* which) {
  using bits = std::conditional_t<std::is_same_v<S, double>, std::uint64_t, std::uint32_t>;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (std::bit_cast<bits>(a[i]) != std::bit_cast<bits>(b[i]) &&
        !(std::isnan(a[i]) && std::isnan(b[i])))
      throw std::runtime_error(std::string(which) + " differ in element " + std::to_string(i));
}
template <class S>
void demand_same(const advantage_outputs<S>& a, const advantage_outputs<S>& b, const char* which) {
  if (a.conditions != b.conditions)
    throw std::runtime_error(std::string(which) + " differ in status");
  demand_same(a.advantages, b.advantages, which);
  demand_same(a.returns, b.returns, which);
}

/// Calls f with the policy for groups of one.
template <class F> answer with_singleton(const options& o, const F& f) {
  switch (o.choice<int>("singleton", {{"zero", 0}, {"raw", 1}, {"error", 2}})) {
    case 0:
      return f(hence::advantage::singleton_zero{});
    case 1:
      return f(hence::advantage::singleton_raw{});
    default:
      return f(hence::advantage::singleton_error{});
  }
}
inline void refuse_singletons(hence::status s) {
  if (hence::has(s, hence::status::singleton))
    throw std::runtime_error("a group of one, where the singleton policy is \"error\"");
}

/// The estimators per token. \tparam S float or double.
template <class S> answer token_advantages(const request& request);

}  // namespace conformance
