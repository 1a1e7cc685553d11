/// \file
/// `cuda::advantages`: one number per row from the rewards of its group, A = c / (s + eps), for
/// every rule of a baseline and a scale that looks at its own group alone.
///
/// Grid: one warp a group, striding over the groups; a lane takes every 32nd row. Arithmetic is
/// float64, rounded once.
///
/// Bytes per row: reads 4 (three times, twice from cache), writes 4.
///
/// Determinism: the bits of `reference<float>` and `cpu`, whatever the launch. A group's range is a
/// minimum and a maximum, its sums are of whole numbers (policy/advantage_sums.hpp), and what is
/// made of them is the reference's own text.
///
/// Proof: as for cuda/policy_loss.cuh, see docs/cuda.md. It has not run on a device yet.
#pragma once

// A rule without HENCE_FN would be dropped from the kernel with no more than a warning.
#pragma nv_diag_error 20011, 20013, 20014

#include <hence/cuda/launch.cuh>
#include <hence/cuda/memory_checks.cuh>
#include <hence/cuda/row.cuh>
#include <hence/policy/advantage.hpp>

namespace hence::inline v0::cuda {

/// Sizes of a launch. Results do not depend on them.
struct advantages_tuning {
  int threads = 128;               ///< of a block; a multiple of 32, at most 1024
  std::int64_t max_blocks = 4096;  ///< of `threads / 32` groups each

