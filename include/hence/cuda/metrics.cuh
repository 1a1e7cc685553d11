/// \file
/// The metrics of a policy loss in a kernel: exact sums and integers, so that the order leaves no
/// trace.
#pragma once

#include <hence/cuda/row.cuh>

namespace hence::inline v0::cuda::detail {

/// The metrics of one warp: nothing, or `policy_metrics`.
template <class Metrics> struct warp_metrics {
  template <class Rule, class Token>
  __device__ void note(const Rule&, const Token&, int, float, bool, bool) {}
  __device__ void note_entropy(const float (&)[quad_size], unsigned) {}
  __device__ void end_step() {}
  template <bool Entropy, class Shared> __device__ void add_to(Metrics&, Shared&) {}
};
template <> struct warp_metrics<policy_metrics<float>> {
  warp_sum ratios, kls, entropies;
  float ratio[quad_size], kl[quad_size];
  int tokens = 0, kl_tokens = 0, low = 0, high = 0, max_ratio = 0;

  /// The quad's token k; `live` and `kl_live`: it is a metric token with that term.
  template <class Rule, class Token>
  __device__ __forceinline__ void note(const Rule& rule, const Token& t, int k, float advantage,
                                       bool live, bool kl_live) {
    ratio[k] = live ? t.ratio.v : 0.0f, kl[k] = kl_live ? t.kl.v : 0.0f;
    tokens += live, kl_tokens += kl_live;
    low += live && hence::detail::is_clipped_low(rule, ratio[k], advantage);
    high += live && hence::detail::is_clipped_high(rule, ratio[k], advantage);
    max_ratio =
        ::max(max_ratio,
              hence::detail::to_bits(abs(num<float>(ratio[k]))));  // as integers NaN is largest
  }
  __device__ __forceinline__ void note_entropy(const float (&h)[quad_size], unsigned live) {
    float x[quad_size];
#pragma unroll
    for (int k = 0; k < quad_size; ++k) x[k] = live >> k & 1 ? h[k] : 0.0f;
    entropies.add(x);
  }
  __device__ __forceinline__ void end_step() { ratios.add(ratio), kls.add(kl); }

  /// \tparam Entropy whether entropies were noted.
  template <bool Entropy, class Shared>
  __device__ __forceinline__ void add_to(policy_metrics<float>& total, Shared& shared) {
    const auto add = [&](exact_sum& to, const warp_sum& sum) {
      __syncthreads();  // the last sum has been read
      shared.add_to(to, sum);
    };
    add(total.ratios, ratios), add(total.kls, kls);
    if constexpr (Entropy) add(total.entropies, entropies);
    const int all[4] = {__reduce_add_sync(whole_warp, tokens), __reduce_add_sync(whole_warp, low),
                        __reduce_add_sync(whole_warp, high),
                        __reduce_add_sync(whole_warp, kl_tokens)};
    const int largest = __reduce_max_sync(whole_warp, max_ratio);
    if (lane_id() != 0) return;
    detail::add_to(total.tokens, all[0]), detail::add_to(total.clipped_low, all[1]),
        detail::add_to(total.clipped_high, all[2]), detail::add_to(total.kl_tokens, all[3]);
    atomicMax(reinterpret_cast<int*>(&total.max_ratio), largest);
  }
};

}  // namespace hence::inline v0::cuda::detail
