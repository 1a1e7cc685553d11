/// \file
/// The adaptive KL controller: a coefficient that follows a target. Ziegler et al.,
/// arXiv:1909.08593 (2.2); verl's and OpenRLHF's "adaptive".
#pragma once

#include <hence/core/check.hpp>

namespace hence::inline v0::kl {

/// coef <- coef (1 + clamp(kl/target - 1, [-0.2, 0.2]) steps/horizon), once per optimizer step.
///
///     auto k = kl::adaptive{.coef = 0.2, .target = 6, .horizon = 10000};
///     k.update(result.metrics().kl_mean(), 256);
///     loss.kl.coef = static_cast<float>(k.coef);
///
/// With the KL in the reward, `kl_paid::mean()` takes the place of `kl_mean()`.
struct adaptive {
  double coef;     ///< the next step's coefficient
  double target;   ///< the KL to hold, of the unit that `update` gets
  double horizon;  ///< the paper's K is steps/horizon

  /// \param kl measured in this step. Not finite: the coefficient stays, and the status says so.
  /// \param steps what the horizon counts, e.g. the step's sequences.
  [[gnu::always_inline]] status update(double kl, double steps) {
    if (!(target > 0) || !(horizon > 0) || !(coef >= 0))
      detail::refuse(detail::message()
                     << "hence: kl::adaptive has coef " << coef << ", target " << target
                     << " and horizon " << horizon << ", expected positive numbers");
    if (!(steps >= 0) || steps > horizon)
      detail::refuse(detail::message() << "hence: kl::adaptive is updated by " << steps
                                       << " steps, expected 0 to its horizon " << horizon);
    if (!(kl - kl == 0)) return status::non_finite;
    const double error = kl / target - 1;
    const double limited = error < -0.2 ? -0.2 : error > 0.2 ? 0.2 : error;
    coef *= 1 + limited * (steps / horizon);
    return status::ok;
  }
};

}  // namespace hence::inline v0::kl
