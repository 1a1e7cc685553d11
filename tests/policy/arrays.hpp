/// \file
/// A description laid out in memory for hence, in every layout, with signalling garbage wherever
/// nothing may be read; and the outcome of a loss on it, comparable to the bit.
#pragma once

#include <hence/policy/loss.hpp>

#include "description.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace fixture {

enum class form {
  ragged,     ///< dead positions stay, under a mask
  compacted,  ///< dead positions are removed
  right,      ///< padded at the right
  left,       ///< padded at the left
  holes,      ///< padded between the positions, with a row stride above the width
};
constexpr form every_form[] = {form::ragged, form::compacted, form::right, form::left, form::holes};

/// NaN (signalling and quiet), infinities, huge and subnormal numbers in turn.
template <class T> T garbage(std::size_t k) {
  if constexpr (std::is_same_v<T, float>) {
    constexpr std::uint32_t bits[] = {0x7fa00001, 0xffa55555, 0x7f800000, 0xff800000,
                                      0x7149f2ca, 0x00000001, 0x7fc00000};
    return std::bit_cast<float>(bits[k % 7]);
  } else {
    constexpr std::uint64_t bits[] = {0x7ff4000000000001, 0xfff4a5a5a5a5a5a5, 0x7ff0000000000000,
                                      0xfff0000000000000, 0x7e37e43c8800759c, 0x0000000000000001,
                                      0x7ff8000000000000};
    return std::bit_cast<double>(bits[k % 7]);
  }
}

