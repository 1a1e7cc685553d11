/// \file
/// `cuda::sample`: draws a token per row after temperature, top-k, top-p, min-p and typical_p, the
/// token that `hence::sample` draws.
///
/// Grid: one block of 128 threads a row, striding over the rows. Every filter keeps a prefix of an
/// order, which cuda/select.cuh finds without a sort and without a workspace; what is kept is then
/// known from a logit and its index alone, and each pass decides it anew.
///
/// Bytes per logit: one read for the largest, and for each of top-k 4, top-p 4, typical_p 8, and
/// 1 + 65536/V, at most 2, for the draw, as much again where logits tie; out.kept one read and 1
/// byte written. A row of up to 2^17 logits is read again from cache.
///
/// Not tuned yet: loads are scalar, and selecting by index lets the threads of a step meet in one
/// bin of shared memory.
///
/// Determinism: the bits of `cpu`, whatever the launch: weights are integers, so sums are exact.
///
/// Proof: as for cuda/policy_loss.cuh, see docs/cuda.md. It has not run on a device yet.
#pragma once

#include <hence/cuda/select.cuh>
#include <hence/cuda/token_logprob.cuh>
#include <hence/logits/sample_rule.hpp>

namespace hence::inline v0::cuda {

/// Sizes of a launch. Results do not depend on them.
struct sample_tuning {
  std::int64_t max_blocks = 65536;  ///< of one row at a time

  template <class Stream> friend Stream& operator<<(Stream& out, const sample_tuning& t) {
    out << "sample_tuning{.max_blocks = " << t.max_blocks << "}";
    return out;
  }
};

namespace detail {

constexpr int sample_threads = softmax_threads;

/// What the kernel reads; the rule's numbers as the host makes them. \tparam T storage of logits.
template <class T> struct sample_call {
  view<const T, 2> logits;
  view<const float> uniforms;
  sample_results out;
  sample_rule rule;
  double scale;         // log2(e)/T
  std::uint64_t least;  // weight that min-p asks for
};

struct sample_scratch {
  select_scratch select;
  unsigned largest[sample_threads / 32];
  wide_integer sums[2][sample_threads / 32];
  unsigned first;
};

/// Calls f(i, x_i) for this thread's share of the columns [begin, end) of a row.
template <class T, class F>
__device__ __forceinline__ void for_logits(const T* row, std::int64_t begin, std::int64_t end,
                                           F&& f) {
#pragma unroll 1
  for (std::int64_t i = begin + threadIdx.x; i < end; i += sample_threads)
    f(i, static_cast<float>(row[i]));
}

/// What is kept of a row, by each filter's last element. Threads hold it alike.
struct kept_logits {
  float top;
  double scale;
  std::uint64_t rank_end = ~std::uint64_t{0}, distance_end = ~std::uint64_t{0};
  std::int64_t index_end = 0x7fffffff, distance_index_end = 0x7fffffff;
  std::uint64_t least = 0, expected = 0;

