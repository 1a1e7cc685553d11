/// \file
/// `moe::balancer`: balance without a loss. The selection bias moves once per optimizer step, by
/// the load of all of the step's micro-batches and ranks. Wang et al., arXiv:2408.15664, algorithm
/// 1; DeepSeek-V3, arXiv:2412.19437, 2.1.2: speed 0.001, 0 for the last 500B tokens.
#pragma once

#include <hence/moe/gate_checks.hpp>

namespace hence::inline v0::moe {

// The step of each expert's bias, from its load, the sum of the loads and the number of experts.

/// speed sign(mean(load) - load), sign(0) = 0.
struct sign_step {
  double speed;
  HENCE_FN double operator()(std::int64_t load, std::int64_t total, std::int64_t experts) const {
    const std::int64_t all = load * experts;  // exact, unlike the mean
    return all < total ? speed : all > total ? -speed : 0.0;
  }
};
/// speed (mean(load) - load)/mean(load); 0 without a load.
struct proportional_step {
  double speed;
  HENCE_FN double operator()(std::int64_t load, std::int64_t total, std::int64_t experts) const {
    return total > 0 ? speed * (1.0 - static_cast<double>(load) * static_cast<double>(experts) /
                                          static_cast<double>(total))
                     : 0.0;
  }
};
/// The step minus its mean over the experts, so that the biases' mean does not drift.
template <class Step> struct centred {
  Step step;
  HENCE_FN double operator()(std::int64_t load, std::int64_t total, std::int64_t experts) const {
    return step(load, total, experts);
  }
};
template <class Step> centred(Step) -> centred<Step>;

/// The speed of a step, 0 of one that has none.
template <class Step> HENCE_FN double speed_of(const Step& step) {
  if constexpr (requires { step.speed; })
    return step.speed;
  else if constexpr (requires { step.step; })
    return speed_of(step.step);
  else
    return 0;
}
/// Whether a step keeps the biases' mean.
template <class Step> constexpr bool is_centred = false;
template <class Step> constexpr bool is_centred<centred<Step>> = true;

/// State over the caller's arrays. \tparam S of the bias: fp32 or wider, since steps of 0.001
/// vanish in bf16 beyond 0.25.
template <class Step, class S = float, class Isa = native_isa> class balancer {
  static_assert(sizeof(S) >= 4,
                "hence: a selection bias is fp32 or wider: its steps vanish in 16 bits");

 public:
  /// \param step the rule.
  /// \param bias `[experts]`, as the gate reads it. \param load `[experts]`, the step's counts so
  /// far;
  ///   integers, so that an all-reduce by sum merges ranks. It is cleared.
  [[gnu::always_inline]] balancer(Step step, view<S> bias, view<std::int64_t> load)
      : step_(step), bias_(bias), load_(load) {
    if (!(speed_of(step) - speed_of(step) == 0))
      detail::refuse(detail::message()
                     << "hence: speed is " << speed_of(step) << ", expected a finite number");
    detail::check_vector("bias", bias, bias.extent[0]);
    detail::check_vector("load", load, bias.extent[0]);
    detail::check_apart("load", detail::range_of(load), "bias", detail::range_of(bias));
    clear();
  }

  /// Adds a micro-batch. Not to be called again when activations are recomputed.
  /// \param counts as `route` returned them: they tell replayed rows, whose load says nothing of
  /// this
  ///   bias. \param load `[experts]`, as `route` wrote it.
  [[gnu::always_inline]] void observe(const route_counts& counts, view<const std::int64_t> load) {
    detail::check_vector("load", load, load_.extent[0]);
    detail::check_apart("load", detail::range_of(load), "the balancer's own load",
                        detail::range_of(load_));
    check_load(load);
    detail::check_count("counts.replayed_rows", counts.replayed_rows);
    for (std::int64_t e = 0; e < load_.extent[0]; ++e) load_[e] += load[e];
    replayed_ += counts.replayed_rows;
  }

  /// Moves the bias, once per optimizer step, and clears the load.
  /// \param step its number, above that of the last one.
  [[gnu::always_inline]] void update(std::int64_t step) {
    if (frozen_)
      detail::refuse(detail::message()
                     << "hence: the balancer is frozen, expected no update of the "
                        "bias; thaw() it or call skip()");
    if (replayed_ > 0)
      detail::refuse(detail::message()
                     << "hence: " << replayed_
                     << " rows of this step were replayed, so their load says nothing of the bias; "
                        "expected skip()");
    if (step <= last_step_)
      detail::refuse(detail::message() << "hence: step is " << step << ", expected above "
                                       << last_step_ << ": the bias moves once per optimizer step");
    check_load(load_);  // the caller's array, all-reduced
    const std::int64_t experts = bias_.extent[0];
    std::int64_t total = 0;
    for (std::int64_t e = 0; e < experts; ++e) total += load_[e];
    double mean = 0;
    if constexpr (is_centred<Step>) {
      for (std::int64_t e = 0; e < experts; ++e) mean += step_(load_[e], total, experts);
      mean /= static_cast<double>(experts);  // without an expert nothing reads it
    }
    for (std::int64_t e = 0; e < experts; ++e)
      bias_[e] =
          static_cast<S>(static_cast<double>(bias_[e]) + (step_(load_[e], total, experts) - mean));
    last_step_ = step;
    clear();
  }
  /// Forgets the step's load and leaves the bias alone.
  HENCE_FN void skip() { clear(); }

  /// From here on `update` is refused.
  HENCE_FN void freeze() { frozen_ = true; }
  /// Ends `freeze`.
  HENCE_FN void thaw() { frozen_ = false; }
  /// Between `freeze` and `thaw`.
  HENCE_FN bool is_frozen() const { return frozen_; }
  /// Whether the step has replayed rows; true on one rank means `skip` on all of them.
  HENCE_FN bool is_replaying() const { return replayed_ > 0; }
  /// The step's load, to be all-reduced over ranks before `update`.
  HENCE_FN view<std::int64_t> load() const { return load_; }

 private:
  [[gnu::always_inline]] static void check_load(const view<const std::int64_t>& load) {
    for (std::int64_t e = 0; e < load.extent[0]; ++e)
      if (load[e] < 0)
        detail::refuse(detail::message()
                       << "hence: load[" << e << "] is " << load[e] << ", expected 0 or more");
  }
  HENCE_FN void clear() {
    for (std::int64_t e = 0; e < load_.extent[0]; ++e) load_[e] = 0;
    replayed_ = 0;
  }

  Step step_;
  view<S> bias_;
  view<std::int64_t> load_;
  std::int64_t replayed_ = 0, last_step_ = INT64_MIN;
  bool frozen_ = false;
};

}  // namespace hence::inline v0::moe
