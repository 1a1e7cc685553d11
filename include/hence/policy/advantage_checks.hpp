/// \file
/// What `advantages` refuses, at compile time and at run time, and how it cuts a call into chunks.
#pragma once

#include <hence/core/layout.hpp>
#include <hence/policy/advantage_named.hpp>

namespace hence::inline v0::detail {

template <class S, class Rewards, class Out>
concept arrays_of =
    std::convertible_to<const Rewards&, view<const S>> && std::convertible_to<Out, view<S>>;

/// A `std::variant`, recognised by its members so that `<variant>` need not be included.
template <class X>
concept variant_part = requires(const X& x) {
  x.valueless_by_exception();
  x.index();
};

/// Calls f with the rule's alternatives in place of its variants: one visit per part and call.
template <class Rule, class F> void with_concrete_parts(const Rule& rule, F&& f) {
  using advantage::group_baseline;
  if constexpr (requires { requires Rule::by_group; })
    f(rule);
  else if constexpr (variant_part<std::remove_cvref_t<decltype(rule.baseline)>>)
    visit(
        [&](const auto& b) {
          with_concrete_parts(group_baseline{b, rule.scale, rule.singleton}, f);
        },
        rule.baseline);
  else if constexpr (variant_part<std::remove_cvref_t<decltype(rule.scale)>>)
    visit(
        [&](const auto& s) {
          with_concrete_parts(group_baseline{rule.baseline, s, rule.singleton}, f);
        },
        rule.scale);
  else if constexpr (variant_part<std::remove_cvref_t<decltype(rule.singleton)>>)
    visit(
        [&](const auto& o) {
          with_concrete_parts(group_baseline{rule.baseline, rule.scale, o}, f);
        },
        rule.singleton);
  else
    f(rule);
}

using rule_number = num<double>;
template <class B>
concept baseline_part =
    variant_part<B> || requires(const B& b, rule_number x, advantage::moments<rule_number> g) {
      { b(x, g) } -> std::same_as<rule_number>;
    };
template <class S>
concept scale_part =
    variant_part<S> || requires(const S& s, rule_number r, advantage::moments<rule_number> g) {
      { s(g) } -> std::same_as<rule_number>;
      { s.single(r, g.batch) } -> std::same_as<rule_number>;
      { S::reads_squares } -> std::convertible_to<bool>;
    };
template <class O>
concept singleton_part = variant_part<O> || requires(const O& o, rule_number r) {
  { o(r) } -> std::same_as<rule_number>;
  { O::condition } -> std::convertible_to<status>;
};

/// A rule that is no sum of baseline and scale: it writes the groups by itself, in scalars.
template <class R>
concept group_function = requires { requires R::by_group; };

template <class R>
concept advantage_rule = requires(const R& r) {
  r.baseline;
  r.scale;
  r.singleton;
};

/// A group of one is like any other only where its own mean is not subtracted; where the batch's
/// mean is, it always is.
template <class Rule> constexpr bool check_singleton() {
  using baseline = std::remove_cvref_t<decltype(Rule::baseline)>;
  constexpr bool own_mean = !variant_part<baseline> && !keeps_group_mean<baseline>;
  constexpr bool batch_mean = !variant_part<baseline> && part_reads_batch<baseline>;
  static_assert(!own_mean || has_singleton_rule<Rule>,
                "hence: a group of one is its own mean, so this baseline needs singleton_zero, "
                "singleton_raw or singleton_error instead of singleton_as_group");
  static_assert(!batch_mean || !has_singleton_rule<Rule>,
                "hence: baseline_batch does not look at groups: its rule has singleton_as_group");
  return (!own_mean || has_singleton_rule<Rule>) && (!batch_mean || !has_singleton_rule<Rule>);
}

/// Layered: the first fault speaks, the rest is not instantiated.
template <class Rule, class S = void> constexpr bool check_advantage_rule() {
  if constexpr (requires { typename Rule::scalar; }) {
    constexpr bool matches = std::same_as<S, typename Rule::scalar>;
    static_assert(matches,
                  "hence: the baselines of remax are of the executor's scalar, like the rewards");
    return matches;
  }
  if constexpr (group_function<Rule>) return true;
  static_assert(advantage_rule<Rule> || group_function<Rule>,
                "hence: a rule for advantages is a group_baseline{baseline, scale, singleton}, "
                "e.g. advantage::grpo(...)");
  if constexpr (advantage_rule<Rule>) {
    constexpr bool baseline = baseline_part<std::remove_cvref_t<decltype(Rule::baseline)>>;
    constexpr bool scale = scale_part<std::remove_cvref_t<decltype(Rule::scale)>>;
    constexpr bool singleton = singleton_part<std::remove_cvref_t<decltype(Rule::singleton)>>;
    static_assert(baseline,
                  "hence: the baseline of an advantage is called with (x, moments) and returns a "
                  "number: baseline_group, baseline_leave_one_out, baseline_batch, baseline_none");
    static_assert(!baseline || scale,
                  "hence: the scale of an advantage is scale_group, scale_none, scale_batch or a "
                  "functor of moments like them");
    static_assert(
        !baseline || !scale || singleton,
        "hence: the policy for a group of one is singleton_zero, singleton_raw or singleton_error");
    if constexpr (baseline && scale && singleton) return check_singleton<Rule>();
    return false;
  }
  return false;
}

/// The numbers of a scale; a variant is checked through its alternative.
template <class Isa = native_isa, class Scale> void check_scale(const Scale& scale) {
  if constexpr (variant_part<Scale>) {
    visit([](const auto& s) { check_scale(s); }, scale);
  } else if constexpr (requires { Scale::name; }) {
    if constexpr (requires { scale.ddof; })
      if (scale.ddof < 0)
        refuse(message() << "hence: " << Scale::name << ".ddof is " << scale.ddof
                         << ", expected 0 or more");
    if (!(scale.eps >= 0) || scale.eps > 1.7e308)
      refuse(message() << "hence: " << Scale::name << ".eps is " << scale.eps
                       << ", expected a finite number, 0 or more");
  }
}

template <class Isa = native_isa, class Rule>
void check_numbers(const Rule& rule, std::int64_t rows, byte_range out) {
  if constexpr (group_function<Rule>)
    rule.check(rows, out);
  else
    check_scale(rule.scale);
}

/// From 0, not decreasing in [begin, end], not beyond the last entry.
template <class Isa = native_isa>
void check_rising(const offsets& cu, std::int64_t begin, std::int64_t end) {
  bool rising = cu[0] == 0 && cu[begin] >= 0 && cu[end] <= cu[cu.rows()];
  for (std::int64_t i = begin; i < end; ++i) rising &= cu[i] <= cu[i + 1];
  if (!rising) check_offsets("cu_groups", cu);
}
template <class Isa = native_isa> void check_groups(const offsets& cu) {
  if (!cu.present() || cu.size() < 1)
    refuse(message() << "hence: cu_groups is empty, expected groups + 1 entries from 0");
  check_rising(cu, 0, cu.rows());
}
/// The part of the offsets that a range of groups needs.
template <class Isa = native_isa>
void check_advantage_range(const offsets& cu, std::int64_t begin, std::int64_t end) {
  if (!cu.present() || cu.size() < 1)
    refuse(message() << "hence: cu_groups is empty, expected groups + 1 entries from 0");
  if (begin < 0 || end < begin || end > cu.rows())
    refuse(message() << "hence: groups [" << begin << ", " << end << ") are not within the batch's "
                     << cu.rows());
  check_rising(cu, begin, end);
}

/// Whether two views share an element. Fields of the same array of structs do not.
template <class T, class Isa = native_isa>
bool share_elements(const view<const T>& a, const view<const T>& b) {
  if (!overlap(range_of(a), range_of(b))) return false;
  if (a.stride[0] != b.stride[0] || a.extent[0] < 2) return true;
  const auto step =
      static_cast<std::int64_t>(sizeof(T)) * (a.stride[0] < 0 ? -a.stride[0] : a.stride[0]);
  if (step == 0) return true;
  const auto apart = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(a.data) -
                                               reinterpret_cast<std::uintptr_t>(b.data));
  const std::int64_t phase = (apart % step + step) % step, size = sizeof(T);
  return phase < size || phase > step - size;
}

