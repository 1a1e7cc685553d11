/// \file
/// `moe::jitter`: the router's input times a random factor in [1 - eps, 1 + eps), as Switch
/// Transformer explores, arXiv:2101.03961, 2.2. Into an array of its own: the experts see the input
/// as it was.
///
/// Factors come from Philox at (row, column, step): the same for any pool, split or rank, and again
/// when a layer is recomputed. The map is linear, so its gradient is the same function of the
/// cotangent.
#pragma once

#include <hence/core/random.hpp>
#include <hence/moe/gate_checks.hpp>

namespace hence::inline v0::moe {

/// Where a row's random numbers come from.
struct jitter_place {
  std::uint64_t seed;           ///< of the run
  std::uint64_t first_row = 0;  ///< identity of row 0; row t has first_row + t, on any rank
  std::uint32_t step = 0;       ///< training step, layer or both
};

/// out[t, d] = x[t, d] (1 - eps + 2 eps u), u in [0, 1).
/// \param executor `cpu{}`, `cpu{pool}`, `reference<float>{}`.
/// \param x `[tokens, width]`, fp32, bf16 or fp16. \param eps in [0, 1). \param place of row 0.
/// \param out the same shape,
/// apart.
template <class Executor, class X>
void jitter(const Executor& executor, view<const X, 2> x, double eps, const jitter_place& place,
            view<X, 2> out) {
  const std::int64_t tokens = x.extent[0], width = x.extent[1];
  detail::check_row_major("x", x, tokens, width);
  detail::check_row_major("out", out, tokens, width);
  detail::check_apart("out", detail::range_of(out), "x", detail::range_of(x));
  if (!(eps >= 0 && eps < 1))
    detail::refuse(detail::message() << "hence: eps is " << eps << ", expected 0 or more, below 1");
  using N = num<float>;
  const N low(static_cast<float>(1 - eps)), spread(static_cast<float>(2 * eps));
  detail::for_row_parts(executor, tokens, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      const X* from = x.data + t * x.stride[0];
      X* to = out.data + t * out.stride[0];
      for (std::int64_t d = 0; d < width; d += 4) {
        const random_words words =
            philox(place.seed, {static_cast<std::uint32_t>(d / 4), place.step,
                                place.first_row + static_cast<std::uint64_t>(t)});
        for (std::int64_t i = 0; i < 4 && d + i < width; ++i) {
          const N factor = fma(spread, N(uniform(words.word[i])), low);
          to[d + i] = X((N(static_cast<float>(from[d + i])) * factor).v);
        }
      }
    }
  });
}

}  // namespace hence::inline v0::moe
