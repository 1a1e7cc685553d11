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

/// The advantage of a group of one.
template <class S, class Isa, class Rule>
HENCE_FN status write_single(const Rule& rule, const advantage::batch_moments& batch, S reward,
                             S& out) {
  using V = num<double, Isa>;
  constexpr status condition = std::remove_cvref_t<decltype(rule.singleton)>::condition;
  if ((V(reward) - V(reward)).v != 0) {
    out = static_cast<S>(__builtin_nan(""));
    return status::non_finite | condition;
  }
  out = static_cast<S>(rule.singleton(rule.scale.single(V(reward), batch)).v);
  return condition;
}

template <class Isa, class S> status write_nan(view<S> out, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) out[i] = static_cast<S>(__builtin_nan(""));
  return status::non_finite;
}

/// Whether the group [begin, end) is done without its statistics, for it has a reward that is not
/// finite or is a single row. \param found its condition then.
template <class S, class Isa, class Singleton>
bool is_special_group(const Singleton& singleton, view<const S> rewards, view<S> out,
                      std::int64_t begin, std::int64_t end, status& found) {
  if (!all_finite<Isa>(rewards, begin, end)) {
    found = write_nan<Isa>(out, begin, end);
    return true;
  }
  if (end - begin != 1) return false;
  out[begin] = static_cast<S>(singleton(num<double, Isa>(rewards[begin])).v);
  found = Singleton::condition;
  return true;
}

/// Some of the rows [begin, end), measured: at least one, all finite.
/// \param has whether row i is one of them.
template <class S, class Isa, class Has>
measured_group<S, Isa> measure_rows(view<const S> rewards, std::int64_t begin, std::int64_t end,
                                    bool reads_squares, const advantage::batch_moments& batch,
                                    num<double, Isa>& low, num<double, Isa>& high, Has has) {
  using V = num<double, Isa>;
  std::int64_t count = 0;
  low = high = V(0.0);
  for (std::int64_t i = begin; i < end; ++i) {
    if (!has(i)) continue;
    low = count == 0 ? V(rewards[i]) : lesser(V(rewards[i]), low);
    high = count == 0 ? V(rewards[i]) : greater(V(rewards[i]), high);
    ++count;
  }
  return measured_group<S, Isa>(low, high, V(static_cast<double>(count)), reads_squares, batch,
                                [&](auto f) {
                                  for (std::int64_t i = begin; i < end; ++i)
                                    if (has(i)) f(V(rewards[i]));
                                });
}

/// One group: those of the rows [begin, end) that `has(i)` names.
template <class S, class Isa, class Rule, class Has>
status group_of(const Rule& rule, const advantage::batch_moments& batch, view<const S> rewards,
                view<S> out, std::int64_t begin, std::int64_t end, Has has) {
  using V = num<double, Isa>;
  std::int64_t count = 0, last = begin;
  bool finite = true;
  for (std::int64_t i = begin; i < end; ++i)
    if (has(i)) ++count, last = i, finite = finite && rewards[i] - rewards[i] == 0;
  if (count == 0) return status::ok;
  if (has_singleton_rule<Rule> && count == 1)
    return write_single<S, Isa>(rule, batch, rewards[last], out[last]);
  if (!finite) {
    for (std::int64_t i = begin; i < end; ++i)
      if (has(i)) out[i] = static_cast<S>(__builtin_nan(""));
    return status::non_finite;
  }
  V low, high;
  const auto group =
      measure_rows<S, Isa>(rewards, begin, end, reads_squares<Rule>, batch, low, high, has);
  const V factor = factor_of(rule, group.moments);
  const auto advantage_of = [&](V r) {
    return static_cast<S>(
        (centre(rule, group.scaled(r), group.centred(r), group.moments) * factor).v);
  };
  for (std::int64_t i = begin; i < end; ++i)
    if (has(i)) out[i] = advantage_of(rewards[i]);
  // the ends of a group have the largest
  const S least = advantage_of(low), most = advantage_of(high);
  return least - least == 0 && most - most == 0 ? status::ok : status::non_finite;
}

/// How an executor runs groups [begin, end).
template <class Executor> struct group_engine;

template <class S, class Isa> struct group_engine<reference<S, Isa>> {
  template <class Rule>
  static status run(const Rule& rule, const advantage::batch_moments& batch, const offsets& cu,
                    view<const S> rewards, view<S> out, std::int64_t begin, std::int64_t end) {
    status found = status::ok;
    for (std::int64_t i = begin; i < end; ++i)
      if (cu[i + 1] > cu[i])
        found |= group_of<S, Isa>(rule, batch, rewards, out, cu[i], cu[i + 1],
                                  [](std::int64_t) { return true; });
    return found;
  }
};

}  // namespace hence::inline v0::detail
