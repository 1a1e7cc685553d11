/// \file
/// One row of a policy loss with packs, in blocks that stay in the first-level cache. The same
/// formula text and the same roundings as row_reference.hpp; sums are exact, so their order is
/// free.
#pragma once

#include <hence/policy/row_metrics.hpp>

namespace hence::inline v0::detail {

/// n < lanes values and zeros; nothing beyond them is read.
template <class V> V load_first(const float* p, int n) {
  alignas(64) float lanes[static_cast<unsigned>(V::lanes)] = {};
  for (int i = 0; i < n; ++i) lanes[i] = p[i];
  return V::load(lanes);
}

/// Calls f(begin, end) for the row's blocks.
template <class F> void for_each_block(std::int64_t length, F&& f) {
  for (std::int64_t t = 0; t < length; t += block_tokens)
    f(t, length - t < block_tokens ? length : t + block_tokens);
}

/// Calls f with packs of a[i] and b[i] and the place to store, for n tokens; the tail is filled
/// with zeros.
template <class V, class F> void zip_lanes(const float* a, const float* b, int n, F&& f) {
  int i = 0;
  for (; i + V::lanes <= n; i += V::lanes) f(i, V::load(a + i), V::load(b + i));
  if (i < n) f(i, load_first<V>(a + i, n - i), load_first<V>(b + i, n - i));
}

/// Sums over the row's policy tokens, with packs; in the reference's place.
template <class Isa> struct pack_sums {
  const row_data<float>& row;
  const bool direct;
  block_scratch& s;

  template <class F> double with_advantage(const float* x, const float* y, F&& f) const {
    using V = pack<float, Isa>;
    return over_blocks(x, y, [&](int i, V a, V b, const float* advantage, int left) {
      return f(a, b,
               advantage == nullptr ? V(row.advantage)
               : left >= V::lanes   ? V::load(advantage + i)
                                    : load_first<V>(advantage + i, left));
    });
  }
  template <class F> double operator()(const float* x, const float* y, F&& f) const {
    using V = pack<float, Isa>;
    return over_blocks(x, y, [&](int, V a, V b, const float*, int) { return f(a, b); });
  }

 private:
  template <class F> double over_blocks(const float* x, const float* y, F&& f) const {
    using V = pack<float, Isa>;
    exact_sum total;
    for_each_block(row.length, [&](std::int64_t begin, std::int64_t end) {
      int n = static_cast<int>(end - begin);
      const float *a = x + begin, *b = y + begin;
      const float* advantage = row.token_advantages ? row.token_advantages + begin : nullptr;
      if (!direct) {
        n = 0;
        for (std::int64_t t = begin; t < end; ++t)
          if (row.mask.live(t) && row.mask.policy_live(t)) {
            s.advantage[n] = row.token_advantages ? row.token_advantages[t] : row.advantage;
            s.logp[n] = x[t], s.anchor[n++] = y[t];
          }
        a = s.logp, b = s.anchor, advantage = s.advantage;
      }
      zip_lanes<V>(a, b, n,
                   [&](int i, V p, V q) { f(i, p, q, advantage, n - i).store(s.term + i); });
      for (int i = n; i % V::lanes != 0; ++i) s.term[i] = 0.0f;
      add_block<Isa>(total, s.term, n);
    });
    return total.value();
  }
};

/// Every policy token moves the pooled log-ratio, and with it every term of the row: adds its share
/// x scale to their gradients.
template <class Isa, class Loss>
void add_pooled_gradient(const Loss& loss, const row_data<float>& row, bool direct, float share,
                         float scale) {
  using V = pack<float, Isa>;
  using N = num<float, Isa>;
  constexpr bool limits = limits_before_pooling<typename facts<Loss>::surrogate, V>;
  std::int64_t t = 0;
  if (direct)
    for (; t + V::lanes <= row.length; t += V::lanes) {
      V part = share;
      if constexpr (limits)
        part = share_of_token(
            loss, part, V::load(row.logp + t), V::load(row.anchor + t),
            row.token_advantages ? V::load(row.token_advantages + t) : V(row.advantage));
      fma(part, V(scale), V::load(row.gradient + t)).store(row.gradient + t);
    }
  for (; t < row.length; ++t)
    if (row.mask.live(t) && row.mask.policy_live(t)) {
      const N advantage = row.token_advantages ? row.token_advantages[t] : row.advantage;
      const N part = share_of_token(loss, N(share), N(row.logp[t]), N(row.anchor[t]), advantage);
      row.gradient[t] = fma(part, N(scale), N(row.gradient[t])).v;
    }
}

/// The entropy bonus of n live tokens side by side, a multiple of the lane count.
/// \param term scratch for the terms.
template <class Isa>
[[gnu::noinline]] void entropy_lanes(const float* entropy, float* gradient, float* term, int n,
                                     float factor, float slope, basic_exact_sum<Isa>& sum,
                                     int& guess) {
  using V = pack<float, Isa>;
  guessed_sum<Isa> terms(guess);
  for (int i = 0; i < n; i += V::lanes) {
    prefetch<false>(entropy + i), prefetch<true>(gradient + i);
    const V x = V(factor) * V::load(entropy + i);
    terms.add(x);
    x.store(term + i);
    V(slope).store(gradient + i);
  }
  terms.add_to(sum, term, n, guess);
}

/// The entropy bonus of a row, in the reference's place.
/// \param direct whether every token of the row is live.
template <class Isa, class Loss, class Metrics>
void entropy_by_packs(const Loss& loss, const row_data<float>& row, bool direct, float scale,
                      exact_sum& row_sum, Metrics& metrics, block_scratch& s) {
  using V = num<float, Isa>;
  constexpr bool with_metrics = !std::same_as<Metrics, no_metrics>;
  const V factor = -loss.entropy.coef, slope = factor * V(scale);
  for_each_block(row.length, [&](std::int64_t begin, std::int64_t end) {
    constexpr int lanes = pack<float, Isa>::lanes;
    const int whole = direct ? static_cast<int>(end - begin) / lanes * lanes : 0;
    if (whole > 0) {
      entropy_lanes<Isa>(row.entropy + begin, row.entropy_gradient + begin, s.term, whole, factor.v,
                         slope.v, row_sum, s.entropy_guess);
      if constexpr (with_metrics) add_block<Isa>(metrics.entropies, row.entropy + begin, whole);
      begin += whole;
    }
    int n = 0, noted = 0;
    for (std::int64_t t = begin; t < end; ++t) {
      const bool live = row.mask.live(t) && row.mask.policy_live(t);
      row.entropy_gradient[t] = live ? slope.v : 0.0f;
      if (!live) continue;
      s.term[n++] = (factor * V(row.entropy[t])).v;
      if (row.mask.metric_live(t)) s.kl[noted++] = row.entropy[t];
    }
    for (int i = n; i < n + 16; ++i) s.term[i] = 0.0f;
    for (int i = noted; i < noted + 16; ++i) s.kl[i] = 0.0f;
    add_block<Isa>(row_sum, s.term, n);
    if constexpr (with_metrics) add_block<Isa>(metrics.entropies, s.kl, noted);
  });
}

/// \param scale 1 / (denominator x row divisor), what the row's gradient is multiplied by.
template <class Isa, class Loss, class Metrics>
void row_by_packs(const Loss& loss, const row_data<float>& whole_row, const counts& n, float scale,
                  exact_sum& row_sum, Metrics& metrics, block_scratch& s) {
  using part = facts<Loss>;
  using V = pack<float, Isa>;
  constexpr bool with_metrics = !std::same_as<Metrics, no_metrics>;
  const row_data<float> row = trimmed<Isa>(whole_row, n.tokens);
  const bool direct = row.mask.all_live();
  const auto numbers = row_numbers_of<float, num<float, Isa>>(loss, row, n.policy_tokens,
                                                              pack_sums<Isa>{row, direct, s})
                           .plain();
  exact_sum pooled_partials;
  V(row.advantage).store(s.row_advantage);
  const int step = row.token_advantages ? 1 : 0;
  for_each_block(row.length, [&](std::int64_t begin, std::int64_t end) {
    const int whole = direct ? static_cast<int>(end - begin) / V::lanes * V::lanes : 0;
    if (whole > 0) {  // in place
      const float* advantage = step == 0 ? s.row_advantage : row.token_advantages + begin;
      if constexpr (token_reads<Loss>::mismatch)
        for (int i = 0; i < whole; i += V::lanes)
          (V::load(row.old + begin + i) - V::load(row.rollout + begin + i)).store(s.mismatch + i);
      policy_lanes<Isa, false, with_metrics>(
          loss,
          {row.logp + begin, row.anchor + begin, part::with_kl ? row.ref + begin : nullptr,
           advantage, s.mismatch, nullptr, nullptr, step, row.score, scale, numbers},
          {row.gradient + begin, s.term, s.pooled, s.ratio, s.kl}, whole, row_sum, pooled_partials,
          s.guess);
      if constexpr (with_metrics) {
        note_ratios<Isa>(metrics, loss.surrogate, s.ratio, advantage, step, whole);
        note_kls<Isa>(metrics, s.kl, whole);
      }
      begin += whole;
    }
    if (begin == end) return;
    const int count = gather_live<Isa, Loss>(row, begin, end, s);
    policy_lanes<Isa, true, with_metrics>(loss,
                                          {s.logp, s.anchor, s.ref, s.advantage, s.mismatch,
                                           s.policy_live, s.kl_live, 1, row.score, scale, numbers},
                                          {s.gradient, s.term, s.pooled, s.ratio, s.kl},
                                          (count + V::lanes - 1) / V::lanes * V::lanes, row_sum,
                                          pooled_partials, s.guess);
    if constexpr (with_metrics) {
      const metric_tokens tokens = select_metric_tokens<Isa>(s, count);
      note_ratios<Isa>(metrics, loss.surrogate, s.ratio, s.advantage, 1, tokens.policy);
      note_kls<Isa>(metrics, s.kl, tokens.kl);
    }
    scatter_gradient<Isa>(row, begin, end, s);
  });
  if constexpr (part::with_entropy)
    entropy_by_packs<Isa>(loss, row, direct, scale, row_sum, metrics, s);
  if constexpr (pooled_partial_exists<Loss, Isa>)
    add_pooled_gradient<Isa>(
        loss, row, direct,
        pooled_value<float>(loss.ratio.averages, pooled_partials.value(), n.policy_tokens), scale);
}

#if !defined(__CUDACC__)  // where hence::cpu is absent, see execute.hpp
template <class Pool, class Isa> struct row_engine<cpu<Pool, Isa>> {
  using scratch = block_scratch;
  template <class Loss, class Metrics>
  static void run(const Loss& loss, const row_data<float>& row, const counts& n, float scale,
                  exact_sum& row_sum, Metrics& metrics, scratch& s) {
    row_by_packs<Isa>(loss, row, n, scale, row_sum, metrics, s);
  }
};
#endif

}  // namespace hence::inline v0::detail
