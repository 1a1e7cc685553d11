/// \file
/// Routing replay: ids recorded in one pass select in another, so that rollout and training agree.
///
/// R3 replays the rollout engine's routing, R2 the trainer's own old policy's (arXiv:2510.11370).
/// Only ids are recorded: `route` weighs them with live scores, so the gradient reaches the router,
/// and it is the same function as without replay. A record is read, never consumed: recomputing a
/// layer's activations replays the same ids. Each row says which batch wrote it, so that rows left
/// over from an earlier batch are found instead of used.
#pragma once

#include <hence/moe/gate_checks.hpp>

namespace hence::inline v0 {

namespace moe {

/// The smallest type that holds -1 and the ids of `Experts` experts.
template <std::int64_t Experts>
using id_for = std::conditional_t<
    Experts <= 128, std::int8_t,
    std::conditional_t<Experts <= 32768, std::int16_t,
                       std::conditional_t<Experts <= 2147483648, std::int32_t, std::int64_t>>>;

/// One layer's recorded routing, over the caller's arrays. \tparam Id e.g. `id_for<256>`.
template <class Id> struct routing_record {
  view<Id, 2> ids;            ///< `[tokens, k]`
  view<std::uint64_t> batch;  ///< `[tokens]`, which batch wrote the row; 0: none did
  std::int64_t experts;       ///< of the gate that routed
};

/// What is wrong with a record. Zeros: it can be replayed.
struct record_counts {
  std::int64_t rows = 0;           ///< valid rows
  std::int64_t stale_rows = 0;     ///< of these, written by another batch or not at all
  std::int64_t range_rows = 0;     ///< with an id out of range
  std::int64_t repeated_rows = 0;  ///< with an id twice
  std::int64_t empty_rows = 0;     ///< without an expert; no fault: such a row is skipped
  // written out, since an implicit one would be shared by differently compiled translation units
  HENCE_FN record_counts() {}
  /// Nothing was found.
  HENCE_FN bool is_sound() const { return stale_rows + range_rows + repeated_rows == 0; }
};

/// How two routings of the same rows differ. Integers: those of layers, micro-batches and ranks add
/// up.
struct disagreement {
  std::int64_t rows = 0;         ///< valid rows
  std::int64_t slots = 0;        ///< experts of the first routing
  std::int64_t rows_apart = 0;   ///< rows whose sets of experts differ
  std::int64_t slots_apart = 0;  ///< experts of the first routing that the second has not
  std::int64_t first_apart = 0;  ///< rows whose best expert differs

