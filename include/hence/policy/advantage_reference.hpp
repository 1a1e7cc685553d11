/// \file
/// One group's advantages by scalar loops in float64: the canonical text, and the accuracy oracle.
#pragma once

#include <hence/core/batch.hpp>
#include <hence/policy/advantage_sums.hpp>

namespace hence::inline v0::detail {

template <class Isa, class S>
bool all_finite(view<const S> rewards, std::int64_t begin, std::int64_t end) {
  bool finite = true;
  for (std::int64_t i = begin; i < end; ++i) finite = finite && rewards[i] - rewards[i] == 0;
  return finite;
}

/// Whether the advantages are finite in S: the ends of a group have the largest.
template <class S, class Rule, class V>
bool within_range(const Rule& rule, const advantage::moments<V>& g, V factor, V least, V most) {
  const S a = static_cast<S>((rule.baseline(least, g) * factor).v);
  const S b = static_cast<S>((rule.baseline(most, g) * factor).v);
  return a - a == 0 && b - b == 0;
}

/// The advantage of a group of one.
template <class S, class Isa, class Rule> status write_single(const Rule& rule, S reward, S& out) {
  using V = num<double, Isa>;
  constexpr status condition = std::remove_cvref_t<decltype(rule.singleton)>::condition;
  if (reward - reward != 0) {
    out = static_cast<S>(__builtin_nan(""));
    return status::non_finite | condition;
  }
  out = static_cast<S>(rule.singleton(rule.scale.single(V(reward))).v);
  return condition;
}

/// The group of rows [begin, end).
template <class S, class Isa, class Rule>
status group_by_reference(const Rule& rule, view<const S> rewards, view<S> out, std::int64_t begin,
                          std::int64_t end) {
  using V = num<double, Isa>;
  if (end - begin == 1) return write_single<S, Isa>(rule, rewards[begin], out[begin]);
  if (!all_finite<Isa>(rewards, begin, end)) {
    for (std::int64_t i = begin; i < end; ++i) out[i] = static_cast<S>(__builtin_nan(""));
    return status::non_finite;
  }
  V low = rewards[begin], high = low;
  for (std::int64_t i = begin; i < end; ++i) {
    low = lesser(V(rewards[i]), low);
    high = greater(V(rewards[i]), high);
  }
  constexpr bool reads_squares = std::remove_cvref_t<decltype(rule.scale)>::reads_squares;
  const V count = static_cast<double>(end - begin);
  const measured_group<S, Isa> group(low, high, count, reads_squares, [&](auto f) {
    for (std::int64_t i = begin; i < end; ++i) f(V(rewards[i]));
  });
  const V factor = rule.scale(group.moments);
  for (std::int64_t i = begin; i < end; ++i)
    out[i] = static_cast<S>((rule.baseline(group.centred(rewards[i]), group.moments) * factor).v);
  return within_range<S>(rule, group.moments, factor, group.centred(low), group.centred(high))
             ? status::ok
             : status::non_finite;
}

/// How an executor runs groups [begin, end).
template <class Executor> struct group_engine;

template <class S, class Isa> struct group_engine<reference<S, Isa>> {
  template <class Rule>
  static status run(const Rule& rule, const offsets& cu, view<const S> rewards, view<S> out,
                    std::int64_t begin, std::int64_t end) {
    status found = status::ok;
    for (std::int64_t i = begin; i < end; ++i)
      if (cu[i + 1] > cu[i])
        found |= group_by_reference<S, Isa>(rule, rewards, out, cu[i], cu[i + 1]);
    return found;
  }
};

}  // namespace hence::inline v0::detail
