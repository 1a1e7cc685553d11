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

/// The policies for groups of one, chosen by a case: a rule is compiled once, not once for each.
struct any_singleton {
  enum choice { zero, raw, error } chosen;
  static constexpr hence::status condition = hence::advantage::singleton_error::condition;

  template <class V> HENCE_FN V operator()(V scaled) const {
    switch (chosen) {
      case zero:
        return hence::advantage::singleton_zero{}(scaled);
      case raw:
        return hence::advantage::singleton_raw{}(scaled);
      default:
        return hence::advantage::singleton_error{}(scaled);
    }
  }
};
inline any_singleton singleton_of(const options& o) {
  return {o.choice<any_singleton::choice>("singleton", {{"zero", any_singleton::zero},
                                                        {"raw", any_singleton::raw},
                                                        {"error", any_singleton::error}})};
}
inline void refuse_singletons(const options& o, hence::status s) {
  if (hence::has(s, hence::status::singleton) && singleton_of(o).chosen == any_singleton::error)
    throw std::runtime_error("a group of one, where the singleton policy is \"error\"");
}

/// The estimators per token. \tparam S float or double.
template <class S> answer token_advantages(const request& request);

}  // namespace conformance
