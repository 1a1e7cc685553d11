/// \file
/// An alarm for a known way that training goes wrong: the format reward rises while the responses
/// grow short, so the policy learns the form and stops to think.
#pragma once

#include <hence/core/check.hpp>

#include <cstdint>  // int64_t

namespace hence::inline v0 {

/// Compares the mean over the last `Window` steps with that over the `Window` before.
/// \tparam Window steps in each of the two windows.
template <int Window = 16> class format_alarm {
 public:
  static_assert(Window > 0, "hence: a window has at least one step");

  /// \param rise the least growth of the mean format reward, absolute.
  /// \param fall the least relative loss of mean length, e.g. 0.1 for a tenth.
  [[gnu::always_inline]] format_alarm(double rise, double fall) : rise_(rise), fall_(fall) {
    if (!(rise > 0) || !(fall > 0) || !(fall < 1))
      detail::refuse(detail::message() << "hence: format_alarm has rise " << rise << " and fall "
                                       << fall << ", expected rise above 0 and fall in (0, 1)");
  }

  /// One step's means. Steps that are not finite count for nothing.
  /// \return whether the alarm sounds: not before 2 `Window` steps.
  HENCE_FN bool update(double format_reward, double length) {
    if (!(format_reward - format_reward == 0) || !(length - length == 0)) return sounds();
    const auto at = static_cast<unsigned>(steps_++ % (2 * Window));
    format_[at] = format_reward, length_[at] = length;
    return sounds();
  }
  /// Whether it does now.
  HENCE_FN bool sounds() const {
    if (steps_ < 2 * Window) return false;
    double format[2] = {}, length[2] = {};  // before, now
    for (int k = 0; k < 2 * Window; ++k) {
      const auto at = static_cast<unsigned>((steps_ + k) % (2 * Window));  // the oldest first
      const unsigned now = k < Window ? 0 : 1;
      format[now] += format_[at], length[now] += length_[at];
    }
    return format[1] - format[0] >= rise_ * Window && length[1] <= length[0] * (1 - fall_);
  }

 private:
  double rise_, fall_;
  static constexpr unsigned kept = 2 * Window;
  double format_[kept] = {}, length_[kept] = {};
  std::int64_t steps_ = 0;
};

}  // namespace hence::inline v0
