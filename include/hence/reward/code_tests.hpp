/// \file
/// Rewards of code from the verdicts of its test cases. hence runs no code: a callback says whether
/// a case passed, in whatever sandbox the caller has.
#pragma once

#include <hence/core/check.hpp>

namespace hence::inline v0::reward {

/// What the verdicts are worth.
enum class verdicts : std::uint8_t {
  all_passed,  ///< 1 if every case passed, else 0: R1. Stops at the first failure.
  share,       ///< passed / cases: open-r1's and verl's sandbox rewards
};

/// Runs the cases through `passed` and gives the reward, in [0, 1].
/// \param rule what the verdicts are worth.
/// \param cases above 0: a program without a test would pass every one of them.
/// \param passed callable (index of the case) -> bool.
template <class Isa = native_isa, class Passed>
[[gnu::always_inline]] inline double test_reward(verdicts rule, std::int64_t cases,
                                                 Passed&& passed) {
  if (cases < 1)
    hence::detail::refuse(hence::detail::message{} << "hence: cases is " << cases
                                                   << ", expected 1 or more");
  constexpr bool is_verdict = requires { passed(cases) ? 1 : 0; };
  static_assert(is_verdict, "hence: verdicts are a callable (index of the case) -> bool");
  std::int64_t good = 0;
  if constexpr (is_verdict)
    for (std::int64_t i = 0; i < cases; ++i) {
      const bool ok = passed(i) ? true : false;
      if (!ok && rule == verdicts::all_passed) return 0;
      good += ok ? 1 : 0;
    }
  return static_cast<double>(good) / static_cast<double>(cases);
}

}  // namespace hence::inline v0::reward