  __device__ __forceinline__ std::uint64_t weight(float x) const {
    return hence::detail::sample_weight<native_isa>(x, top, scale);
  }
  static __device__ __forceinline__ std::uint64_t rank(float x) {
    return 0xffffffffu - hence::detail::key_of(x);
  }
  __device__ __forceinline__ std::uint64_t distance(float x) const {
    return hence::detail::distance_of(hence::detail::depth_of<native_isa>(x, top, scale), expected);
  }
  /// By top-k and top-p, then by min-p, then by typicality.
  __device__ __forceinline__ bool holds(std::int64_t i, float x) const {
    const std::uint64_t r = rank(x);
    if (!(x > -__builtin_inff()) || r > rank_end || (r == rank_end && i > index_end)) return false;
    if (least > 0 && weight(x) < least) return false;
    if (distance_end == ~std::uint64_t{0}) return true;
    const std::uint64_t d = distance(x);
    return d < distance_end || (d == distance_end && i <= distance_index_end);
  }
  /// Ends the prefix of an order. \param last the index of the last of the elements of this rank
  /// that are kept; negative: all that were.
  __device__ __forceinline__ void end_with(bool is_distance, std::uint64_t r, std::int64_t last) {
    if (is_distance) {
      distance_end = r, distance_index_end = last >= 0 ? last : 0x7fffffff;
    } else {
      if (last >= 0 || r != rank_end) index_end = last >= 0 ? last : 0x7fffffff;
      rank_end = r;
    }
  }
};

/// The sum over the block; every thread gets it.
__device__ __forceinline__ wide_integer block_sum_of(wide_integer x,
                                                     wide_integer (&sums)[sample_threads / 32]) {
#pragma unroll
  for (int by = 16; by > 0; by /= 2) {
    const auto low = __shfl_xor_sync(whole_warp, static_cast<unsigned long long>(x), by);
    const auto high = __shfl_xor_sync(whole_warp, static_cast<unsigned long long>(x >> 64), by);
    x += static_cast<wide_integer>(high) << 64 | low;
  }
  __syncthreads();  // the last sums have been read
  if (lane_id() == 0) sums[warp_id()] = x;
  __syncthreads();
  wide_integer total = 0;
  for (const wide_integer sum : sums) total += sum;
  return total;
}

/// Narrows what is kept by the filters in their order, then draws. Seven selections at most: for
/// each of top-k, top-p and typical_p one by rank and, where ties are left, one by index; the draw
/// by index. Their text is long, so it is there once.
template <class T>
__device__ __forceinline__ prefix_place draw(const sample_call<T>& call, const T* row, double u,
                                             kept_logits& set, sample_scratch& shared) {
  using namespace hence::detail;
  enum filter { top_k, top_p, typical, drawn };
  const sample_rule& rule = call.rule;
  const std::int64_t columns = call.logits.extent[1];
  prefix_place found{};
#pragma unroll 1
  for (int pass = 0;; ++pass) {
    const int at = pass / 2;
    const bool is_of_ties = pass % 2 != 0, is_by_index = is_of_ties || at == drawn;
    if (at == typical) set.least = call.least;  // min-p has no order of its own
    const bool is_asked = at == top_k   ? rule.top_k > 0
                          : at == top_p ? rule.top_p < 1
                                        : at == drawn || rule.typical_p < 1;
    if (!is_asked || (is_of_ties && found.ties <= 1)) continue;
    if (at == typical && !is_of_ties) {
      wide_integer mass = 0, depths = 0;
      for_logits(row, 0, columns, [&](std::int64_t i, float x) {
        if (!set.holds(i, x)) return;
        const std::uint64_t w = set.weight(x);
        mass += w;
        depths += static_cast<wide_integer>(w) * depth_of<native_isa>(x, set.top, set.scale);
      });
      mass = block_sum_of(mass, shared.sums[0]);
      set.expected = quotient_of(block_sum_of(depths, shared.sums[1]), mass);
    }
    const auto visit = [&](std::uint64_t digits, int shift, const auto& add) {
      std::int64_t begin = 0, end = columns;
      if (is_by_index) {
        begin = static_cast<std::int64_t>(digits << shift);
        const std::int64_t size = std::int64_t{1} << (shift < 32 ? shift : 32);
        end = begin + size < columns ? begin + size : columns;
      }
      for_logits(row, begin, end, [&](std::int64_t i, float x) {
        if (!set.holds(i, x)) return;
        const std::uint64_t r = at == typical ? set.distance(x) : set.rank(x);
        if (is_of_ties && r != found.rank) return;
        add(is_by_index ? static_cast<std::uint64_t>(i) : r,
            [&] { return at == top_k ? std::uint64_t{1} : set.weight(x); });
      });
    };
    const auto end_of = [&](wide_integer total) -> wide_integer {
      if (is_of_ties) return found.left;
      if (at == top_k) return static_cast<wide_integer>(rule.top_k);
      if (at == drawn) return share_below(u, total) + 1;
      return at_least_one(share_of(at == top_p ? rule.top_p : rule.typical_p, total));
    };
    const int bits = is_by_index ? 24 : at == typical ? 56 : 32;
    const prefix_place place = select_prefix_end(shared.select, bits, visit, end_of);
    if (at == drawn) return place;
    if (is_of_ties) {
      set.end_with(at == typical, found.rank, static_cast<std::int64_t>(place.rank));
    } else {
      found = place;
      if (place.ties == 1) set.end_with(at == typical, place.rank, -1);
    }
  }
}

/// \cond kernels: Doxygen 1.9 does not read __launch_bounds__
template <class T>
__global__ void __launch_bounds__(sample_threads, 8)
    sample_kernel(sample_call<T> call, status* conditions) {
  using namespace hence::detail;
  __shared__ sample_scratch shared;
  const std::int64_t columns = call.logits.extent[1];
  status found = status::ok;
  for (std::int64_t n = blockIdx.x; n < call.logits.extent[0]; n += gridDim.x) {
    const T* const row = call.logits.data + n * call.logits.stride[0];
    const double u = call.uniforms.present() ? static_cast<double>(call.uniforms[n]) : 0.0;
    float most = -__builtin_inff();  // +infinity: the row has a NaN or is beyond all numbers
    for_logits(row, 0, columns, [&](std::int64_t, float x) {
      most = !(x < __builtin_inff()) ? __builtin_inff() : x > most ? x : most;
    });
    kept_logits set{block_maximum(most, shared.largest), call.scale};
    std::int64_t token = -1;
    double logp = 0, full = 0;
    if (!(set.top < __builtin_inff()) || !(set.top > -__builtin_inff()) || !(u >= 0 && u < 1)) {
      set.rank_end = 0, set.index_end = -1;  // nothing
      logp = full = __builtin_nan("");
      found = status::non_finite;
    } else if (call.rule.temperature == 0) {
      unsigned first = ~0u;
      for_logits(row, 0, columns, [&](std::int64_t i, float x) {
        if (x == set.top) first = ::min(first, static_cast<unsigned>(i));
      });
      first = __reduce_min_sync(whole_warp, first);
      if (threadIdx.x == 0) shared.first = ~0u;
      __syncthreads();
      if (lane_id() == 0) atomicMin(&shared.first, first);
      __syncthreads();
      token = shared.first;
      set.end_with(false, set.rank(set.top), token);
      __syncthreads();  // shared.first has been read
    } else {
      const prefix_place drawn = draw(call, row, u, set, shared);
      token = static_cast<std::int64_t>(drawn.rank);
      if (threadIdx.x == 0)
        logp = drawn_logp<num<double>>(static_cast<float>(row[token]), set.top, set.scale,
                                       drawn.total);
    }
    if (threadIdx.x == 0) write_drawn_row(call.out, n, token, logp, full);
    if (!call.out.kept.present()) continue;
    std::uint8_t* const kept = call.out.kept.data + n * call.out.kept.stride[0];
    for_logits(row, 0, columns, [&](std::int64_t i, float x) { kept[i] = set.holds(i, x); });
  }
  if (threadIdx.x == 0) add_to(*conditions, found);
}
/// \endcond

}  // namespace detail

/// Queues a draw per row on a stream: a memset of `conditions`, one kernel, and another where
/// out.logp_full is given. Never synchronises, never allocates, needs no workspace; capturable in a
/// CUDA graph. Every array lies in device memory; only shapes are looked at on the host. Throws
/// `std::invalid_argument` for those and `cuda_error` for CUDA's own. Without rows nothing is
/// launched.
/// \param s the stream. \param rule, logits, uniforms, out as for `hence::sample`; with
///   out.logp_full there is out.token. `uniform_of` may be called in a kernel to fill `uniforms`.
/// \param conditions one status in device memory, overwritten with what `hence::sample` returns.
/// \param where the caller, for errors. \tparam Tuning the launch.
template <sample_tuning Tuning = sample_tuning{}, class T>
void sample(stream s, const sample_rule& rule, view<T, 2> logits,  // [rows, vocabulary]
            view<const float> uniforms,                            // [rows]
            const sample_results& out, status* conditions,
            const std::source_location& where = std::source_location::current()) {
  using namespace hence::detail;
  using stored = std::remove_const_t<T>;
  static_assert(Tuning.max_blocks > 0 && Tuning.max_blocks <= 0x7fffffff,
                "hence: a grid has 1 to 2^31 - 1 blocks");
  if constexpr (check_logits<reference<float>, T>()) {
    check_sample_arrays(rule, logits, uniforms, out);
    cuda::detail::check_conditions(
        conditions,
        {range_of(out.token), range_of(out.logp), range_of(out.logp_full), range_of(out.kept)},
        {range_of(logits), range_of(uniforms)});
    const bool is_full = out.logp_full.present() && rule.temperature > 0;
    if (is_full && !out.token.present())
      refuse(message() << "hence: out.token is null, expected " << logits.extent[0]
                       << " rows, since out.logp_full is made from it");
    check(cudaMemsetAsync(conditions, 0, sizeof(status), s), "cudaMemsetAsync", where);
    const std::int64_t rows = logits.extent[0];
    if (rows == 0) return;
    const std::int64_t blocks = at_most(rows, Tuning.max_blocks);
    cuda::detail::sample_call<stored> call{logits, uniforms, out, rule, 0, 0};
    if (rule.temperature > 0) call.scale = log2e / rule.temperature;
    call.least = static_cast<std::uint64_t>(rule.min_p * 0x1p+56);
    if (is_full) call.out.logp_full = {};
    launch("sample_kernel", cuda::detail::sample_kernel<stored>, blocks,
           cuda::detail::sample_threads, s, where, call, conditions);
    if (!is_full) return;
    const softmax_rule full{.temperature = rule.temperature,
                            .negative = negative_labels::out_of_range};
    const auto score = cuda::detail::token_call_of(
        full, logits, view<const std::int64_t>(out.token), view<const std::uint8_t, 2>());
    token_results<float> results;
    results.logp = out.logp_full;
    launch("token_logprob_kernel", cuda::detail::token_logprob_kernel<stored>, blocks,
           cuda::detail::softmax_threads, s, where, score, results, static_cast<status*>(nullptr));
  }
}

}  // namespace hence::inline v0::cuda