template <class Rule, class T, class Isa = native_isa>
void check_advantage_arrays(const Rule& rule, const offsets& cu, const view<const T>& rewards,
                            const view<T>& out) {
  const std::int64_t rows = cu[cu.rows()];
  const auto check_size = [&](const char* name, std::int64_t size, bool present) {
    if (!present && rows > 0)
      refuse(message() << "hence: " << name << " is null, expected " << rows << " rows");
    if (size != rows)
      refuse(message() << "hence: " << name << " has " << size << " entries, cu_groups describes "
                       << rows << " rows");
  };
  check_size("rewards", rewards.extent[0], rewards.present());
  check_size("out", out.extent[0], out.present());
  check_stride("out", out.stride[0], rows);
  check_numbers(rule, rows, range_of(out));
  if (share_elements<T>(rewards, out))
    refuse(message() << "hence: out overlaps rewards, expected separate arrays of " << rows
                     << " rows");
  if (overlap(cu.bytes(), range_of(out)))
    refuse(message() << "hence: out overlaps cu_groups, expected separate arrays of " << rows
                     << " rows");
}

/// Chunks that a call is cut into for a pool: by its shape alone.
template <class Isa = native_isa> std::int64_t group_chunks(const offsets& cu) {
  std::int64_t n = cu[cu.rows()] / 8192;
  n = n < 256 ? n : 256;
  n = n < cu.rows() ? n : cu.rows();
  return n > 1 ? n : 1;
}
/// The first group of chunk i, so that chunks hold about as many rows.
template <class Isa = native_isa>
std::int64_t group_chunk_begin(const offsets& cu, std::int64_t i, std::int64_t chunks) {
  if (i == 0 || i >= chunks) return i == 0 ? 0 : cu.rows();
  const std::int64_t rows = cu[cu.rows()], target = rows / chunks * i + rows % chunks * i / chunks;
  std::int64_t low = 0, high = cu.rows();
  while (low < high) {
    const std::int64_t middle = low + (high - low) / 2;
    if (cu[middle] < target)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/// Calls run(begin, end) for ranges of groups that together are all of them, by the executor's pool
/// if it has one. \return the statuses together.
template <class Executor, class Run>
status over_groups(const Executor& executor, const offsets& cu, Run&& run) {
  std::uint32_t found = 0;
  if constexpr (Executor::is_parallel) {
    const std::int64_t chunks = group_chunks(cu);
    executor.pool->parallel_for(chunks, [&](std::int64_t i) {
      const status s = run(group_chunk_begin(cu, i, chunks), group_chunk_begin(cu, i + 1, chunks));
      if (s != status::ok)
        __atomic_fetch_or(&found, static_cast<std::uint32_t>(s), __ATOMIC_RELAXED);
    });
  } else {
    found = static_cast<std::uint32_t>(run(0, cu.rows()));
  }
  return static_cast<status>(found);
}

}  // namespace hence::inline v0::detail
