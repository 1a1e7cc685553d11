/// \file
/// `pass@k` without bias: the chance that k of n samples hold a correct one. Chen et al.,
/// arXiv:2107.03374 eq. 1: 1 - C(n - c, k) / C(n, k). For k = 1 it is c / n, R1's `pass@1` = (1/k)
/// sum p_i (arXiv:2501.12948, D.1).
#pragma once

#include <hence/core/num.hpp>
#include <hence/core/sum.hpp>
#include <hence/core/view.hpp>

/// Judging models and choosing data: figures over many samples of many prompts.
namespace hence::inline v0::evaluate {

namespace detail {

/// A sum of positive terms: the chance that draw j + 1 is the first correct one, so that nothing
/// cancels where `pass@k` is tiny. min(c, k) steps, fewer once no chance is left.
template <class Isa> constexpr double pass_at_k_of(std::int64_t n, std::int64_t c, std::int64_t k) {
  using V = num<double, Isa>;
  if (n - c < k) return 1;
  if (k == 1) return static_cast<double>(c) / static_cast<double>(n);
  // C(n - c, k) / C(n, k) = C(n - k, c) / C(n, c): the smaller of both counts the draws
  const std::int64_t draws = c < k ? c : k, other = c < k ? k : c;
  V found = 0.0, left = 1.0;  // left: none among the first j draws
  for (std::int64_t j = 0; j < draws && left.v > 0x1p-120; ++j) {
    const V m = static_cast<double>(n - j);
    found = found + left * V(static_cast<double>(other)) / m;
    left = left * V(static_cast<double>(n - j - other)) / m;
  }
  return found.v < 1 ? found.v : 1;
}

[[gnu::always_inline]] inline void check_pass_at_k(std::int64_t n, std::int64_t c, std::int64_t k,
                                                   std::int64_t prompt) {
  using hence::detail::message;
  if (k < 1 || k > n)
    hence::detail::refuse(message{} << "hence: k is " << k << ", expected 1 to samples[" << prompt
                                    << "], which is " << n);
  if (c < 0 || c > n)
    hence::detail::refuse(message{} << "hence: correct[" << prompt << "] is " << c
                                    << ", expected 0 to samples[" << prompt << "], which is " << n);
}

}  // namespace detail

/// `pass@k` of one prompt with c correct ones among n samples. Relative error below 1e-12 for n up
/// to 10^6, also where the value is tiny. Refuses unless 1 <= k <= n and 0 <= c <= n.
template <class Isa = native_isa>
[[gnu::always_inline]] inline double pass_at_k(std::int64_t n, std::int64_t c, std::int64_t k) {
  detail::check_pass_at_k(n, c, k, 0);
  return detail::pass_at_k_of<Isa>(n, c, k);
}

/// `pass@k` of every prompt.
/// \return their mean, an exact sum rounded once; 0 without a prompt.
/// \param samples how many were drawn // [prompts]
/// \param correct how many of them are correct // [prompts]
/// \param k 1 to the smallest number of samples.
/// \param out // [prompts]
template <class Isa = native_isa>
[[gnu::always_inline]] inline double pass_at_k(view<const std::int64_t> samples,
                                               view<const std::int64_t> correct, std::int64_t k,
                                               view<double> out) {
  using hence::detail::message;
  const std::int64_t prompts = samples.extent[0];
  if (correct.extent[0] != prompts)
    hence::detail::refuse(message{} << "hence: correct has " << correct.extent[0]
                                    << " entries, samples has " << prompts);
  if (out.extent[0] != prompts)
    hence::detail::refuse(message{} << "hence: out has " << out.extent[0]
                                    << " entries, samples has " << prompts);
  for (std::int64_t i = 0; i < prompts; ++i) detail::check_pass_at_k(samples[i], correct[i], k, i);
  basic_exact_sum<Isa> sum;
  for (std::int64_t i = 0; i < prompts; ++i) {
    out[i] = detail::pass_at_k_of<Isa>(samples[i], correct[i], k);
    sum.add(out[i]);
  }
  return prompts == 0 ? 0 : sum.value() / static_cast<double>(prompts);
}

}  // namespace hence::inline v0::evaluate
