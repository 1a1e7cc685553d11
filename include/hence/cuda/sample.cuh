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
template <class T> struct kept_logits {
  const T* row;
  std::int64_t columns;
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
  /// By top-k and top-p.
  __device__ __forceinline__ bool holds_rank(std::int64_t i, float x) const {
    const std::uint64_t r = rank(x);
    return x > -__builtin_inff() && (r < rank_end || (r == rank_end && i <= index_end));
  }
  /// By all filters.
  __device__ __forceinline__ bool holds(std::int64_t i, float x) const {
    if (!holds_rank(i, x) || (least > 0 && weight(x) < least)) return false;
    if (distance_end == ~std::uint64_t{0}) return true;
    const std::uint64_t d = distance(x);
    return d < distance_end || (d == distance_end && i <= distance_index_end);
  }

  /// Where the prefix of an order ends in this set, and with which of its ties.
  template <int Bits, class Rank, class Weight, class End>
  __device__ __forceinline__ void narrow(select_scratch& s, const Rank& rank_of,
                                         const Weight& weight_of, const End& end_of,
                                         std::uint64_t& end, std::int64_t& last) const {
    const auto each = [&](std::uint64_t, int, const auto& add) {
      for_logits(row, 0, columns, [&](std::int64_t i, float x) {
        if (holds(i, x)) add(rank_of(x), [&] { return weight_of(x); });
      });
    };
    const prefix_place found = select_prefix_end<Bits>(s, each, end_of);
    if (found.rank == ~std::uint64_t{0}) return;
    std::int64_t last_tie = found.rank == end ? last : 0x7fffffff;
    if (found.ties > 1)
      last_tie = static_cast<std::int64_t>(
          select_prefix_end<24>(
              s,
              in_columns(
                  [&](std::int64_t i, float x) { return holds(i, x) && rank_of(x) == found.rank; },
                  weight_of),
              [&](wide_integer) { return found.left; })
              .rank);
    end = found.rank, last = last_tie;
  }
  /// Elements in the order of their indices.
  template <class Held, class Weight>
  __device__ __forceinline__ auto in_columns(const Held& held, const Weight& weight_of) const {
    return [this, held, weight_of](std::uint64_t digits, int shift, const auto& add) {
      const auto begin = static_cast<std::int64_t>(digits << shift);
      const std::int64_t size = std::int64_t{1} << (shift < 32 ? shift : 32);
      const std::int64_t end = begin + size < columns ? begin + size : columns;
      for_logits(row, begin, end, [&](std::int64_t i, float x) {
        if (held(i, x)) add(static_cast<std::uint64_t>(i), [&] { return weight_of(x); });
      });
    };
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

/// \cond kernels: Doxygen 1.9 does not read __launch_bounds__
template <class T>
__global__ void __launch_bounds__(sample_threads, 8)
    sample_kernel(sample_call<T> call, status* conditions) {
  using namespace hence::detail;
  __shared__ sample_scratch shared;
  const sample_rule& rule = call.rule;
  const std::int64_t columns = call.logits.extent[1];
  status found = status::ok;
  for (std::int64_t n = blockIdx.x; n < call.logits.extent[0]; n += gridDim.x) {
    const T* const row = call.logits.data + n * call.logits.stride[0];
    const double u = call.uniforms.present() ? static_cast<double>(call.uniforms[n]) : 0.0;
    std::uint8_t* const kept =
        call.out.kept.present() ? call.out.kept.data + n * call.out.kept.stride[0] : nullptr;
    const auto write_kept = [&](const auto& holds) {
      if (kept != nullptr)
        for_logits(row, 0, columns, [&](std::int64_t i, float x) { kept[i] = holds(i, x); });
    };
    float most = -__builtin_inff();  // +infinity: the row has a NaN or is beyond all numbers
    for_logits(row, 0, columns, [&](std::int64_t, float x) {
      most = !(x < __builtin_inff()) ? __builtin_inff() : x > most ? x : most;
    });
    const float top = block_maximum(most, shared.largest);
    if (!(top < __builtin_inff()) || !(top > -__builtin_inff()) || !(u >= 0 && u < 1)) {
      if (threadIdx.x == 0) write_drawn_row(call.out, n, -1, __builtin_nan(""), __builtin_nan(""));
      write_kept([](std::int64_t, float) { return false; });
      found = status::non_finite;
      continue;
    }
    if (rule.temperature == 0) {
      unsigned first = ~0u;
      for_logits(row, 0, columns, [&](std::int64_t i, float x) {
        if (x == top) first = ::min(first, static_cast<unsigned>(i));
      });
      first = __reduce_min_sync(whole_warp, first);
      if (threadIdx.x == 0) shared.first = ~0u;
      __syncthreads();
      if (lane_id() == 0) atomicMin(&shared.first, first);
      __syncthreads();
      const std::int64_t best = shared.first;
      if (threadIdx.x == 0) write_drawn_row(call.out, n, best, 0, 0);
      write_kept([&](std::int64_t i, float) { return i == best; });
      __syncthreads();  // shared.first has been read
      continue;
    }
    kept_logits<T> set{row, columns, top, call.scale};
    const auto weight = [&](float x) { return set.weight(x); };
    const auto rank = [](float x) { return kept_logits<T>::rank(x); };
    if (rule.top_k > 0)
      set.template narrow<32>(
          shared.select, rank, [](float) { return std::uint64_t{0}; },
          [&](wide_integer) { return prefix_end{rule.top_k, ~wide_integer{0}}; }, set.rank_end,
          set.index_end);
    const auto share = [&](double p) {
      return [p](wide_integer total) {
        return prefix_end{no_end().count, at_least_one(share_of(p, total))};
      };
    };
    if (rule.top_p < 1)
      set.template narrow<32>(shared.select, rank, weight, share(rule.top_p), set.rank_end,
                              set.index_end);
    set.least = call.least;
    if (rule.typical_p < 1) {
      wide_integer mass = 0, depths = 0;
      for_logits(row, 0, columns, [&](std::int64_t i, float x) {
        if (!set.holds(i, x)) return;
        const std::uint64_t w = set.weight(x);
        mass += w;
        depths += static_cast<wide_integer>(w) * depth_of<native_isa>(x, top, set.scale);
      });
      mass = block_sum_of(mass, shared.sums[0]);
      set.expected = quotient_of(block_sum_of(depths, shared.sums[1]), mass);
      set.template narrow<56>(
          shared.select, [&](float x) { return set.distance(x); }, weight, share(rule.typical_p),
          set.distance_end, set.distance_index_end);
    }
    const auto drawn = select_prefix_end<24>(
        shared.select,
        set.in_columns([&](std::int64_t i, float x) { return set.holds(i, x); }, weight),
        [&](wide_integer total) { return prefix_end{no_end().count, share_below(u, total) + 1}; });
    if (threadIdx.x == 0) {
      const auto token = static_cast<std::int64_t>(drawn.rank);
      const auto logit = static_cast<float>(row[token]);
      write_drawn_row(call.out, n, token,
                      drawn_logp<num<double>>(logit, top, set.scale, drawn.total), 0);
    }
    write_kept([&](std::int64_t i, float x) { return set.holds(i, x); });
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
