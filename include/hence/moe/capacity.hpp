/// \file
/// Capacity: at most so many tokens an expert, the others dropped.
///
/// Frameworks round the capacity in three ways and drop in two orders; each has a name. Weights are
/// not normalised again. Neither the result nor its bits depend on threads.
#pragma once

#include <hence/moe/largest.hpp>
#include <hence/moe/permute.hpp>

namespace hence::inline v0 {

namespace detail {

HENCE_FN std::int64_t rounded_up(double x) {
  const auto below = static_cast<std::int64_t>(x);
  return below + (static_cast<double>(below) < x);
}

/// So many that factor times them is below 2^63.
constexpr std::int64_t most_slots = std::int64_t{1} << 38;

template <class Isa = native_isa>
void check_capacity(double factor, std::int64_t tokens, std::int64_t k, std::int64_t experts) {
  if (!(factor >= 0 && factor <= 16777216))
    refuse(message() << "hence: capacity.factor is " << factor << ", expected 0 to 16777216");
  if (tokens < 0 || k < 1 || experts < 1)
    refuse(message() << "hence: capacity of " << tokens << " tokens, k = " << k << ", experts = "
                     << experts << ", expected 0 or more tokens and 1 or more of the others");
  if (tokens > most_slots / k)
    refuse(message() << "hence: capacity of " << tokens << " tokens, k = " << k
                     << ", expected at most " << most_slots << " slots");
}

/// Refuses a permutation that is not of these ids.
template <class Isa, class Id>
void check_sorted_slots(const view<const Id, 2>& ids, const moe::permutation& p) {
  const std::int64_t tokens = ids.extent[0], k = ids.extent[1];
  const std::int64_t experts = check_sorted_offsets<Isa>(p), filled = p.offsets[experts];
  std::int64_t there = 0;
  for (std::int64_t t = 0; t < tokens; ++t)
    for (std::int64_t j = 0; j < k; ++j) there += ids(t, j) >= 0;
  if (filled != there)
    refuse(message() << "hence: sorted.offsets ends at " << filled << ", expected the " << there
                     << " slots that ids fills");
  check_sorted_order<Isa>(p, tokens * k);
  for (std::int64_t e = 0; e < experts; ++e)
    for (std::int64_t i = p.offsets[e]; i < p.offsets[e + 1]; ++i) {
      const auto is = static_cast<std::int64_t>(ids(p.order[i] / k, p.order[i] % k));
      if (is != e)
        refuse(message() << "hence: order[" << i << "] is slot " << p.order[i]
                         << ", which ids gives to expert " << is << ", expected " << e);
    }
}

}  // namespace detail

namespace moe {

// Tokens an expert takes, of T valid ones with k experts each.

/// ceil(T k/E factor): Megatron.
struct capacity_ceil {
  double factor;
  [[gnu::always_inline]] std::int64_t operator()(std::int64_t tokens, std::int64_t k,
                                                 std::int64_t experts) const {
    detail::check_capacity(factor, tokens, k, experts);
    return detail::rounded_up(static_cast<double>(tokens * k) / static_cast<double>(experts) *
                              factor);
  }
};
/// floor(factor (T k/E)): megablocks.
struct capacity_floor {
  double factor;
  [[gnu::always_inline]] std::int64_t operator()(std::int64_t tokens, std::int64_t k,
                                                 std::int64_t experts) const {
    detail::check_capacity(factor, tokens, k, experts);
    return static_cast<std::int64_t>(
        factor * (static_cast<double>(tokens * k) / static_cast<double>(experts)));
  }
};
/// k floor(factor ceil(T/E)): Tutel, GShard.
struct capacity_of_tokens {
  double factor;
  [[gnu::always_inline]] std::int64_t operator()(std::int64_t tokens, std::int64_t k,
                                                 std::int64_t experts) const {
    detail::check_capacity(factor, tokens, k, experts);
    return k * static_cast<std::int64_t>(
                   factor * static_cast<double>(tokens / experts + (tokens % experts != 0)));
  }
};

/// Keeps the largest weights, ties to the lowest token.
struct drop_by_weight {};
/// Keeps the first tokens.
struct drop_by_position {};

/// What was dropped.
struct drop_counts {
  std::int64_t kept = 0, dropped = 0;  ///< slots
  // written out, since an implicit one would be shared by differently compiled translation units
  HENCE_FN drop_counts() {}
  HENCE_FN drop_counts& operator+=(const drop_counts& o) {
    kept += o.kept, dropped += o.dropped;
    return *this;
  }
};

/// Before and after: ids and weights as `route` wrote them, and what remains; -1 and 0 where
/// dropped. The permutation is that of `ids`; the kept ones have another.
template <class S, class Id = std::int32_t> struct capacity_arrays {
  view<const Id, 2> ids;      ///< `[tokens, k]`
  view<const S, 2> weights;   ///< `[tokens, k]`
  permutation sorted;         ///< offsets and order of ids
  view<Id, 2> kept_ids;       ///< `[tokens, k]`
  view<S, 2> kept_weights;    ///< `[tokens, k]`
  view<std::int64_t> load{};  ///< `[experts]`, of the kept slots; absent: not written
};

/// Leaves each expert at most `capacity` slots.
/// \param capacity e.g. capacity_ceil{1.25}(rows, k, experts), `rows` the valid ones that route
/// counted.
/// \param drop `drop_by_weight{}` or `drop_by_position{}`. \param a the slots, before and after.
template <class Drop, class S, class Id, class Isa = native_isa>
drop_counts apply_capacity(std::int64_t capacity, [[maybe_unused]] Drop drop,
                           const capacity_arrays<S, Id>& a) {
  constexpr bool by_weight = std::same_as<Drop, drop_by_weight>;
  static_assert(by_weight || std::same_as<Drop, drop_by_position>,
                "hence: slots are dropped by_weight or by_position: drop_by_weight{}, "
                "drop_by_position{}");
  const std::int64_t tokens = a.ids.extent[0], k = a.ids.extent[1];
  const std::int64_t experts = a.sorted.offsets.extent[0] - 1;
  if (capacity < 0)
    detail::refuse(detail::message()
                   << "hence: capacity is " << capacity << ", expected 0 or more");
  detail::check_row_major("ids", a.ids, tokens, k);
  detail::check_row_major("weights", a.weights, tokens, k);
  detail::check_row_major("kept_ids", a.kept_ids, tokens, k);
  detail::check_row_major("kept_weights", a.kept_weights, tokens, k);
  detail::check_sorted_slots<Isa>(a.ids, a.sorted);
  if (a.load.given()) detail::check_vector("load", a.load, experts);
  detail::check_written_apart({{"kept_ids", detail::range_of(a.kept_ids)},
                               {"kept_weights", detail::range_of(a.kept_weights)},
                               {"load", detail::range_of(a.load)}},
                              {{"ids", detail::range_of(a.ids)},
                               {"weights", detail::range_of(a.weights)},
                               {"offsets", detail::range_of(a.sorted.offsets)},
                               {"order", detail::range_of(a.sorted.order)}});
  for (std::int64_t t = 0; t < tokens; ++t)
    for (std::int64_t j = 0; j < k; ++j) a.kept_ids(t, j) = Id(-1), a.kept_weights(t, j) = S(0);
  drop_counts counts;
  for (std::int64_t e = 0; e < experts; ++e) {
    const std::int64_t* slots = a.sorted.order.data + a.sorted.offsets[e];
    const std::int64_t count = a.sorted.offsets[e + 1] - a.sorted.offsets[e];
    const auto key = [&](std::int64_t i) {
      return detail::order_key(a.weights(slots[i] / k, slots[i] % k));
    };
    detail::keep_largest<S> largest(by_weight ? count : 0, capacity, key);
    std::int64_t kept = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      if (by_weight ? !largest(key(i)) : i >= capacity) continue;
      ++kept;
      a.kept_ids(slots[i] / k, slots[i] % k) = static_cast<Id>(e);
      a.kept_weights(slots[i] / k, slots[i] % k) = a.weights(slots[i] / k, slots[i] % k);
    }
    counts.kept += kept;
    counts.dropped += count - kept;
    if (a.load.present()) a.load[e] = kept;
  }
  return counts;
}

/// The gradient: a dropped slot's weight reaches nothing. `route_backward` then takes the ids that
/// `route` wrote, whose normaliser held the dropped experts too.
/// \param kept_ids `[tokens, k]`. \param grad `[tokens, k]`, of the kept weights; set to 0 where
/// the slot was dropped.
template <class S, class Id, class Isa = native_isa>
void capacity_backward(view<Id, 2> kept_ids, view<S, 2> grad) {
  detail::check_row_major("kept_ids", kept_ids, kept_ids.extent[0], kept_ids.extent[1]);
  detail::check_row_major("grad", grad, kept_ids.extent[0], kept_ids.extent[1]);
  detail::check_apart("grad", detail::range_of(grad), "kept_ids", detail::range_of(kept_ids));
  for (std::int64_t t = 0; t < kept_ids.extent[0]; ++t)
    for (std::int64_t j = 0; j < kept_ids.extent[1]; ++j)
      if (kept_ids(t, j) < 0) grad(t, j) = S(0);
}

}  // namespace moe

}  // namespace hence::inline v0
