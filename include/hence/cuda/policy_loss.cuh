/// \file
/// `cuda::loss_and_gradient`: a policy loss and its gradient in one fused kernel, for every
/// composition that policy/loss.hpp takes.
///
///     loss = (1/D) sum_i (1/d_i) sum_t [ w surrogate(r_it, A_it) + coef kl(log pi_ref - log pi) ]
///
/// Grid: one block a row, striding over the rows; four neighbouring tokens a thread and step. At
/// sequence level a block reads its row's logp and old twice and its gradient once more; each other
/// sum over the row (correction, gate, a rule's prepass) reads two arrays once more.
///
/// Bytes per live token: reads logp 4, old 4, ref 4 (with a KL term), token_advantages 4 (if
/// given), each mask 1; writes gradient 4. Where there are masks a row is counted first, which
/// reads them twice; `over_this_call` of a divisor that counts reads them once more.
///
/// Determinism: the bits of `reference<float>` and `cpu`, whatever the launch. The term is
/// `detail::token_step`, the reference's own; sums over tokens, rows and blocks are exact integers
/// (cuda/exact_sum.cuh). Every float operation names its rounding, so -fmad changes nothing and
/// --use_fast_math nothing but subnormals.
///
/// Proof so far: the PTX for sm_80, sm_90a, sm_100a, sm_120a, executed on a CPU under several
/// schedules, gives the bits of `cpu` (docs/cuda.md). It has not run on a device yet.
#pragma once

// A rule without HENCE_FN would be dropped from the kernel with no more than a warning.
#pragma nv_diag_error 20011, 20013, 20014

#include <hence/cuda/launch.cuh>
#include <hence/cuda/metrics.cuh>
#include <hence/cuda/row.cuh>
#include <hence/policy/loss.hpp>

namespace hence::inline v0::cuda {

/// Sizes of a launch. Results do not depend on them.
struct policy_loss_tuning {
  int threads = 256;               ///< of a block; a multiple of 32, at most 512
  std::int64_t max_blocks = 2048;  ///< more than fit at once; each ends with about 20 atomics

