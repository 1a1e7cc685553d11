/// \file
/// One row of a policy loss with packs, in blocks that stay in the first-level cache. The same
/// formula text and the same roundings as row_reference.hpp; sums are exact, so their order is
/// free.
#pragma once

#include <hence/core/sum_pack.hpp>
#include <hence/policy/inputs.hpp>
#include <hence/policy/row_reference.hpp>

namespace hence::inline v0::detail {

/// Contiguous live tokens, a whole number of packs. Null where the loss does not ask.
struct lane_inputs {
  const float *logp, *anchor, *ref, *advantage, *mismatch;
  const float *policy_live, *kl_live;  // 1 or 0; null: every token
  float score, scale;
  row_numbers<float> row;
};
/// Where a block's results go; the last four are scratch.
struct lane_outputs {
  float *gradient, *term, *pooled, *ratio, *kl;
};

/// The lanes whose flag is not 0, or every lane if the row has no roles.
template <class V, bool Roles> HENCE_FN auto lanes_of(const float* flags, int i) {
  if constexpr (Roles)
    return V::load(flags + i) != V(0.0f);
  else
    return every_token{};
}

/// n tokens, a multiple of the lane count: the one hot loop.
template <class Isa, bool Roles, bool Metrics, class Loss>
[[gnu::noinline]] void policy_lanes(const Loss& loss, const lane_inputs& from,
                                    const lane_outputs& to, int n) {
  using V = pack<float, Isa>;
  using part = facts<Loss>;
  const lane_inputs in = from;
  const lane_outputs out = to;
  const V scale = in.scale;
  for (int i = 0; i < n; i += V::lanes) {
    token_inputs<V> x{V::load(in.logp + i),
                      V::load(in.anchor + i),
                      V(0.0f),
                      V::load(in.advantage + i),
                      V(in.score),
                      V(in.row.log_ratio),
                      V(in.row.mismatch),
                      V(in.row.gate),
                      V(in.row.row_sum)};
    if constexpr (!part::ratio::pooled) x.log_ratio = x.logp - x.anchor;
    if constexpr (token_reads<Loss>::mismatch) x.mismatch = V::load(in.mismatch + i);
    if constexpr (part::with_kl) x.reference = V::load(in.ref + i);
    const auto y =
        term_of(loss, x, lanes_of<V, Roles>(in.policy_live, i), lanes_of<V, Roles>(in.kl_live, i));
    y.value.store(out.term + i);
    if constexpr (!part::ratio::shares_gradient) {
      (as_number<V>(sum_partial<V>(y.pooled, y.own)) * scale).store(out.gradient + i);
    } else {
      (as_number<V>(y.own) * scale).store(out.gradient + i);
      if constexpr (!std::same_as<std::remove_cvref_t<decltype(y.pooled)>, zero>)
        y.pooled.store(out.pooled + i);
    }
    if constexpr (Metrics) {
      y.ratio.store(out.ratio + i);
      y.kl.store(out.kl + i);
    }
  }
}

/// Scratch of one row; about 50 KiB, on the stack of the thread that runs the row.
struct block_scratch {
  static constexpr int size = block_tokens + 16;  // a pack beyond the end may be read and written
  alignas(64) float logp[size], anchor[size], ref[size], advantage[size], mismatch[size],
      policy_live[size], kl_live[size];
  alignas(64) float metric_live[size];
  alignas(64) float gradient[size], term[size], pooled[size], ratio[size], kl[size];
};

/// Live tokens of positions [begin, end), moved together; returns how many. Dead ones are not read.
template <class Isa, class Loss>
int gather_live(const row_data<float>& row, std::int64_t begin, std::int64_t end,
                block_scratch& s) {
  using reads = token_reads<Loss>;
  using V = num<float, Isa>;
  int n = 0;
  for (std::int64_t t = begin; t < end; ++t) {
    if (!row.mask.live(t)) continue;
    const bool policy = row.mask.policy_live(t), kl = row.mask.kl_live(t);
    s.logp[n] = reads::logp(policy, kl) ? row.logp[t] : 0.0f;
    s.anchor[n] = reads::anchor(policy, kl) ? row.anchor[t] : s.logp[n];
    s.advantage[n] = !policy                ? 0.0f
                     : row.token_advantages ? row.token_advantages[t]
                                            : row.advantage;
    if constexpr (reads::mismatch)
      s.mismatch[n] = reads::rollout(policy, kl) ? (V(row.old[t]) - V(row.rollout[t])).v : 0.0f;
    if constexpr (facts<Loss>::with_kl) s.ref[n] = kl ? row.ref[t] : s.logp[n];
    s.policy_live[n] = policy ? 1.0f : 0.0f;
    s.kl_live[n] = kl ? 1.0f : 0.0f;
    s.metric_live[n] = row.mask.metric_live(t) ? 1.0f : 0.0f;
    ++n;
  }
  return n;
}
/// Spreads a gathered block's gradient back, 0 at dead positions.
template <class Isa>
void scatter_gradient(const row_data<float>& row, std::int64_t begin, std::int64_t end,
                      const block_scratch& s) {
  int n = 0;
  for (std::int64_t t = begin; t < end; ++t)
    row.gradient[t] = row.mask.live(t) ? s.gradient[n++] : 0.0f;
}

/// n < lanes values and zeros; nothing beyond them is read.
template <class V> V load_first(const float* p, int n) {
  alignas(64) float lanes[static_cast<unsigned>(V::lanes)] = {};
  for (int i = 0; i < n; ++i) lanes[i] = p[i];
  return V::load(lanes);
}

/// The metrics of n tokens from a block's ratios and KL values.
template <class Isa, class Rule>
void note_block(policy_metrics<float>& m, const Rule& rule, block_scratch& s,
                const float* advantage, int n, bool roles) {
  int live = n, kl_live = n;
  if (roles) {  // keep the metric tokens that have the term
    live = kl_live = 0;
    for (int i = 0; i < n; ++i) {
      if (s.metric_live[i] == 0.0f) continue;
      if (s.kl_live[i] != 0.0f) s.kl[kl_live++] = s.kl[i];
      if (s.policy_live[i] != 0.0f) s.ratio[live] = s.ratio[i], s.advantage[live++] = advantage[i];
    }
    advantage = s.advantage;
  }
  m.tokens += live, m.kl_tokens += kl_live;
  for (int i = live; i < live + 16 && i < block_scratch::size; ++i) s.ratio[i] = 0.0f;
  for (int i = kl_live; i < kl_live + 16 && i < block_scratch::size; ++i) s.kl[i] = 0.0f;
  add_block<Isa>(m.ratios, s.ratio, live);
  add_block<Isa>(m.kls, s.kl, kl_live);
  using V = pack<float, Isa>;
  typename V::ints low{}, high{};
  V largest = m.max_ratio;
  for (int i = 0; i < live; i += V::lanes) {
    const V ratio = V::load(s.ratio + i);
    largest = select((ratio <= largest) | (largest != largest), largest, ratio);  // NaN wins
    if constexpr (has_bounds<Rule>) {
      const V a =
          i + V::lanes <= live ? V::load(advantage + i) : load_first<V>(advantage + i, live - i);
      low -= ((ratio < V(rule.low)) & (a < V(0.0f))).m;
      high -= ((ratio > V(rule.high)) & (a > V(0.0f))).m;
    }
  }
  for (int i = 0; i < V::lanes; ++i) m.note_ratio(largest.v[i]);
  m.clipped_low += sum_lanes(low), m.clipped_high += sum_lanes(high);
}

/// Calls f(begin, end) for the row's blocks.
template <class F> void for_each_block(std::int64_t length, F&& f) {
  for (std::int64_t t = 0; t < length; t += block_tokens)
    f(t, length - t < block_tokens ? length : t + block_tokens);
}

/// Runs a hot loop over n tokens: whole packs in place, the rest through a zero-filled copy.
template <class Isa, class Loss>
[[gnu::noinline]] void policy_block(void (*lanes_of_loss)(const Loss&, const lane_inputs&,
                                                          const lane_outputs&, int),
                                    const Loss& loss, lane_inputs in, lane_outputs out, int n) {
  constexpr int lanes = pack<float, Isa>::lanes;
  constexpr unsigned width = lanes;
  const int whole = n / lanes * lanes, rest = n - whole;
  lanes_of_loss(loss, in, out, whole);
  if (rest == 0) return;
  alignas(64) float tail[7][width] = {}, gradient[width];
  const float** arrays[7] = {&in.logp,     &in.anchor,      &in.ref,    &in.advantage,
                             &in.mismatch, &in.policy_live, &in.kl_live};
  for (int a = 0; a < 7; ++a) {
    if (*arrays[a] == nullptr) continue;
    for (int i = 0; i < rest; ++i) tail[a][i] = (*arrays[a])[whole + i];
    *arrays[a] = tail[a];
  }
  lanes_of_loss(loss, in,
                {gradient, out.term + whole, out.pooled + whole, out.ratio + whole, out.kl + whole},
                lanes);
  for (int i = 0; i < rest; ++i) out.gradient[whole + i] = gradient[i];
  for (int i = n; i < whole + lanes; ++i) out.term[i] = out.pooled[i] = 0.0f;
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
               left >= V::lanes ? V::load(advantage + i) : load_first<V>(advantage + i, left));
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
      const float* advantage = row.token_advantages ? row.token_advantages + begin : s.advantage;
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

/// The entropy bonus of a row, in the reference's place.
template <class Isa, class Loss, class Metrics>
void entropy_by_packs(const Loss& loss, const row_data<float>& row, float scale, exact_sum& row_sum,
                      Metrics& metrics, block_scratch& s) {
  using V = num<float, Isa>;
  const V factor = -loss.entropy.coef, slope = factor * V(scale);
  for_each_block(row.length, [&](std::int64_t begin, std::int64_t end) {
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
    if constexpr (!std::same_as<Metrics, no_metrics>)
      add_block<Isa>(metrics.entropies, s.kl, noted);
  });
}

/// Whether the surrogate depends on the ratio at all (CISPO's, detached, does not).
template <class Loss, class Isa>
constexpr bool pooled_partial_exists = [] {
  if constexpr (facts<Loss>::ratio::shares_gradient) {
    using V = pack<float, Isa>;
    using term_t = decltype(term_of(std::declval<const Loss&>(), std::declval<token_inputs<V>>(),
                                    every_token{}, every_token{}));
    return !std::same_as<decltype(term_t::pooled), zero>;
  } else {
    return false;
  }
}();

/// \param scale 1 / (denominator x row divisor), what the row's gradient is multiplied by.
template <class Isa, class Loss, class Metrics>
void row_by_packs(const Loss& loss, const row_data<float>& row, const counts& n, float scale,
                  exact_sum& row_sum, Metrics& metrics, block_scratch& s) {
  using part = facts<Loss>;
  using V = pack<float, Isa>;
  constexpr bool with_metrics = !std::same_as<Metrics, no_metrics>;
  constexpr bool has_pooled_partial = pooled_partial_exists<Loss, Isa>;
  const bool direct = row.mask.all_live() || (row.mask.one_role() && n.tokens == row.length);
  if (direct && !row.token_advantages)
    for (int i = 0; i < block_tokens && i < row.length; i += V::lanes)
      V(row.advantage).store(s.advantage + i);
  const auto numbers = row_numbers_of<float, num<float, Isa>>(loss, row, n.policy_tokens,
                                                              pack_sums<Isa>{row, direct, s})
                           .plain();
  exact_sum pooled_partials;
  for_each_block(row.length, [&](std::int64_t begin, std::int64_t end) {
    if (direct) {
      const int count = static_cast<int>(end - begin);
      const float* advantage = row.token_advantages ? row.token_advantages + begin : s.advantage;
      if constexpr (token_reads<Loss>::mismatch) {
        zip_lanes<V>(row.old + begin, row.rollout + begin, count,
                     [&](int i, V x, V y) { (x - y).store(s.mismatch + i); });
      }
      policy_block<Isa>(
          &policy_lanes<Isa, false, with_metrics, Loss>, loss,
          {row.logp + begin, row.anchor + begin, part::with_kl ? row.ref + begin : nullptr,
           advantage, token_reads<Loss>::mismatch ? s.mismatch : nullptr, nullptr, nullptr,
           row.score, scale, numbers},
          {row.gradient + begin, s.term, s.pooled, s.ratio, s.kl}, count);
      add_block<Isa>(row_sum, s.term, count);
      if constexpr (has_pooled_partial) add_block<Isa>(pooled_partials, s.pooled, count);
      if constexpr (with_metrics)
        note_block<Isa>(metrics, loss.surrogate, s, advantage, count, false);
    } else {
      const int count = gather_live<Isa, Loss>(row, begin, end, s);
      const lane_inputs in{s.logp,        s.anchor,  s.ref,     s.advantage, s.mismatch,
                           s.policy_live, s.kl_live, row.score, scale,       numbers};
      const lane_outputs out{s.gradient, s.term, s.pooled, s.ratio, s.kl};
      policy_block<Isa>(&policy_lanes<Isa, true, with_metrics, Loss>, loss, in, out, count);
      add_block<Isa>(row_sum, s.term, count);
      if constexpr (has_pooled_partial) add_block<Isa>(pooled_partials, s.pooled, count);
      if constexpr (with_metrics)
        note_block<Isa>(metrics, loss.surrogate, s, s.advantage, count, true);
      scatter_gradient<Isa>(row, begin, end, s);
    }
  });
  if constexpr (part::with_entropy) entropy_by_packs<Isa>(loss, row, scale, row_sum, metrics, s);
  if constexpr (has_pooled_partial)
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
