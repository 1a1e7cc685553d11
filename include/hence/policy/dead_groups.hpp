/// \file
/// Dead groups: prompts whose rewards do not vary, so that every advantage about the group's mean
/// is 0 and the prompt teaches nothing. How many there are, and the zero-variance policy *drop*,
/// which takes them out of every count.
///
/// Both read the rewards as they are given. Where rewards are shaped (a length term, say), give the
/// raw ones: shaped rewards are hardly ever equal.
#pragma once

#include <hence/policy/inputs.hpp>

namespace hence::inline v0 {

/// Counts that add up over micro-batches and ranks that share no prompt. Groups without a row count
/// nowhere; a group with a reward that is not finite is no dead one.
struct dead_group_metrics {
  std::int64_t groups = 0, dead_groups = 0;  ///< all, and those whose rewards do not vary
  std::int64_t rows = 0, dead_rows = 0;      ///< rows of all groups, of the dead ones

  // written out, since an implicit one would be shared by differently compiled translation units
  HENCE_FN dead_group_metrics() {}
  HENCE_FN dead_group_metrics& operator+=(const dead_group_metrics& o) {
    groups += o.groups, dead_groups += o.dead_groups, rows += o.rows, dead_rows += o.dead_rows;
    return *this;
  }
  /// Share of prompts; 0 without any.
  HENCE_FN double dead_group_share() const { return share(dead_groups, groups); }
  /// frac_reward_zero_std: TRL's share, of rows. The same where groups are of one size.
  HENCE_FN double frac_reward_zero_std() const { return share(dead_rows, rows); }

 private:
  static HENCE_FN double share(std::int64_t part, std::int64_t all) {
    return static_cast<double>(part) / detail::at_least_one(all);
  }
};

namespace detail {

/// Whether rows [begin, end) are at least one and their rewards finite and within the tolerance.
template <class Executor>
HENCE_FN bool is_dead_group(view<const typename Executor::scalar> rewards, std::int64_t begin,
                            std::int64_t end, double tolerance) {
  if (begin == end) return false;
  double low = static_cast<double>(rewards[begin]), high = low;
  for (std::int64_t i = begin; i < end; ++i) {
    const double r = static_cast<double>(rewards[i]);
    if (!(r - r == 0)) return false;
    low = r < low ? r : low;
    high = r > high ? r : high;
  }
  return high - low <= tolerance;
}

/// Refuses groups, rewards and a tolerance that make no sense.
template <class Executor>
void check_reward_groups(const offsets& cu, view<const typename Executor::scalar> rewards,
                         double tolerance) {
  check_offsets("cu_groups", cu);
  const std::int64_t rows = cu[cu.rows()];
  if (!rewards.present() && rows > 0)
    refuse(message() << "hence: rewards is null, expected " << rows << " rows");
  if (rewards.extent[0] != rows)
    refuse(message() << "hence: rewards has " << rewards.extent[0]
                     << " entries, cu_groups describes " << rows << " rows");
  if (!(tolerance >= 0) || tolerance > 1.7e308)
    refuse(message() << "hence: tolerance is " << tolerance
                     << ", expected a finite number, 0 or more");
}

}  // namespace detail

/// How many groups are dead: of at least one row, max - min of the rewards at most the tolerance. A
/// group of one is dead.
/// \param batch where each group's rows lie.
/// \param rewards `[rows]`, of any stride.
/// \param tolerance 0: equal to the bit (TRL asks whether the deviation is within 1e-8 of 0).
template <class Executor>
dead_group_metrics dead_groups(const Executor&, const groups& batch,
                               view<const typename Executor::scalar> rewards, double tolerance) {
  const offsets& cu = batch.cu_groups;
  detail::check_reward_groups<Executor>(cu, rewards, tolerance);
  dead_group_metrics m;
  for (std::int64_t g = 0; g < cu.rows(); ++g) {
    const std::int64_t n = cu[g + 1] - cu[g];
    const bool dead = detail::is_dead_group<Executor>(rewards, cu[g], cu[g + 1], tolerance);
    m.groups += n > 0, m.rows += n;
    m.dead_groups += dead, m.dead_rows += dead ? n : 0;
  }
  return m;
}

/// The zero-variance policy *drop*: writes 1 at live response tokens whose group is not dead and 0
/// elsewhere, so that dead groups leave the KL, the entropy, the metrics and every count. Rows and
/// prompts without a token are still counted by `all_rows` and `all_prompts`, not by
/// `non_empty_rows` and `non_empty_prompts`. A group with a reward that is not finite stays: the
/// loss reports it.
///
///     drop_dead_groups(cpu{}, batch, groups{.cu_groups = cu}, rewards, 0.0, kept);
///     batch.mask.response = kept;   // then count(batch), over_window(...), loss_and_gradient(...)
///
/// \param batch `ragged` or `padded`.
/// \param prompts where each group's rows lie. \param rewards, tolerance as for `dead_groups`.
/// \param kept `[tokens]` or `[rows, width]`; may be the batch's response mask itself. Every other
/// overlap with what is read is refused.
/// \return `status::empty` if nothing is kept.
template <class Executor, class Batch>
status drop_dead_groups(const Executor&, const Batch& batch, const groups& prompts,
                        view<const typename Executor::scalar> rewards, double tolerance,
                        per_token<std::uint8_t> kept) {
  const detail::layout b = batch;
  const offsets& cu = prompts.cu_groups;
  detail::check_layout(b);
  detail::check_reward_groups<Executor>(cu, rewards, tolerance);
  if (cu[cu.rows()] != b.rows)
    detail::refuse(detail::message() << "hence: cu_groups describes " << cu[cu.rows()]
                                     << " rows, the batch has " << b.rows);
  detail::check_shape("kept", kept, b);
  detail::check_kept(kept, b);
  detail::check_apart("kept", kept, "rewards", rewards, b);
  detail::check_apart("kept", detail::place_of(kept, b), "cu_groups", {cu.bytes(), 0, 0});
  bool any = false;
  for (std::int64_t g = 0; g < cu.rows(); ++g) {
    const bool dead = detail::is_dead_group<Executor>(rewards, cu[g], cu[g + 1], tolerance);
    for (std::int64_t i = cu[g]; i < cu[g + 1]; ++i) {
      const detail::row_masks mask = b.masks_of(i);
      std::uint8_t* out = b.row(kept, i);
      for (std::int64_t t = 0; t < b.length(i); ++t) {
        const bool keep = !dead && mask.live(t);
        out[t] = keep;
        any |= keep;
      }
    }
  }
  return any ? status::ok : status::empty;
}

}  // namespace hence::inline v0