template <class T> struct arrays {
  bool is_padded = false, masked = false, roles = false, per_token = false;
  std::int64_t rows = 0, width = 0, stride = 0;
  std::vector<std::int64_t> cu;
  std::vector<T> logp, old, ref, token_advantages, advantages, scores, gradient;
  std::vector<T> rollout, entropy, entropy_gradient;
  std::vector<std::uint8_t> response, policy, kl, metric;
  std::vector<std::vector<std::int64_t>> where;  ///< of each position; -1: removed
  bool with_kl = true, reads_anchor_for_kl = false;

  arrays(const description& d, form f, bool reads_ref = true, std::size_t seed = 0,
         bool kl_reads_anchor = false)
      : is_padded(f != form::ragged && f != form::compacted),
        masked(f != form::compacted),
        roles(d.roles),
        per_token(d.per_token),
        rows(static_cast<std::int64_t>(d.rows.size())),
        with_kl(reads_ref),
        reads_anchor_for_kl(kl_reads_anchor) {
    place(d, f);
    const auto size = static_cast<std::size_t>(is_padded ? rows * stride : cu.back());
    for (auto* a :
         {&logp, &old, &ref, &token_advantages, &gradient, &rollout, &entropy, &entropy_gradient}) {
      a->resize(size);
      for (auto& x : *a) x = garbage<T>(seed++);
    }
    for (auto* m : {&response, &policy, &kl, &metric}) m->assign(size, 0);
    for (std::size_t i = 0; i < d.rows.size(); ++i) {
      const row& r = d.rows[i];
      bool any = false, any_policy = false;
      for (std::size_t t = 0; t < r.at.size(); ++t) {
        if (where[i][t] < 0) continue;
        const auto k = static_cast<std::size_t>(where[i][t]);
        const position& p = r.at[t];
        response[k] = p.live ? 255 : 0;
        policy[k] = p.policy;  // also where the response is dead: it counts for nothing there
        kl[k] = p.kl;
        metric[k] = p.metric;
        if (!p.live) continue;
        any = true;
        any_policy |= p.policy;
        if (p.policy || (p.kl && with_kl)) logp[k] = static_cast<T>(p.logp);
        if (p.policy) old[k] = static_cast<T>(p.old);
        // a KL term with the ratio or the correction in it reads them too
        if (!p.policy && p.kl && with_kl && reads_anchor_for_kl)
          old[k] = static_cast<T>(p.old), rollout[k] = static_cast<T>(p.rollout);
        if (p.policy) rollout[k] = static_cast<T>(p.rollout);
        if (p.policy) entropy[k] = static_cast<T>(p.entropy);
        if (p.policy) token_advantages[k] = static_cast<T>(p.advantage);
        if (p.kl && with_kl) ref[k] = static_cast<T>(p.ref);
      }
      advantages.push_back(any_policy ? static_cast<T>(r.advantage) : garbage<T>(seed++));
      scores.push_back(any ? static_cast<T>(r.score) : garbage<T>(seed++));
    }
  }

  hence::ragged ragged() const {
    hence::ragged b{cu, {}};
    if (masked) b.mask.response = response;
    if (roles) b.mask.policy = policy, b.mask.kl = kl, b.mask.metric = metric;
    return b;
  }
  hence::padded padded() const {
    const auto all = [&](const std::vector<std::uint8_t>& m) {
      return hence::view<const std::uint8_t, 2>(m.data(), rows, width, stride);
    };
    hence::padded b{rows, width, {all(response), {}, {}, {}}};
    if (roles) b.mask.policy = all(policy), b.mask.kl = all(kl), b.mask.metric = all(metric);
    return b;
  }
  hence::per_token<const T> tokens(const std::vector<T>& a) const {
    if (is_padded) return hence::view<const T, 2>(a.data(), rows, width, stride);
    return hence::view<const T>(a);
  }
  hence::per_token<T> output() {
    if (is_padded) return hence::view<T, 2>(gradient.data(), rows, width, stride);
    return hence::view<T>(gradient);
  }
  /// Both gradients.
  hence::policy_gradients<T> outputs() {
    if (is_padded)
      return {output(), hence::view<T, 2>(entropy_gradient.data(), rows, width, stride)};
    return {output(), hence::view<T>(entropy_gradient)};
  }
  hence::policy_inputs<T> inputs() const {
    hence::policy_inputs<T> in;
    in.logp = {tokens(logp), {1.0}};
    in.old = {tokens(old), {1.0}};
    if (with_kl) in.ref = {tokens(ref), {1.0}};
    in.rollout = {tokens(rollout), {1.0}};
    in.entropy = tokens(entropy);
    if (per_token)
      in.token_advantages = tokens(token_advantages);
    else
      in.advantages = advantages;
    in.scores = scores;
    return in;
  }
  /// Calls f with the batch in its layout.
  template <class F> auto with_batch(F&& f) const { return is_padded ? f(padded()) : f(ragged()); }

 private:
  void place(const description& d, form f) {
    cu.push_back(0);
    for (const row& r : d.rows) {
      std::int64_t n = 0;
      for (const position& p : r.at) n += f != form::compacted || p.live;
      cu.push_back(cu.back() + n);
      width = std::max(width, f == form::holes ? 2 * n + 1 : n + 3);
    }
    stride = f == form::holes ? width + 5 : width;
    for (std::size_t i = 0; i < d.rows.size(); ++i) {
      const auto n = static_cast<std::int64_t>(d.rows[i].at.size());
      std::vector<std::int64_t> at;
      std::int64_t next = cu[i];
      for (std::int64_t t = 0; t < n; ++t) {
        const std::int64_t base = static_cast<std::int64_t>(i) * stride;
        switch (f) {
          case form::ragged:
            at.push_back(next++);
            break;
          case form::compacted:
            at.push_back(d.rows[i].at[static_cast<std::size_t>(t)].live ? next++ : -1);
            break;
          case form::right:
            at.push_back(base + t);
            break;
          case form::left:
            at.push_back(base + width - n + t);
            break;
          case form::holes:
            at.push_back(base + t + (t * 7 / 11) + 1);
            break;
        }
      }
      where.push_back(at);
    }
  }
};

/// What a call gave, free of the layout.
template <class T> struct outcome {
  double loss = 0;
  hence::status conditions{};
  hence::counts counts;
  std::vector<std::vector<T>> gradient;
  std::int64_t tokens = 0, kl_tokens = 0, low = 0, high = 0;
  double ratio_mean = 0, kl_mean = 0, entropy_mean = 0, ratio_max = 0;
  bool dead_are_zero = true;  ///< every dead position got +0, and no gap was written
};

template <class T, class Result> outcome<T> outcome_of(const Result& r) {
  outcome<T> o;
  o.loss = r.loss();
  o.conditions = r.conditions();
  o.counts = r.counts();
  if constexpr (requires { r.metrics().tokens; }) {
    o.tokens = r.metrics().tokens;
    o.kl_tokens = r.metrics().kl_tokens;
    o.low = r.metrics().clipped_low;
    o.high = r.metrics().clipped_high;
    o.ratio_mean = r.metrics().ratio_mean();
    o.kl_mean = r.metrics().kl_mean();
    o.entropy_mean = r.metrics().entropy_mean();
    o.ratio_max = static_cast<double>(r.metrics().max_ratio);
  }
  return o;
}

template <class T> bool same_number(T a, T b) {
  return std::memcmp(&a, &b, sizeof(T)) == 0 || (a != a && b != b);
}

