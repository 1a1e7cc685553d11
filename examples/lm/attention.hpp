/// \file
/// Attention of one query over its keys, and its gradient; the batch and the generator call the
/// same function, so that a token's log-prob has the same bits when it is sampled and when it is
/// trained.
///
/// Keys lie twice, by position and transposed: scores are sums over the head's width with sixteen
/// positions side by side, outputs sums over positions with sixteen columns side by side.
#pragma once

#include "lanes.hpp"

#include <limits>

namespace lm {

/// Keys and values of one sequence and one kv head.
template <class S> struct key_values {
  std::int64_t room = 0;  ///< positions, a multiple of 16
  std::int64_t head = 0;
  std::int64_t columns = 0;    ///< head, rounded up to a multiple of 16
  S* keys_across = nullptr;    ///< `[head, room]`
  S* values = nullptr;         ///< `[room, columns]`
  S* keys = nullptr;           ///< `[room, columns]`, for the gradient alone
  S* values_across = nullptr;  ///< `[head, room]`, for the gradient alone

  static std::int64_t rounded(std::int64_t n) { return (n + 15) / 16 * 16; }
  /// Elements that `attach` needs.
  static std::int64_t size(std::int64_t positions, std::int64_t head, bool with_gradient) {
    const std::int64_t once = rounded(positions) * (head + rounded(head));
    return with_gradient ? 2 * once : once;
  }
  void attach(S* memory, std::int64_t positions, std::int64_t width, bool with_gradient) {
    room = rounded(positions), head = width, columns = rounded(width);
    keys_across = memory, values = keys_across + head * room;
    keys = with_gradient ? values + room * columns : nullptr;
    values_across = with_gradient ? keys + room * columns : nullptr;
  }
  /// Puts a position's key and value.
  void put(std::int64_t at, const S* k, const S* v) {
    for (std::int64_t d = 0; d < head; ++d) keys_across[d * room + at] = k[d];
    S* row = values + at * columns;
    for (std::int64_t d = 0; d < columns; ++d) row[d] = d < head ? v[d] : S(0);
    if (keys == nullptr) return;
    for (std::int64_t d = 0; d < head; ++d) values_across[d * room + at] = v[d];
    row = keys + at * columns;
    for (std::int64_t d = 0; d < columns; ++d) row[d] = d < head ? k[d] : S(0);
  }
};

/// p = softmax(scale q k_j) over positions j < n, 0 from there to the next multiple of 16.
template <class S>
void attention_weights(const key_values<S>& kv, const S* q, S scale, std::int64_t n, S* p) {
  const lanes<S> factor(scale);
  lanes<S> top(-std::numeric_limits<S>::infinity());
  for (std::int64_t j = 0; j < n; j += 16) {
    lanes<S> score(S(0));
    for (std::int64_t d = 0; d < kv.head; ++d)
      score = fma(lanes<S>(q[d]), lanes<S>::load(kv.keys_across + d * kv.room + j), score);
    score = score * factor;
    if (j + 16 > n) {  // positions that are not there
      score.store(p + j);
      for (std::int64_t i = n; i < j + 16; ++i) p[i] = -std::numeric_limits<S>::infinity();
      score = lanes<S>::load(p + j);
    }
    score.store(p + j);
    top = greater(score, top);
  }
  const lanes<S> largest(top.largest());
  lanes<S> sum(S(0));
  for (std::int64_t j = 0; j < n; j += 16) {
    const auto e = exp(lanes<S>::load(p + j) - largest);
    e.store(p + j);
    sum = sum + e;
  }
  const lanes<S> inverse((hence::num<S>(S(1)) / hence::num<S>(sum.sum())).v);
  for (std::int64_t j = 0; j < n; j += 16) (lanes<S>::load(p + j) * inverse).store(p + j);
}

/// out = sum_j p_j v_j. \param p room for n rounded up to 16. \param out `[head]`.
template <class S>
void attend(const key_values<S>& kv, const S* q, S scale, std::int64_t n, S* p, S* out) {
  attention_weights(kv, q, scale, n, p);
  for_lanes(kv.head, [&](std::int64_t d, std::int64_t count) {
    lanes<S> sum(S(0));
    for (std::int64_t j = 0; j < n; ++j)
      sum = fma(lanes<S>(p[j]), lanes<S>::load(kv.values + j * kv.columns + d), sum);
    sum.store(out + d, count);
  });
}

/// The gradients of out . d_out.
/// \param p, dp room for n rounded up to 16 each.
/// \param dq `[head]`, written. \param d_keys, d_values `[room, columns]`, added to.
template <class S>
void attend_backward(const key_values<S>& kv, const S* q, const S* d_out, S scale, std::int64_t n,
                     S* p, S* dp, S* dq, S* d_keys, S* d_values) {
  attention_weights(kv, q, scale, n, p);
  lanes<S> sum(S(0));
  for (std::int64_t j = 0; j < n; j += 16) {
    lanes<S> d(S(0));
    for (std::int64_t c = 0; c < kv.head; ++c)
      d = fma(lanes<S>(d_out[c]), lanes<S>::load(kv.values_across + c * kv.room + j), d);
    if (j + 16 > n) {  // what lies beyond may be anything
      d.store(dp + j);
      for (std::int64_t i = n; i < j + 16; ++i) dp[i] = S(0);
      d = lanes<S>::load(dp + j);
    }
    d.store(dp + j);
    sum = fma(lanes<S>::load(p + j), d, sum);
  }
  const lanes<S> mean(sum.sum()), factor(scale);
  for (std::int64_t j = 0; j < n; j += 16)
    (lanes<S>::load(p + j) * (lanes<S>::load(dp + j) - mean) * factor).store(dp + j);
  for_lanes(kv.head, [&](std::int64_t d, std::int64_t count) {
    lanes<S> own(S(0));
    const auto query = lanes<S>::load(q + d, count), up = lanes<S>::load(d_out + d, count);
    for (std::int64_t j = 0; j < n; ++j) {
      const std::int64_t at = j * kv.columns + d;
      own = fma(lanes<S>(dp[j]), lanes<S>::load(kv.keys + at), own);
      fma(lanes<S>(dp[j]), query, lanes<S>::load(d_keys + at)).store(d_keys + at);
      fma(lanes<S>(p[j]), up, lanes<S>::load(d_values + at)).store(d_values + at);
    }
    own.store(dq + d, count);
  });
}

}  // namespace lm
