/// \file
/// The group advantages of the papers by name. What a paper does not state is an argument.
#pragma once

#include <hence/policy/advantage_baseline.hpp>
#include <hence/policy/advantage_scale.hpp>

namespace hence::inline v0::advantage {

/// GRPO's advantage, (r - mean)/(std + eps): "subtracting the group average and dividing by the
/// group standard deviation", DeepSeekMath, arXiv:2402.03300, 4.1.2. The paper states neither ddof
/// nor eps, nor what a group of one gets.
template <class Singleton>
[[gnu::always_inline]] constexpr auto grpo(std::int64_t ddof, double eps, Singleton singleton) {
  return group_baseline<baseline_group, scale_group, Singleton>{{}, {ddof, eps}, singleton};
}

/// Dr. GRPO's advantage, r - mean, without the division by the deviation. arXiv:2503.20783, 3.2.
template <class Singleton> [[gnu::always_inline]] constexpr auto dr_grpo(Singleton singleton) {
  return group_baseline<baseline_group, scale_none, Singleton>{{}, {}, singleton};
}

/// RLOO's advantage, r - the mean of the others. arXiv:2402.14740, eq. 8.
template <class Singleton> [[gnu::always_inline]] constexpr auto rloo(Singleton singleton) {
  return group_baseline<baseline_leave_one_out, scale_none, Singleton>{{}, {}, singleton};
}

/// MaxRL's advantage, (r - mean)/(mean + eps). arXiv:2602.02710.
template <class Singleton>
[[gnu::always_inline]] constexpr auto maxrl(double eps, Singleton singleton) {
  return group_baseline<baseline_group, scale_mean, Singleton>{{}, {eps}, singleton};
}

/// GPG's advantage, alpha (r - mean), alpha = N / rewards that are not 0. arXiv:2504.02546.
template <class Singleton> [[gnu::always_inline]] constexpr auto gpg(Singleton singleton) {
  return group_baseline<baseline_group, scale_nonzero, Singleton>{{}, {}, singleton};
}

/// Without a policy for groups of one there is no rule.
template <class Ddof, class Eps> constexpr auto grpo(Ddof, Eps) {
  static_assert(hence::detail::always_false<Ddof>::value,
                "hence: advantage::grpo needs to know what a group of one gets: singleton_zero{}, "
                "singleton_raw{} or singleton_error{}");
}

}  // namespace hence::inline v0::advantage