  template <class Stream> friend Stream& operator<<(Stream& out, const advantages_tuning& t) {
    out << "advantages_tuning{.threads = " << t.threads << ", .max_blocks = " << t.max_blocks
        << "}";
    return out;
  }
};

namespace detail {

/// By its bits: no arithmetic whose rounding is not named.
__device__ __forceinline__ bool is_finite(float x) {
  return (__float_as_uint(x) & 0x7f800000u) != 0x7f800000u;
}

/// One group, by a warp: rewards of rows [begin, end), at least one.
template <class Rule>
__device__ __forceinline__ status group_of(const Rule& rule, const view<const float>& rewards,
                                           const view<float>& out, std::int64_t begin,
                                           std::int64_t end) {
  using isa = native_isa;
  using V = num<double, isa>;
  const advantage::batch_moments batch{0, 0, 0, 0, 0, 0};
  const std::int64_t count = end - begin, first = begin + lane_id();
  if (hence::detail::has_singleton_rule<Rule> && count == 1)
    return lane_id() == 0
               ? hence::detail::write_single<float, isa>(rule, batch, rewards[begin], out[begin])
               : status::ok;
  bool finite = true;
  unsigned low = ~0u, high = 0;
  for (std::int64_t i = first; i < end; i += 32) {
    const float r = rewards[i];
    finite = finite && is_finite(r);
    low = ::min(low, ordered_bits(r)), high = ::max(high, ordered_bits(r));
  }
  if (__all_sync(whole_warp, finite) == 0) {
    for (std::int64_t i = first; i < end; i += 32) out[i] = static_cast<float>(__builtin_nan(""));
    return status::non_finite;
  }
  const V least(of_ordered_bits(__reduce_min_sync(whole_warp, low)));
  const V most(of_ordered_bits(__reduce_max_sync(whole_warp, high)));
  hence::detail::measured_group<float, isa> group(least, most);
  hence::detail::unit_sum<isa> sum, squares;
  for (std::int64_t i = first; i < end; i += 32) group.add(V(rewards[i]), sum, squares);
  const auto over_lanes = [](std::int64_t x) {
#pragma unroll
    for (int by = 16; by > 0; by /= 2) x += __shfl_xor_sync(whole_warp, x, by);
    return x;
  };
  sum.add_over_lanes(over_lanes);
  if constexpr (hence::detail::reads_squares<Rule>) squares.add_over_lanes(over_lanes);
  group.finish(V(static_cast<double>(count)), sum, squares, hence::detail::reads_squares<Rule>,
               batch);
  const V factor = hence::detail::factor_of(rule, group.moments);
  const auto advantage_of = [&](V r) {
    return static_cast<float>(
        (hence::detail::centre(rule, group.scaled(r), group.centred(r), group.moments) * factor).v);
  };
  for (std::int64_t i = first; i < end; i += 32) out[i] = advantage_of(V(rewards[i]));
  // the ends of a group have the largest
  const bool in_range = is_finite(advantage_of(least)) && is_finite(advantage_of(most));
  return in_range ? status::ok : status::non_finite;
}

/// \cond kernels: Doxygen 1.9 does not read __launch_bounds__
template <int Threads, class Rule>
__global__ void __launch_bounds__(Threads)
    advantages_kernel(Rule rule, offsets cu, view<const float> rewards, view<float> out,
                      status* conditions) {
  const std::int64_t warps = Threads / 32, groups = cu.rows();
  status found = status::ok;
  for (std::int64_t i = blockIdx.x * warps + warp_id(); i < groups; i += gridDim.x * warps) {
    const std::int64_t begin = cu[i], end = cu[i + 1];
    if (begin < 0 || begin > end || end > rewards.extent[0] || (i == 0 && begin != 0) ||
        (i + 1 == groups && end != rewards.extent[0]))
      found |= status::malformed;
    else if (begin < end)
      found |= group_of(rule, rewards, out, begin, end);
  }
  if (found != status::ok) add_to(*conditions, found);
}
/// \endcond

}  // namespace detail

/// Queues the advantages of all groups on a stream: a memset of `conditions` and one kernel. Never
/// synchronises, never allocates; capturable in a CUDA graph. Every array, cu_groups included, lies
/// in device memory; only shapes are looked at on the host. Throws `std::invalid_argument` for
/// those and `cuda_error` for CUDA's own. Without rows nothing is launched.
/// \param s the stream.
/// \param rule as for `hence::advantages`, of one group at a time: not those that read the batch,
///   nor those that write their groups by themselves.
/// \param batch where each group's rows lie. Groups may be empty.
/// \param rewards `[rows]`, of any stride. \param out `[rows]`, of any stride, apart from rewards.
/// \param conditions one status in device memory, overwritten with what `hence::advantages`
///   returns; `status::malformed` beside it if boundaries decrease or leave the arrays.
/// \param where the caller, for errors. \tparam Tuning the launch.
template <advantages_tuning Tuning = advantages_tuning{}, class Rule>
void advantages(stream s, const Rule& rule, const groups& batch, view<const float> rewards,
                view<float> out, status* conditions,
                const std::source_location& where = std::source_location::current()) {
  using namespace hence::detail;
  static_assert(Tuning.threads % 32 == 0 && Tuning.threads > 0 && Tuning.threads <= 1024 &&
                    Tuning.max_blocks > 0 && Tuning.max_blocks <= 0x7fffffff,
                "hence: a block has 32, 64, ... or 1024 threads, a grid at most 2^31 - 1 blocks");
  if constexpr (check_advantage_rule<Rule, float>()) {
    static_assert(
        !group_function<Rule>,
        "hence: on CUDA a rule for advantages is a group_baseline; rules that write their "
        "groups by themselves run on the CPU");
    const std::int64_t rows = rewards.extent[0];
    if (!batch.cu_groups.present() || batch.cu_groups.size() < 1)
      refuse(message() << "hence: cu_groups is empty, expected groups + 1 entries from 0");
    if (batch.cu_groups.rows() == 0 && rows > 0)
      refuse(message() << "hence: cu_groups describes 0 groups, rewards has " << rows << " rows");
    if (rows > 0 && !rewards.present())
      refuse(message() << "hence: rewards is null, expected " << rows << " rows");
    if (out.extent[0] != rows || (rows > 0 && !out.present()))
      refuse(message() << "hence: out has " << (out.present() ? out.extent[0] : 0)
                       << " entries, rewards has " << rows);
    check_stride("out", out.stride[0], rows);
    cuda::detail::check_conditions(conditions, {range_of(out)},
                                   {range_of(rewards), batch.cu_groups.bytes()});
    if (share_elements<float>(rewards, out))
      refuse(message() << "hence: out overlaps rewards, expected separate arrays of " << rows
                       << " rows");
    if (overlap(batch.cu_groups.bytes(), range_of(out)))
      refuse(message() << "hence: out overlaps cu_groups, expected separate arrays of " << rows
                       << " rows");
    check_numbers(rule, rows, range_of(out));
    check(cudaMemsetAsync(conditions, 0, sizeof(status), s), "cudaMemsetAsync", where);
    if (rows == 0) {
      check(cudaMemsetAsync(conditions, static_cast<int>(status::empty), 1, s), "cudaMemsetAsync",
            where);
      return;
    }
    with_concrete_parts(rule, [&](const auto& concrete) {
      using concrete_t = std::remove_cvref_t<decltype(concrete)>;
      static_assert(
          !rule_reads_batch<concrete_t>(),
          "hence: this rule reads the rewards of the whole batch; on CUDA a rule looks at "
          "its own group alone");
      static_assert(std::is_trivially_copyable_v<concrete_t>,
                    "hence: a rule that runs on CUDA is trivially copyable");
      constexpr std::int64_t warps = Tuning.threads / 32;
      const std::int64_t blocks = (batch.cu_groups.rows() + warps - 1) / warps;
      launch("advantages_kernel", cuda::detail::advantages_kernel<Tuning.threads, concrete_t>,
             at_most(blocks, Tuning.max_blocks), Tuning.threads, s, where, concrete,
             batch.cu_groups, rewards, out, conditions);
    });
  }
}

}  // namespace hence::inline v0::cuda