  template <class Stream> friend Stream& operator<<(Stream& out, const policy_loss_tuning& t) {
    out << "policy_loss_tuning{.threads = " << t.threads << ", .max_blocks = " << t.max_blocks
        << "}";
    return out;
  }
};

/// What a call leaves in device memory. Copy it to the host once the stream is done, then ask
/// `result()`.
template <class Aggregation, class Scope, class Metrics> struct loss_state {
  hence::detail::sums<float, Metrics> sums;
  double denominator = 0;

  loss_result<float, Aggregation, Scope, Metrics> result() const { return {sums, {denominator}}; }
};

/// The state of a call with these arguments.
template <class Loss, class D, class Choice = without_metrics_t>
using loss_state_for = loss_state<std::remove_cvref_t<decltype(Loss::aggregation)>,
                                  typename hence::detail::denominator_traits<D>::scope,
                                  hence::detail::metrics_for<float, Choice>>;

namespace detail {

/// \cond kernels: Doxygen 1.9 does not read __launch_bounds__
/// The counts of a batch, where D is this call's own. One block a row.
template <int Threads, class State>
__global__ void __launch_bounds__(Threads)
    policy_count_kernel(hence::detail::layout b, State* out) {
  __shared__ block_scratch<Threads> shared;
  counts total;
  for (std::int64_t i = blockIdx.x; i < b.rows; i += gridDim.x)
    if (is_sound(b, i)) {
      hence::detail::row_data<float> row{};
      row.mask = b.masks_of(i), row.length = b.length(i);
      total += count_row<Threads>(row, shared);
    }
  if (threadIdx.x == 0) add_to(out->sums.counts, total);
  if (threadIdx.x == 0 && blockIdx.x == 0) out->sums.counts.rows = b.rows;
}

/// Sums over the row's policy tokens, by the block; in the reference's place.
template <int Threads> struct block_sums {
  const hence::detail::row_data<float>& row;
  block_scratch<Threads>& shared;

  template <class F>
  __device__ __forceinline__ double with_advantage(const float* x, const float* y, F&& f) const {
    warp_sum total;
    for_each_quad<Threads>(row, [&](const quad& q) {
      float a[quad_size], b[quad_size], advantage[quad_size];
      load(x, q.first, q.policy, a), load(y, q.first, q.policy, b);
      load_advantages(row, q, advantage);
#pragma unroll
      for (int k = 0; k < quad_size; ++k)
        a[k] = q.policy >> k & 1 ? f(num<float>(a[k]), num<float>(b[k]), num<float>(advantage[k])).v
                                 : 0.0f;
      total.add(a);
    });
    return shared.sum.value(total);
  }
  template <class F>
  __device__ __forceinline__ double operator()(const float* x, const float* y, F&& f) const {
    warp_sum total;
    for_each_quad<Threads>(row, [&](const quad& q) {
      float a[quad_size], b[quad_size];
      load(x, q.first, q.policy, a), load(y, q.first, q.policy, b);
#pragma unroll
      for (int k = 0; k < quad_size; ++k)
        a[k] = q.policy >> k & 1 ? f(num<float>(a[k]), num<float>(b[k])).v : 0.0f;
      total.add(a);
    });
    return shared.sum.value(total);
  }
};

/// \tparam Counted the state holds the counts already, and D is made from them.
template <int Threads, bool Counted, class Loss, class State>
__global__ void __launch_bounds__(Threads, 512 / Threads)
    policy_loss_kernel(Loss loss, hence::detail::layout b, policy_inputs<float> in,
                       policy_gradients<float> gradient, double given_divisor, State* out) {
  using namespace hence::detail;
  using V = num<float>;
  using A = std::remove_cvref_t<decltype(loss.aggregation)>;
  using outcome = decltype(token_step(loss, token_values<V>{}, V{}, row_numbers<V>{}, V{}));
  using values = quad_values<Loss>;
  __shared__ block_scratch<Threads> shared;
  double divisor = given_divisor;
  if constexpr (Counted) divisor = hence::detail::divisor(loss.aggregation, out->sums.counts);
  warp_sum numerator;
  warp_metrics<decltype(out->sums.metrics)> metrics;
  counts total;
  std::int64_t prompt_shares = 0;
  for (std::int64_t i = blockIdx.x; i < b.rows; i += gridDim.x) {
    if (!is_sound(b, i)) {
      if (threadIdx.x == 0) add_to(out->sums.conditions, status::malformed);
      continue;
    }
    row_data<float> row = row_of(in, b, gradient, i);
    const counts n = count_row<Threads, !Counted>(row, shared);
    total += n;
    if (in.advantages.present() && n.policy_tokens > 0) row.advantage = in.advantages[i];
    row.score = in.scores.present() && n.tokens > 0 ? in.scores[i] : __uint_as_float(0x7fc00000);
    const std::int64_t prompt_size =
        in.prompt_sizes.present() && n.tokens > 0 ? in.prompt_sizes[i] : 0;
    const double row_divisor = hence::detail::row_divisor<A>(n.tokens, prompt_size);
    if constexpr (prompt_aggregation<A>) prompt_shares += prompt_share(n.tokens, row_divisor);
    const V scale = gradient_scale<float>(divisor, row_divisor);
    row.anchor = loss.ratio.anchor.of(row);
    const auto numbers =
        row_numbers_of<float, V>(loss, row, n.policy_tokens, block_sums<Threads>{row, shared});
    warp_sum row_sum, pooled_partials;
    for_each_quad<Threads>(row, [&](const quad& q) {
      const values x(row, q);
      float term[quad_size], slope[quad_size], partial[quad_size];
#pragma unroll
      for (int k = 0; k < quad_size; ++k) {
        const bool live = q.live >> k & 1;
        const auto y = token_step(loss, x.token(q, k), V(row.score), numbers, scale);
        term[k] = live ? y.term.v : 0.0f;
        slope[k] = live ? y.gradient.v : 0.0f;
        partial[k] = live ? y.pooled.v : 0.0f;
        metrics.note(loss.surrogate, y, k, x.advantage[k], q.metric & q.policy & (1u << k),
                     q.metric & q.kl & (1u << k));
      }
      store(row.gradient, q.first, q.inside, slope);
      row_sum.add(term);
      if constexpr (outcome::shares) pooled_partials.add(partial);
      metrics.end_step();
      if constexpr (facts<Loss>::with_entropy) {
        const V factor = -loss.entropy.coef;
        float h[quad_size];
        load(row.entropy, q.first, q.policy, h);
        metrics.note_entropy(h, q.metric & q.policy);
#pragma unroll
        for (int k = 0; k < quad_size; ++k) {
          const bool live = q.policy >> k & 1;
          term[k] = live ? (factor * V(h[k])).v : 0.0f;
          slope[k] = live ? (factor * scale).v : 0.0f;
        }
        store(row.entropy_gradient, q.first, q.inside, slope);
        row_sum.add(term);
      }
    });
    if constexpr (A::divides_rows) {
      const double sum = shared.sum.value(row_sum);
      if (warp_id() == 0) numerator.add(arithmetic<double>::div(sum, row_divisor));
    } else {
      numerator += row_sum;
    }
    numerator.carry();
    if constexpr (outcome::shares) {  // every policy token moves the pooled log-ratio
      const V share = pooled_value<float>(loss.ratio.averages, shared.sum.value(pooled_partials),
                                          n.policy_tokens);
      for_each_quad<Threads>(row, [&](const quad& q) {
        float slope[quad_size], logp[quad_size] = {}, anchor[quad_size] = {},
                                advantage[quad_size] = {};
        load(row.gradient, q.first, q.policy, slope);
        if constexpr (limits_before_pooling<typename facts<Loss>::surrogate, V>) {
          load(row.logp, q.first, q.policy, logp), load(row.anchor, q.first, q.policy, anchor);
          load_advantages(row, q, advantage);
        }
#pragma unroll
        for (int k = 0; k < quad_size; ++k)
          slope[k] = fma(share_of_token(loss, share, V(logp[k]), V(anchor[k]), V(advantage[k])),
                         scale, V(slope[k]))
                         .v;
        store(row.gradient, q.first, q.policy, slope);
      });
    }
  }
  if (shared.sum.add_to(out->sums.numerator, numerator) && threadIdx.x == 0)
    add_to(out->sums.conditions, status::non_finite);
  metrics.template add_to<facts<Loss>::with_entropy>(out->sums.metrics, shared.sum);
  if (threadIdx.x != 0) return;
  if constexpr (!Counted) add_to(out->sums.counts, total);
  if constexpr (prompt_aggregation<A>) add_to(out->sums.prompt_shares, prompt_shares);
  if (blockIdx.x != 0) return;
  if constexpr (!Counted) out->sums.counts.rows = b.rows;
  out->denominator = divisor;
}

}  // namespace detail

/// \endcond
/// Queues a policy loss on a stream: a memset of the state, the counts where `over_this_call` needs
/// them, and one kernel. Never synchronises, never allocates, needs no workspace beyond `state`;
/// capturable in a CUDA graph. Every array, cu_seqlens and masks included, lies in device memory;
/// only shapes are looked at on the host. Throws `std::invalid_argument` for those and `cuda_error`
/// for CUDA's own. A batch without tokens launches nothing.
/// \param s the stream.
/// \param loss as for the CPU. Its rules are trivially copyable and their operator() is `HENCE_FN`.
/// \param gradient `[tokens]` or `[rows, width]`; every entry is written, dead positions with 0.
/// \param state in device memory, overwritten; see `loss_state_for`.
/// \param batch, in, d as for the CPU. \param where the caller, for errors.
/// \tparam Choice `with_metrics_t` for the metrics of the same pass.
/// \tparam Tuning the launch; its `threads` is a compile-time choice.
template <policy_loss_tuning Tuning = policy_loss_tuning{}, class Loss, class Batch, class D,
          class Choice = without_metrics_t>
void loss_and_gradient(stream s, const Loss& loss, const Batch& batch,
                       const policy_inputs<float>& in, const D& d, policy_gradients<float> gradient,
                       loss_state_for<Loss, D, Choice>* state, Choice = {},
                       const std::source_location& where = std::source_location::current()) {
  using namespace hence::detail;
  using state_t = loss_state_for<Loss, D, Choice>;
  static_assert(std::is_trivially_copyable_v<Loss>,
                "hence: a loss that runs on CUDA is trivially copyable");
  static_assert(std::is_trivially_copyable_v<state_t>);
  static_assert(Tuning.threads % 32 == 0 && Tuning.threads > 0 && Tuning.threads <= 512 &&
                    Tuning.max_blocks > 0 && Tuning.max_blocks < 1 << 26,
                "hence: a block has 32, 64, ... or 512 threads, a grid less than 2^26 blocks: each "
                "adds up to 2^36 to a word of 64 bits");
  if constexpr (check_composition<Loss, float, D>()) {
    hence::detail::layout b = batch;
    if (!b.is_padded) {
      if (!b.cu_seqlens.present() || b.cu_seqlens.size() < 1)
        refuse(message() << "hence: cu_seqlens is empty, expected rows + 1 entries from 0");
      b.total = gradient.logp.is_padded ? 0 : gradient.logp.extent[0];
    }
    check_inputs(loss, b, in, gradient);
    if (b.rows == 0 && b.tokens() > 0)
      refuse(message() << "hence: cu_seqlens describes 0 rows, gradient has " << b.tokens()
                       << " tokens");
    if (state == nullptr)
      refuse(message() << "hence: state is null, expected a loss_state in device memory");
    if (overlap(place_of(gradient.logp, b).range, {state, sizeof(state_t)}))
      refuse(message() << "hence: gradient overlaps state, expected separate arrays");
    constexpr bool own_counts = std::same_as<D, over_this_call_t>;
    constexpr bool counted =
        own_counts && divisor_is_counted<std::remove_cvref_t<decltype(loss.aggregation)>>;
    double divisor = 0;
    if constexpr (!own_counts)
      check_denominator(loss, d), divisor = d.value;
    else if constexpr (!counted)
      divisor = hence::detail::divisor(loss.aggregation, counts{});
    check(cudaMemsetAsync(state, 0, sizeof(state_t), s), "cudaMemsetAsync", where);
    if (b.tokens() == 0) {  // rows are counted all the same, by memsets since nothing is launched
      auto* rows = reinterpret_cast<unsigned char*>(&state->sums.counts.rows);
      for (int byte = 0; byte < 8; ++byte)
        if (const int value = static_cast<int>(b.rows >> (8 * byte) & 0xff); value != 0)
          check(cudaMemsetAsync(rows + byte, value, 1, s), "cudaMemsetAsync", where);
      return;
    }
    const std::int64_t blocks = at_most(b.rows, Tuning.max_blocks);
    if constexpr (counted)
      launch("policy_count_kernel", cuda::detail::policy_count_kernel<Tuning.threads, state_t>,
             blocks, Tuning.threads, s, where, b, state);
    with_concrete_rules(loss, [&](const auto& concrete) {
      using concrete_t = std::remove_cvref_t<decltype(concrete)>;
      launch("policy_loss_kernel",
             cuda::detail::policy_loss_kernel<Tuning.threads, counted, concrete_t, state_t>, blocks,
             Tuning.threads, s, where, concrete, b, in, gradient, divisor, state);
    });
  }
}

}  // namespace hence::inline v0::cuda
