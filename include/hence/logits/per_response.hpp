/// \file
/// From the log-probs of tokens to one of each response, and its gradient back to the tokens.
#pragma once

#include <hence/core/execute.hpp>
#include <hence/core/mean.hpp>
#include <hence/core/place.hpp>
#include <hence/core/sum.hpp>

namespace hence::inline v0 {

namespace per_response {
/// sum_t log pi_t: the log-prob of the response. DPO, IPO as published, KTO.
struct sum {
  static constexpr bool averages = false;
};
/// The same over its live tokens' number. SimPO, TRL's IPO, "length-normalised" DPO.
struct mean {
  static constexpr bool averages = true;
};
}  // namespace per_response

namespace detail {

template <class S> struct response_sums {
  using W = std::conditional_t<std::same_as<S, float>, double, S>;
  W total;
  std::int64_t live;
};
template <class S>
response_sums<S> sum_of_response(const S* logp, const row_masks& mask, std::int64_t length) {
  sum_of<S> total;
  std::int64_t live = 0;
  for (std::int64_t t = 0; t < length; ++t)
    if (mask.live(t)) total.add(logp[t]), ++live;
  return {total.value(), live};
}
template <class T>
[[gnu::always_inline]] inline void check_response_vector(const char* name, const view<T>& x,
                                                         std::int64_t rows) {
  if (x.extent[0] != rows || (!x.present() && rows > 0))
    refuse(message() << "hence: " << name << " has " << x.extent[0] << " entries, the batch has "
                     << rows << " rows");
  if (!std::is_const_v<T>) check_stride(name, x.stride[0], rows);
}

}  // namespace detail

/// out_i = the sum or the mean of row i's live log-probs; exact, rounded once. 0 for a row without
/// one. Runs in the caller's thread; the same bits on every executor of the arrays' scalar.
/// \tparam How `per_response::sum` or `mean`.
/// \param batch `ragged` or `padded` with its response mask; dead tokens are not read.
/// \param logp `[tokens]` or `[rows, width]`.
/// \param out `[rows]`, apart from logp.
/// \return `status::non_finite` if an entry is not finite.
template <class Executor, class How, class Batch>
status response_logps(const Executor&, How, const Batch& batch,
                      per_token<const typename Executor::scalar> logp,
                      view<typename Executor::scalar> out) {
  using S = typename Executor::scalar;
  const detail::layout b = batch;
  detail::check_layout(b);
  detail::check_shape("logp", logp, b);
  detail::check_response_vector("out", out, b.rows);
  detail::check_apart("out", out, "logp", logp, b);
  detail::check_apart_from_batch("out", detail::place_of(out, b), b);
  bool finite = true;
  for (std::int64_t i = 0; i < b.rows; ++i) {
    const auto sums = detail::sum_of_response(b.row(logp, i), b.masks_of(i), b.length(i));
    out[i] = detail::pooled_value<S>(How::averages, sums.total, sums.live);
    finite &= out[i] - out[i] == S(0);
  }
  return finite ? status::ok : status::non_finite;
}

/// The gradient of the same: d loss / d logp_t = g_i, or g_i over the row's live tokens; 0 at dead
/// ones. What `token_logprob` and `linear_logprob` take as the cotangent of their log-probs.
/// \param batch as for `response_logps`.
/// \param g `[rows]`, d loss / d out_i of `response_logps`.
/// \param out `[tokens]` or `[rows, width]`, apart from g.
template <class Executor, class How, class Batch>
void response_gradient(const Executor&, How, const Batch& batch,
                       view<const typename Executor::scalar> g,
                       per_token<typename Executor::scalar> out) {
  using S = typename Executor::scalar;
  const detail::layout b = batch;
  detail::check_layout(b);
  detail::check_response_vector("g", g, b.rows);
  detail::check_shape("out", out, b);
  detail::check_apart("out", out, "g", g, b);
  detail::check_apart_from_batch("out", detail::place_of(out, b), b);
  for (std::int64_t i = 0; i < b.rows; ++i) {
    const detail::row_masks mask = b.masks_of(i);
    const std::int64_t length = b.length(i);
    std::int64_t live = 0;
    for (std::int64_t t = 0; t < length; ++t) live += mask.live(t);
    const S share =
        How::averages && live > 1 ? detail::arithmetic<S>::div(g[i], static_cast<S>(live)) : g[i];
    S* to = b.row(out, i);
    for (std::int64_t t = 0; t < length; ++t) to[t] = mask.live(t) ? share : S(0);
  }
}

}  // namespace hence::inline v0
