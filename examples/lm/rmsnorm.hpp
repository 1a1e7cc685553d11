/// \file
/// RMSNorm, y = g x / sqrt(mean(x^2) + eps), and its gradient. Zhang and Sennrich,
/// arXiv:1910.07467.
#pragma once

#include "lanes.hpp"

namespace lm {

/// \param x, y `[width]`. \param gain `[width]`. \return 1 / sqrt(mean(x^2) + eps), for the way
/// back.
template <class S> S rmsnorm(const S* x, const S* gain, std::int64_t width, S eps, S* y) {
  using N = hence::num<S>;
  const N mean = N(dot(x, x, width)) / N(static_cast<S>(width));
  const S inverse = (N(S(1)) / sqrt(mean + N(eps))).v;
  const lanes<S> r(inverse);
  for_lanes(width, [&](std::int64_t i, std::int64_t n) {
    (lanes<S>::load(x + i, n) * r * lanes<S>::load(gain + i, n)).store(y + i, n);
  });
  return inverse;
}

/// dx += the gradient: r (g dy - xr mean(g dy xr)), with r the inverse and xr = x r.
template <class S>
void rmsnorm_backward(const S* x, const S* gain, S inverse, const S* dy, std::int64_t width,
                      S* dx) {
  using N = hence::num<S>;
  const lanes<S> r(inverse);
  lanes<S> sum(S(0));
  for_lanes(width, [&](std::int64_t i, std::int64_t n) {
    const auto g = lanes<S>::load(gain + i, n) * lanes<S>::load(dy + i, n);
    sum = fma(g, lanes<S>::load(x + i, n) * r, sum);
  });
  const lanes<S> mean((N(sum.sum()) / N(static_cast<S>(width))).v);
  for_lanes(width, [&](std::int64_t i, std::int64_t n) {
    const auto g = lanes<S>::load(gain + i, n) * lanes<S>::load(dy + i, n);
    const auto own = g - lanes<S>::load(x + i, n) * r * mean;
    fma(own, r, lanes<S>::load(dx + i, n)).store(dx + i, n);
  });
}

/// d_gain += sum over rows of dy x r, a chain in the order of the rows: a batch in two calls has
/// the bits of one.
/// \param x, dy `[rows, width]`. \param inverse `[rows]`.
template <class S>
void rmsnorm_gain_backward(const S* x, const S* inverse, const S* dy, std::int64_t rows,
                           std::int64_t width, S* d_gain) {
  for_lanes(width, [&](std::int64_t i, std::int64_t n) {
    auto sum = lanes<S>::load(d_gain + i, n);
    for (std::int64_t t = 0; t < rows; ++t)
      sum = fma(lanes<S>::load(x + t * width + i, n) * lanes<S>(inverse[t]),
                lanes<S>::load(dy + t * width + i, n), sum);
    sum.store(d_gain + i, n);
  });
}

}  // namespace lm
