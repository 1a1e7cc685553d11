/// \file
/// What a loss returns: un-normalised sums and counts, to be added over micro-batches and ranks.
#pragma once

#include <hence/core/check.hpp>
#include <hence/policy/metrics.hpp>

namespace hence::inline v0 {

namespace detail {

/// The part of a result that does not depend on aggregation and scope.
template <class S, class Metrics> struct sums {
  sum_of<S> numerator;  ///< sum over rows of (sum of x over the row / row divisor)
  hence::counts counts;
  std::int64_t prompt_shares = 0;  ///< of a prompt mean: see `prompt_share`
  status conditions = status::ok;
  Metrics metrics;

  HENCE_FN sums() {}
  HENCE_FN sums& operator+=(const sums& o) {
    numerator += o.numerator, counts += o.counts, metrics += o.metrics;
    prompt_shares += o.prompt_shares, conditions |= o.conditions;
    return *this;
  }
};

}  // namespace detail

/// Sums of one call. Add those of a window's micro-batches, then ask `loss()`.
/// \tparam S the executor's scalar. \tparam Scope of the denominator that scaled the gradient.
template <class S, class Aggregation, class Scope, class Metrics> class loss_result {
 public:
  HENCE_FN loss_result() {}
  HENCE_FN loss_result(const detail::sums<S, Metrics>& s, denominator<Aggregation, Scope> d)
      : sums_(s), denominator_(d.value) {}

  /// Adds another micro-batch or rank of the same window. The result's bits do not depend on the
  /// split.
  [[gnu::always_inline]] loss_result& operator+=(const loss_result& other) {
    static_assert(
        !std::same_as<Scope, scope::call>,
        "hence: results of over_this_call do not add up, each was divided by its own counts; "
        "use over_window or over_all_ranks");
    if (denominator_ != 0 && other.denominator_ != 0 && denominator_ != other.denominator_)
      detail::refuse(detail::message() << "hence: results of two denominators are added, "
                                       << denominator_ << " and " << other.denominator_);
    const double d = denominator_ != 0 ? denominator_ : other.denominator_;
    if constexpr (detail::divisor_is_counted<Aggregation>) {
      const double together = detail::divisor(Aggregation{}, sums_.counts + other.sums_.counts);
      if (d != 0 && together > d)
        detail::refuse(detail::message()
                       << "hence: the results together count " << together << ", their denominator "
                       << d << "; over_window takes the counts of the whole window");
    } else if constexpr (detail::prompt_aggregation<Aggregation>) {
      detail::check_prompt_shares("the results together",
                                  sums_.prompt_shares + other.sums_.prompt_shares, d);
    }
    sums_ += other.sums_;
    denominator_ = d;
    return *this;
  }

  friend HENCE_FN loss_result operator+(loss_result a, const loss_result& b) { return a += b; }

  /// The loss: sum / denominator; 0 for an empty batch.
  HENCE_FN double loss() const {
    return denominator_ == 0 ? 0.0 : static_cast<double>(sums_.numerator.value()) / denominator_;
  }
  /// Rows and tokens that were summed over.
  HENCE_FN const hence::counts& counts() const { return sums_.counts; }
  /// `status::empty` if no token was live, `status::non_finite` if the loss or its inputs were.
  HENCE_FN status conditions() const {
    return sums_.counts.tokens > 0 ? sums_.conditions : sums_.conditions | status::empty;
  }
  /// Of the same pass, if asked for.
  HENCE_FN const Metrics& metrics() const { return sums_.metrics; }
  /// The un-normalised state, to be merged by an integer all-reduce.
  HENCE_FN detail::sums<S, Metrics>& state() { return sums_; }
  HENCE_FN const detail::sums<S, Metrics>& state() const { return sums_; }

 private:
  detail::sums<S, Metrics> sums_{};
  double denominator_ = 0;
};

}  // namespace hence::inline v0
