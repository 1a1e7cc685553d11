/// \file
/// How a block walks over a row: four neighbouring positions a thread, 16 bytes of each array.
///
/// The quads begin at the row's 16-byte boundaries in memory, so that a row of a ragged batch may
/// begin anywhere: positions before and after the row are outside and are neither read nor written.
/// A quad that is wholly needed and aligned moves as one 16-byte access, any other by single
/// elements, so a dead position is never loaded.
#pragma once

#include <hence/cuda/exact_sum.cuh>
#include <hence/policy/row_reference.hpp>

namespace hence::inline v0::cuda::detail {

constexpr int quad_size = 4;

/// Positions first ... first + 3 of a row. Bit i of a set is position first + i.
struct quad {
  std::int64_t first;
  unsigned inside, live, policy, kl, metric;
};

template <class T> __device__ __forceinline__ bool is_aligned(const T* p) {
  return reinterpret_cast<std::uintptr_t>(p) % (quad_size * sizeof(T)) == 0;
}

/// Which of the wanted positions a mask keeps; a null mask keeps all.
__device__ __forceinline__ unsigned kept(const std::uint8_t* mask, std::int64_t first,
                                         unsigned wanted) {
  if (mask == nullptr) return wanted;
  unsigned bits = 0;
  if (wanted == 0xf && is_aligned(mask + first)) {
    const uchar4 m = *reinterpret_cast<const uchar4*>(mask + first);
    bits =
        (m.x != 0 ? 1u : 0u) | (m.y != 0 ? 2u : 0u) | (m.z != 0 ? 4u : 0u) | (m.w != 0 ? 8u : 0u);
  } else {
#pragma unroll
    for (int i = 0; i < quad_size; ++i)
      if (wanted >> i & 1) bits |= mask[first + i] != 0 ? 1u << i : 0u;
  }
  return bits;
}

/// The quad at a position and what is live in it.
__device__ __forceinline__ quad quad_at(const hence::detail::row_masks& mask, std::int64_t first,
                                        std::int64_t length) {
  unsigned inside = 0;
#pragma unroll
  for (int i = 0; i < quad_size; ++i)
    if (first + i >= 0 && first + i < length) inside |= 1u << i;
  const unsigned live = kept(mask.response, first, inside);
  return {first,
          inside,
          live,
          kept(mask.policy, first, live),
          kept(mask.kl, first, live),
          kept(mask.metric, first, live)};
}

/// The wanted elements; the others are not read and become 0.
__device__ __forceinline__ void load(const float* row, std::int64_t first, unsigned wanted,
                                     float (&x)[quad_size]) {
  if (wanted == 0xf && is_aligned(row + first)) {
    const float4 v = *reinterpret_cast<const float4*>(row + first);
    x[0] = v.x, x[1] = v.y, x[2] = v.z, x[3] = v.w;
  } else {
#pragma unroll
    for (int i = 0; i < quad_size; ++i) x[i] = wanted >> i & 1 ? row[first + i] : 0.0f;
  }
}

/// The advantages of a quad's policy tokens.
__device__ __forceinline__ void load_advantages(const hence::detail::row_data<float>& row,
                                                const quad& q, float (&x)[quad_size]) {
  if (row.token_advantages != nullptr) {
    load(row.token_advantages, q.first, q.policy, x);
  } else {
#pragma unroll
    for (int k = 0; k < quad_size; ++k) x[k] = q.policy >> k & 1 ? row.advantage : 0.0f;
  }
}

/// A quad of the arrays that a loss reads.
template <class Loss> struct quad_values {
  using part = hence::detail::facts<Loss>;
  using reads = hence::detail::token_reads<Loss>;
  static constexpr bool with_kl = part::with_kl;
  float logp[quad_size], anchor[quad_size], ref[quad_size], advantage[quad_size],
      mismatch[quad_size];

  __device__ __forceinline__ quad_values(const hence::detail::row_data<float>& row, const quad& q) {
    load(row.logp, q.first, with_kl ? q.policy | q.kl : q.policy, logp);
    load(row.anchor, q.first, part::kl_reads_anchor ? q.policy | q.kl : q.policy, anchor);
    if constexpr (with_kl) load(row.ref, q.first, q.kl, ref);
    load_advantages(row, q, advantage);
    if constexpr (reads::mismatch) {
      const unsigned wanted = part::weighted_kl ? q.policy | q.kl : q.policy;
      float old[quad_size];
      load(row.old, q.first, wanted, old);
      load(row.rollout, q.first, wanted, mismatch);
#pragma unroll
      for (int k = 0; k < quad_size; ++k)
        mismatch[k] = (num<float>(old[k]) - num<float>(mismatch[k])).v;
    }
  }

  __device__ __forceinline__ hence::detail::token_values<num<float>> token(const quad& q,
                                                                           int k) const {
    return {logp[k],
            anchor[k],
            with_kl ? ref[k] : 0.0f,
            advantage[k],
            reads::mismatch ? mismatch[k] : 0.0f,
            (q.policy >> k & 1) != 0,
            (q.kl >> k & 1) != 0};
  }
};

/// Writes the elements inside the row.
__device__ __forceinline__ void store(float* row, std::int64_t first, unsigned inside,
                                      const float (&x)[quad_size]) {
  if (inside == 0xf && is_aligned(row + first)) {
    // by name: as an assignment it becomes four stores for sm_80 and sm_90a
    __stwb(reinterpret_cast<float4*>(row + first), make_float4(x[0], x[1], x[2], x[3]));
  } else {
#pragma unroll
    for (int i = 0; i < quad_size; ++i)
      if (inside >> i & 1) row[first + i] = x[i];
  }
}

/// Calls f(quad) for the row's quads, a whole warp at a time; lanes beyond the row get empty quads.
template <int Threads, class F>
__device__ __forceinline__ void for_each_quad(const hence::detail::row_data<float>& row, F&& f) {
  const std::int64_t skew = static_cast<std::int64_t>(
      reinterpret_cast<std::uintptr_t>(row.gradient) / sizeof(float) % quad_size);
  const std::int64_t step = std::int64_t{Threads} * quad_size;
  for (std::int64_t first = warp_id() * 32 * quad_size - skew; first < row.length; first += step)
    f(quad_at(row.mask, first + lane_id() * quad_size, row.length));
}

/// Where a block's warps meet.
template <int Threads> struct block_scratch {
  static constexpr unsigned warps = Threads / 32;
  block_sum<warps> sum;
  int counts[warps][quad_size];
};

/// What is live in a row; every thread gets it. A row without masks costs nothing.
/// \tparam All else only tokens and policy tokens are counted.
template <int Threads, bool All = true>
__device__ __forceinline__ counts count_row(const hence::detail::row_data<float>& row,
                                            block_scratch<Threads>& shared) {
  if (row.mask.all_live())
    return {1, row.length > 0, row.length, row.length, row.length, row.length};
  constexpr int kinds = All ? 4 : 2;
  int n[4] = {};
  for_each_quad<Threads>(row, [&](const quad& q) {
    n[0] += __popc(q.live), n[1] += __popc(q.policy);
    if constexpr (All) n[2] += __popc(q.kl), n[3] += __popc(q.metric);
  });
  __syncthreads();  // the last row's counts have been read
#pragma unroll
  for (int k = 0; k < kinds; ++k) shared.counts[warp_id()][k] = __reduce_add_sync(whole_warp, n[k]);
  __syncthreads();
  std::int64_t total[4] = {};
  for (int w = 0; w < Threads / 32; ++w)
#pragma unroll
    for (int k = 0; k < kinds; ++k) total[k] += shared.counts[w][k];
  return {1, total[0] > 0, total[0], total[1], total[2], total[3]};
}

/// Whether a row lies within the arrays. On the host the same is checked before a call.
__device__ __forceinline__ bool is_sound(const hence::detail::layout& b, std::int64_t i) {
  if (b.is_padded) return true;
  const std::int64_t begin = b.cu_seqlens[i], end = b.cu_seqlens[i + 1];
  return begin >= 0 && begin <= end && end <= b.total && (i > 0 || begin == 0) &&
         (i + 1 < b.rows || end == b.total);
}

/// Adds integers to a counter in global memory.
__device__ __forceinline__ void add_to(std::int64_t& counter, std::int64_t n) {
  if (n != 0)
    atomicAdd(reinterpret_cast<unsigned long long*>(&counter), static_cast<unsigned long long>(n));
}
__device__ __forceinline__ void add_to(counts& total, const counts& n) {
  add_to(total.non_empty_rows, n.non_empty_rows), add_to(total.tokens, n.tokens);
  add_to(total.policy_tokens, n.policy_tokens), add_to(total.kl_tokens, n.kl_tokens);
  add_to(total.metric_tokens, n.metric_tokens);
}

}  // namespace hence::inline v0::cuda::detail
