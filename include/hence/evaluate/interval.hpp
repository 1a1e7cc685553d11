/// \file
/// How sure a benchmark's figure is: Wilson's interval of a share, the bootstrap's of a mean.
#pragma once

#include <hence/core/math_sqrt.hpp>
#include <hence/core/random.hpp>
#include <hence/core/sum.hpp>
#include <hence/core/view.hpp>
#include <hence/evaluate/order.hpp>

namespace hence::inline v0::evaluate {

/// Lower and upper end.
struct interval {
  double low, high;
};

/// The normal distribution's quantile of a two-sided 95% interval.
inline constexpr double z95 = 1.959963984540054;

/// Wilson's score interval of a share: (p + z^2/2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 +
/// z^2/n), clipped to [0, 1]. E. B. Wilson (1927).
/// \param successes 0 to trials.
/// \param trials 1 or more.
/// \param z the quantile, e.g. `z95`, 1 or more (68%) and below 1e9. It is not the confidence.
template <class Isa = native_isa>
[[gnu::always_inline]] inline interval wilson(std::int64_t successes, std::int64_t trials,
                                              double z) {
  using hence::detail::message;
  using V = num<double, Isa>;
  if (trials < 1)
    hence::detail::refuse(message{} << "hence: trials is " << trials << ", expected 1 or more");
  if (successes < 0 || successes > trials)
    hence::detail::refuse(message{} << "hence: successes is " << successes
                                    << ", expected 0 to trials, which is " << trials);
  if (!(z >= 1 && z < 1e9))
    hence::detail::refuse(message{}
                          << "hence: z is " << z
                          << ", expected a normal quantile from 1 to 1e9, e.g. 1.96 for 95%");
  const V n = static_cast<double>(trials), p = V(static_cast<double>(successes)) / n;
  const V zz = V(z) * V(z), middle = p + zz / (n + n);
  const V spread = V(z) * sqrt(p * (V(1.0) - p) / n + zz / (V(4.0) * n * n)),
          whole = V(1.0) + zz / n;
  const double low = ((middle - spread) / whole).v, high = ((middle + spread) / whole).v;
  return {successes == 0 || low < 0 ? 0 : low, successes == trials || high > 1 ? 1 : high};
}

namespace detail {

template <class Isa>
interval resample_means(view<const double> values, double confidence, std::uint64_t seed,
                        view<double> means) {
  const auto size = static_cast<std::uint64_t>(values.extent[0]);
  for (std::int64_t r = 0; r < means.extent[0]; ++r) {
    basic_exact_sum<Isa> sum;
    for (std::uint64_t i = 0; i < size; i += 2) {
      const random_words w =
          philox(seed, {static_cast<std::uint32_t>(i / 2), 0, static_cast<std::uint64_t>(r)});
      for (unsigned half = 0; half < 2 && i + half < size; ++half) {
        // 32 bits times a size below 2^31: the bias of an index is at most 2^-32 x size
        const std::uint64_t word = w.word[2 * half];
        sum.add(values[static_cast<std::int64_t>(word * size >> 32)]);
      }
    }
    means[r] = sum.value() / static_cast<double>(size);
  }
  heap_sort<Isa>(
      means.extent[0], [&](std::int64_t i, std::int64_t j) { return means[i] < means[j]; },
      [&](std::int64_t i, std::int64_t j) {
        const double t = means[i];
        means[i] = means[j], means[j] = t;
      });
  const auto last = static_cast<double>(means.extent[0] - 1);
  const double cut = hence::detail::arithmetic<double>::mul((1 - confidence) / 2, last);
  const auto low = static_cast<std::int64_t>(cut);  // outwards, to the next resample
  return {means[low], means[means.extent[0] - 1 - low]};
}

}  // namespace detail

/// The percentile bootstrap of a mean: the middle `confidence` of the means of resamples with
/// replacement. The same seed gives the same bits on every machine.
/// \param values one per prompt (resample prompts, not samples: those of one prompt depend on each
/// other), finite, fewer than 2^31 // [prompts]
/// \param confidence the share of the resamples in the middle, between 0 and 1.
/// \param seed of the draws.
/// \param means room for the resamples' means, one each, overwritten; 10^4 are usual // [resamples]
template <class Isa = native_isa>
[[gnu::always_inline]] inline interval bootstrap(view<const double> values, double confidence,
                                                 std::uint64_t seed, view<double> means) {
  using hence::detail::message;
  if (values.extent[0] < 1 || values.extent[0] >= std::int64_t{1} << 31)
    hence::detail::refuse(message{} << "hence: values has " << values.extent[0]
                                    << " entries, expected 1 to 2^31 - 1");
  if (means.extent[0] < 1)
    hence::detail::refuse(message{} << "hence: means has no entry, expected one per resample");
  if (!(confidence > 0 && confidence < 1))
    hence::detail::refuse(message{} << "hence: confidence is " << confidence
                                    << ", expected a number between 0 and 1");
  for (std::int64_t i = 0; i < values.extent[0]; ++i)
    if (!(values[i] - values[i] == 0))
      hence::detail::refuse(message{} << "hence: values[" << i << "] is " << values[i]
                                      << ", expected a finite number");
  return detail::resample_means<Isa>(values, confidence, seed, means);
}

}  // namespace hence::inline v0::evaluate