/// Appends the gradient in description order. \param before the array as it was, whose gaps must
/// remain.
template <class T>
void take_gradient(outcome<T>& o, const description& d, const arrays<T>& a,
                   const std::vector<T>& before) {
  std::vector<std::uint8_t> seen(a.gradient.size(), 0);
  for (std::size_t i = 0; i < d.rows.size(); ++i) {
    o.gradient.emplace_back(d.rows[i].at.size(), T(0));
    for (std::size_t t = 0; t < d.rows[i].at.size(); ++t) {
      if (a.where[i][t] < 0) continue;
      const auto k = static_cast<std::size_t>(a.where[i][t]);
      if (d.rows[i].at[t].live) seen[k] = 1, o.gradient.back()[t] = a.gradient[k];
    }
  }
  const T zero = 0;
  for (std::size_t k = 0; k < seen.size(); ++k) {
    if (seen[k]) continue;
    const bool gap = a.is_padded && static_cast<std::int64_t>(k) % a.stride >= a.width;
    o.dead_are_zero &= std::memcmp(gap ? &before[k] : &zero, &a.gradient[k], sizeof(T)) == 0;
  }
}

template <class Loss>
constexpr bool reads_ref =
    !std::is_same_v<std::remove_cvref_t<decltype(std::declval<Loss>().kl)>, hence::kl::none>;

/// Runs a loss on a description in one form, metrics included.
template <class Executor, class Loss, class D>
auto run(const Executor& executor, const Loss& loss, const description& d, form f, const D& by,
         std::size_t seed = 0) {
  using T = typename Executor::scalar;
  arrays<T> a(d, f, reads_ref<Loss>, seed);
  const std::vector<T> before = a.gradient;
  return a.with_batch([&](const auto& batch) {
    const auto result = hence::loss_and_gradient(executor, loss, batch, a.inputs(), by, a.output(),
                                                 hence::with_metrics);
    auto o = outcome_of<T>(result);
    take_gradient(o, d, a, before);
    return o;
  });
}
template <class Executor, class Loss>
auto run(const Executor& executor, const Loss& loss, const description& d, form f = form::ragged) {
  return run(executor, loss, d, f, hence::over_this_call);
}

/// Loss, gradient, metrics and status, bit by bit; a NaN equals a NaN.
template <class T> bool same_bits(const outcome<T>& a, const outcome<T>& b) {
  bool same = same_number(a.loss, b.loss) && a.conditions == b.conditions && a.tokens == b.tokens &&
              a.kl_tokens == b.kl_tokens && a.low == b.low && a.high == b.high &&
              same_number(a.ratio_mean, b.ratio_mean) && same_number(a.kl_mean, b.kl_mean) &&
              same_number(a.entropy_mean, b.entropy_mean) &&
              same_number(a.ratio_max, b.ratio_max) && a.counts.tokens == b.counts.tokens &&
              a.counts.rows == b.counts.rows && a.counts.policy_tokens == b.counts.policy_tokens &&
              a.counts.kl_tokens == b.counts.kl_tokens && a.gradient.size() == b.gradient.size() &&
              a.dead_are_zero && b.dead_are_zero;
  for (std::size_t i = 0; same && i < a.gradient.size(); ++i) {
    same = a.gradient[i].size() == b.gradient[i].size();
    for (std::size_t t = 0; same && t < a.gradient[i].size(); ++t)
      same = same_number(a.gradient[i][t], b.gradient[i][t]);
  }
  return same;
}

/// A pool of `threads` that live as long as the loop; from the last index down if `reversed`.
struct threads_of {
  unsigned threads = 1;
  bool reversed = false;
  template <class F> void parallel_for(std::int64_t n, F&& f) {
    std::atomic<std::int64_t> next{0};
    const auto work = [&] {
      for (std::int64_t i = next++; i < n; i = next++) f(reversed ? n - 1 - i : i);
    };
    std::vector<std::thread> others;
    for (unsigned k = 1; k < threads; ++k) others.emplace_back(work);
    work();
    for (auto& t : others) t.join();
  }
};

// Rules as a user writes them: of a ratio and an advantage, and of a token.
inline constexpr auto pair_rule = [](const auto& ratio, const auto& advantage) {
  return (ratio - 1) * (ratio - 1) * 0.5f - ratio * advantage;
};
inline constexpr auto token_rule = [](const auto& t) {
  return t.score * t.log_ratio * t.log_ratio - t.advantage * t.log_ratio +
         (t.logp - t.anchor) * t.logp * 0.125f;
};

}  // namespace fixture
