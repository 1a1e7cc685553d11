/// \file
/// The hot loop of a policy loss on the CPU: terms and gradients of contiguous live tokens, a pack
/// at a time, with the exact sum of the terms in registers.
#pragma once

#include <hence/core/sum_pack.hpp>
#include <hence/policy/row_reference.hpp>

namespace hence::inline v0::detail {

/// Contiguous live tokens, a whole number of packs. Null where the loss does not ask.
struct lane_inputs {
  const float *logp, *anchor, *ref, *advantage, *mismatch;
  const float *policy_live, *kl_live;  // 1 or 0; null: every token
  int advantage_step;                  // 1; 0: one pack of the row's advantage
  float score, scale;
  row_numbers<float> row;
};
/// Where a block's results go; all but the gradient are scratch.
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

/// Asks for the cache line that the loop needs some 30 packs later (the processor itself stops at
/// the end of a page). Nothing is read, and the address may lie beyond the array.
template <bool Write> HENCE_FN void prefetch(const float* p) {
  const auto address = reinterpret_cast<std::uintptr_t>(p) + 2048;
  __builtin_prefetch(reinterpret_cast<const void*>(address), Write);
}

/// n tokens, a multiple of the lane count.
/// \param sum, pooled_sum take the terms and their partials with respect to the pooled log-ratio.
/// \param guess of the terms' largest exponent; it shows in no result.
template <class Isa, bool Roles, bool Metrics, class Loss>
[[gnu::noinline, gnu::flatten]] void policy_lanes(const Loss& given, const lane_inputs& from,
                                                  const lane_outputs& to, int n,
                                                  basic_exact_sum<Isa>& sum,
                                                  basic_exact_sum<Isa>& pooled_sum, int& guess) {
  using V = pack<float, Isa>;
  using part = facts<Loss>;
  constexpr bool shares = pooled_partial_exists<Loss, Isa>;
  const Loss loss = given;  // copies, which no store can change, so that they stay in registers
  const lane_inputs in = from;
  const lane_outputs out = to;
  const V scale = in.scale;
  guessed_sum<Isa> terms(guess), partials(guess);
  for (int i = 0; i < n; i += V::lanes) {
    if constexpr (!Roles) {
      prefetch<false>(in.logp + i), prefetch<false>(in.anchor + i);
      if constexpr (part::with_kl) prefetch<false>(in.ref + i);
      prefetch<true>(out.gradient + i);
    }
    token_inputs<V> x{V::load(in.logp + i),
                      V::load(in.anchor + i),
                      V(0.0f),
                      V::load(in.advantage + i * in.advantage_step),
                      V(in.score),
                      V(in.row.log_ratio),
                      V(in.row.mismatch),
                      V(in.row.gate),
                      V(in.row.row_sum),
                      V(in.row.veto)};
    if constexpr (!part::ratio::pooled) x.log_ratio = x.logp - x.anchor;
    if constexpr (token_reads<Loss>::mismatch) x.mismatch = V::load(in.mismatch + i);
    if constexpr (part::with_kl) x.reference = V::load(in.ref + i);
    const auto y =
        term_of(loss, x, lanes_of<V, Roles>(in.policy_live, i), lanes_of<V, Roles>(in.kl_live, i));
    terms.add(y.value);
    y.value.store(out.term + i);
    if constexpr (!part::ratio::shares_gradient) {
      (as_number<V>(sum_partial<V>(y.pooled, y.own)) * scale).store(out.gradient + i);
    } else {
      (as_number<V>(y.own) * scale).store(out.gradient + i);
      if constexpr (shares) {
        partials.add(y.pooled);
        y.pooled.store(out.pooled + i);
      }
    }
    if constexpr (Metrics) {
      y.ratio.store(out.ratio + i);
      y.kl.store(out.kl + i);
    }
  }
  if constexpr (shares) {
    int another = guess;
    partials.add_to(pooled_sum, out.pooled, n, another);
  }
  terms.add_to(sum, out.term, n, guess);
}

}  // namespace hence::inline v0::detail