  // written out, since an implicit one would be shared by differently compiled translation units
  HENCE_FN disagreement() {}
  HENCE_FN disagreement& operator+=(const disagreement& o) {
    rows += o.rows, slots += o.slots, rows_apart += o.rows_apart;
    slots_apart += o.slots_apart, first_apart += o.first_apart;
    return *this;
  }
  /// Of the experts, 0 without any.
  HENCE_FN double share_of_slots() const {
    return slots > 0 ? static_cast<double>(slots_apart) / static_cast<double>(slots) : 0.0;
  }
  /// Rows that chose other experts, of all.
  HENCE_FN double share_of_rows() const {
    return rows > 0 ? static_cast<double>(rows_apart) / static_cast<double>(rows) : 0.0;
  }
};

}  // namespace moe

namespace detail {

template <class Id>
[[gnu::always_inline]] inline void check_record_arrays(const moe::routing_record<Id>& record) {
  check_row_major("record.ids", record.ids, record.ids.extent[0], record.ids.extent[1]);
  check_vector("record.batch", record.batch, record.ids.extent[0]);
  if (record.experts < 1)
    refuse(message() << "hence: record.experts is " << record.experts << ", expected 1 or more");
  check_id_type<std::remove_const_t<Id>>("record.ids", record.experts);
}

/// Whether a row's slots hold the expert, within k slots.
template <class Id> HENCE_FN bool holds(const Id* row, std::int64_t k, std::int64_t expert) {
  bool found = false;
  for (std::int64_t j = 0; j < k; ++j) found |= static_cast<std::int64_t>(row[j]) == expert;
  return found;
}

}  // namespace detail

namespace moe {

/// Writes rows into a record: ids as `route` or a rollout engine gave them.
/// \param record where to. \param ids `[rows, k]`. \param first the record's row that the first
/// goes to.
/// \param batch a number that is not 0 and tells this batch from the others that used the record.
template <class Id, class From, class Isa = native_isa>
void record_routing(const routing_record<Id>& record, view<const From, 2> ids, std::int64_t first,
                    std::uint64_t batch) {
  static_assert(detail::check_ids<Id, From>());
  detail::check_record_arrays(record);
  const std::int64_t rows = ids.extent[0], k = record.ids.extent[1];
  detail::check_row_major("ids", ids, rows, k);
  if (first < 0 || first > record.ids.extent[0] - rows)
    detail::refuse(detail::message() << "hence: rows [" << first << ", " << first << " + " << rows
                                     << ") are not within the record's " << record.ids.extent[0]);
  if (batch == 0) detail::refuse(detail::message() << "hence: batch is 0, expected another number");
  detail::check_written_apart({{"record.ids", detail::range_of(record.ids)},
                               {"record.batch", detail::range_of(record.batch)}},
                              {{"ids", detail::range_of(ids)}});
  for (std::int64_t t = 0; t < rows; ++t)
    for (std::int64_t j = 0; j < k; ++j) {
      const auto e = static_cast<std::int64_t>(ids(t, j));
      if (e < -1 || e >= record.experts)
        detail::refuse(detail::message() << "hence: ids[" << t << ", " << j << "] is " << e
                                         << ", expected -1 to " << record.experts - 1);
    }
  for (std::int64_t t = 0; t < rows; ++t) {
    for (std::int64_t j = 0; j < k; ++j) record.ids(first + t, j) = static_cast<Id>(ids(t, j));
    record.batch[first + t] = batch;
  }
}

/// Looks at all that a replay needs, in one pass: shape, rows of another batch, range, repeats.
/// The shape is refused at once (an engine that returns one row too few shifts every row); what is
/// wrong with rows is counted.
/// \param record what was recorded. \param tokens, experts, k of the pass that will replay it.
/// \param batch that it was recorded for. \param valid `[tokens]`, or absent.
template <class Id, class Isa = native_isa>
record_counts check_record(const routing_record<Id>& record, std::int64_t tokens,
                           std::int64_t experts, std::int64_t k, std::uint64_t batch,
                           view<const std::uint8_t> valid = {}) {
  detail::check_record_arrays(record);
  if (record.experts != experts)
    detail::refuse(detail::message() << "hence: the record is of " << record.experts
                                     << " experts, the gate has " << experts);
  detail::check_row_major("record.ids", record.ids, tokens, k);
  if (valid.given()) detail::check_vector("valid", valid, tokens);
  record_counts counts;
  for (std::int64_t t = 0; t < tokens; ++t) {
    if (valid.present() && valid[t] == 0) continue;
    const auto* row = record.ids.data + t * record.ids.stride[0];
    std::int64_t out = 0, repeated = 0;
    bool is_empty = true;
    for (std::int64_t j = 0; j < k; ++j) {
      const auto e = static_cast<std::int64_t>(row[j]);
      out += e < -1 || e >= experts;
      is_empty &= e < 0;
      repeated += e >= 0 && detail::holds(row, j, e);
    }
    ++counts.rows;
    counts.stale_rows += record.batch[t] != batch;
    counts.range_rows += out > 0;
    counts.repeated_rows += repeated > 0;
    counts.empty_rows += is_empty;
  }
  return counts;
}

/// How far `live` routing is from `replayed`, of the same rows.
/// \param replayed, live `[tokens, k]` ids, -1 = empty slot; of any id types.
/// \param valid `[tokens]`, or absent.
template <class A, class B, class Isa = native_isa>
disagreement compare_routing(view<const A, 2> replayed, view<const B, 2> live,
                             view<const std::uint8_t> valid = {}) {
  const std::int64_t tokens = replayed.extent[0], k = replayed.extent[1];
  detail::check_row_major("replayed", replayed, tokens, k);
  detail::check_row_major("live", live, tokens, k);
  if (valid.given()) detail::check_vector("valid", valid, tokens);
  disagreement d;
  for (std::int64_t t = 0; t < tokens; ++t) {
    if (valid.present() && valid[t] == 0) continue;
    const A* a = replayed.data + t * replayed.stride[0];
    const B* b = live.data + t * live.stride[0];
    std::int64_t missing = 0, extra = 0;
    for (std::int64_t j = 0; j < k; ++j) {
      const auto x = static_cast<std::int64_t>(a[j]), y = static_cast<std::int64_t>(b[j]);
      d.slots += x >= 0;
      missing += x >= 0 && !detail::holds(b, k, x);
      extra += y >= 0 && !detail::holds(a, k, y);
    }
    ++d.rows;
    d.rows_apart += missing + extra > 0;
    d.slots_apart += missing;
    d.first_apart += k > 0 && static_cast<std::int64_t>(a[0]) != static_cast<std::int64_t>(b[0]);
  }
  return d;
}

}  // namespace moe

}  // namespace hence::inline v0
