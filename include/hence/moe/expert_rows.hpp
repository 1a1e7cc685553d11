/// \file
/// `moe::expert_rows`: the MLPs of all experts on rows that are sorted by expert, and its gradient.
///
///     h = f(gate_e x, up_e x),   out = down_e h           after_down; `combine` weighs
///     h = w f(gate_e x, up_e x), out = down_e h           before_down; `combine` sums
///
/// Gradients: with G = down_e^T cotangent, dw = <G, f>, dh = w G, from there to x and the matrices
/// by the chain rule; so `down`'s output is not kept.
///
/// Memory beside the arrays: what `expert_workspace_bytes` says. Between forward and backward
/// `saved_activations` keeps two arrays `[rows, ff]` (one for a plain activation), `recomputed`
/// nothing.
///
/// Experts without rows are not looked at. A row depends on its own expert and itself: NaN in a row
/// stays there, in its gradient and its expert's matrices'. Rows in no segment are neither read nor
/// written. Bits with `gemm::ordered`: rows depend on nothing else at all; a matrix's gradient is a
/// chain over its rows in order, so a batch in two calls with `update::accumulate` has the bits of
/// one; the same for `reference<float>` with `gemm::chain<float>`, any pool and register width.
#pragma once

#include <hence/moe/expert_tiles.hpp>

namespace hence::inline v0 {

namespace detail {

template <class M>
concept mlp_like = requires(const M& m) {
  m.product;
  m.activation;
  m.weights;
};

/// Layered: the first fault speaks.
template <class Executor, class Mlp, class Kept, class X, class W> consteval bool check_mlp_type() {
  using S = typename Executor::scalar;
  using V = row_number_t<Executor>;
  constexpr bool is_mlp = mlp_like<Mlp>;
  static_assert(is_mlp,
                "hence: experts are a moe::expert_mlp{product, activation, after_down or "
                "before_down}");
  if constexpr (is_mlp) {
    using gemm_t = std::remove_cvref_t<decltype(Mlp::product)>;
    using activation_t = std::remove_cvref_t<decltype(Mlp::activation)>;
    using weights_t = std::remove_cvref_t<decltype(Mlp::weights)>;
    constexpr bool activates =
        gated_activation<activation_t, V> || plain_activation<activation_t, V>;
    static_assert(activates,
                  "hence: the activation of an expert is swiglu, geglu, geglu_tanh, silu, gelu, "
                  "gelu_tanh or a functor of two numbers (gated) or one (plain) that returns the "
                  "same kind");
    constexpr bool placed =
        std::same_as<weights_t, moe::after_down> || std::same_as<weights_t, moe::before_down>;
    static_assert(!activates || placed,
                  "hence: experts need to know where their weights go: after_down{} (transformers, "
                  "DeepSeek, vLLM) or before_down{} (Megatron, SonicMoE)");
    constexpr bool kept =
        std::same_as<Kept, moe::saved_activations<S>> || std::same_as<Kept, moe::recomputed>;
    static_assert(!activates || !placed || kept,
                  "hence: what experts keep for the backward pass is saved_activations<scalar> of "
                  "the executor, or recomputed");
    constexpr bool multiplies = requires(const gemm_t& g, view<const X, 2> x, view<const W, 2> w,
                                         view<const S, 2> s, view<S, 2> c, S* scratch) {
      g(x, w, c, update::overwrite, scratch);
      g(s, w, c, update::overwrite, scratch);
      g(s, x, c, update::overwrite, scratch);
    };
    static_assert(!activates || !placed || !kept || multiplies,
                  "hence: this gemm does not multiply rows and matrices of these types: "
                  "gemm::ordered takes float, bf16 and f16 on cpu, gemm::onednn_bf16 float and "
                  "bf16, gemm::eigen, cblas and onednn float, gemm::chain<S> anything on "
                  "reference<S>");
    return activates && placed && kept && multiplies;
  }
  return false;
}

/// \return how many rows are in segments.
template <class Job>
[[gnu::always_inline]] inline std::int64_t check_expert_inputs(const Job& job) {
  const auto& in = job.in;
  const std::int64_t experts = in.up.extent[0], inner = in.up.extent[1], width = in.up.extent[2];
  const std::int64_t rows = in.rows.extent[0];
  if (experts < 1 || inner < 1 || width < 1)
    refuse(message() << "hence: up has shape [" << experts << ", " << inner << ", " << width
                     << "], expected [experts, ff, width]");
  check_matrices("up", in.up, experts, inner, width);
  check_matrices("down", in.down, experts, width, inner);
  if (Job::gated)
    check_matrices("gate", in.gate, experts, inner, width);
  else if (in.gate.given())
    refuse(message() << "hence: gate is given, expected none: the activation is a plain one");
  if (job.token == nullptr) check_row_major("rows", in.rows, rows, width);
  if (Job::weighs)
    check_vector("row_weights", in.row_weights, rows);
  else if (in.row_weights.given())
    refuse(message() << "hence: row_weights is given, expected none: with after_down combine "
                        "weighs");
  if constexpr (is_saved<std::remove_cvref_t<decltype(job.kept)>>) {
    check_row_major("saved.up", job.kept.up, rows, inner);
    if (Job::gated)
      check_row_major("saved.gate", job.kept.gate, rows, inner);
    else if (job.kept.gate.given())
      refuse(message() << "hence: saved.gate is given, expected none: the activation is a plain "
                          "one");
  }
  return check_segments<executor_isa<std::remove_cvref_t<decltype(job.executor)>>>(in.segments,
                                                                                   experts, rows);
}
template <class In> HENCE_FN named_places<7> expert_reads(const In& in) {
  return {{{"rows", range_of(in.rows)},
           {"gate", range_of(in.gate)},
           {"up", range_of(in.up)},
           {"down", range_of(in.down)},
           {"row_weights", range_of(in.row_weights)},
           {"segments.first", range_of(in.segments.first)},
           {"segments.count", range_of(in.segments.count)}}};
}

/// Shapes of gradients, and that there is something for each of them to be of.
template <class Job, class S>
[[gnu::always_inline]] inline void check_expert_gradients(const Job& job,
                                                          const moe::expert_gradients<S>& to) {
  if (to.rows.given())
    check_row_major("gradients.rows", to.rows, job.in.rows.extent[0], job.width());
  if (to.row_weights.given()) {
    if (!job.weighs)
      refuse(message() << "hence: gradients.row_weights is given, expected none: "
                          "with after_down dot_rows gives it");
    check_vector("gradients.row_weights", to.row_weights, job.in.rows.extent[0]);
  }
  if (to.gate.given()) {
    if (!job.gated)
      refuse(message() << "hence: gradients.gate is given, expected none: the "
                          "activation is a plain one");
    check_matrices("gradients.gate", to.gate, job.in.up.extent[0], job.inner(), job.width());
  }
  if (to.up.given())
    check_matrices("gradients.up", to.up, job.in.up.extent[0], job.inner(), job.width());
  if (to.down.given())
    check_matrices("gradients.down", to.down, job.in.up.extent[0], job.width(), job.inner());
}
/// An array beside the saved ones, absent if nothing is saved.
template <class Kept>
HENCE_FN named_places<3> with_kept(const char* name, byte_range range, const Kept& kept) {
  named_places<3> r{{{name, range}, {"saved.gate", {}}, {"saved.up", {}}}};
  if constexpr (is_saved<Kept>)
    r.of[1].range = range_of(kept.gate), r.of[2].range = range_of(kept.up);
  return r;
}

/// Bytes beside the arrays. \param copied the width of rows that are copied from tokens; 0: none.
template <class Job>
std::int64_t job_bytes(std::int64_t rows, std::int64_t ff, std::int64_t copied) {
  const std::int64_t parts = Job::parts_of(rows);
  carver forward, backward;
  typename Job::forward_memory(forward, Job::tile_rows_of(rows), ff, copied);
  typename Job::block_memory(backward, Job::block_rows_of(rows), ff, copied);
  Job::per_part_scratch(backward, parts);
  const std::int64_t one = parts * forward.used();
  return one > backward.used() ? one : backward.used();
}

}  // namespace detail

namespace moe {

/// Bytes of workspace for `expert_rows` and `expert_rows_backward`. \param rows of the array.
/// \param ff the inner width.
/// \tparam Mlp an `expert_mlp`.
template <class Executor, class Mlp>
std::int64_t expert_workspace_bytes(const Executor&, const Mlp&, std::int64_t rows,
                                    std::int64_t ff) {
  using S = typename Executor::scalar;
  using job = detail::expert_job<Executor, Mlp, recomputed, S, S>;
  detail::check_count("rows", rows);
  detail::check_count("ff", ff);
  return detail::job_bytes<job>(rows, ff, 0);
}

/// out = the experts' rows.
/// \param executor `cpu{}`, `cpu{pool}`; `reference<S>{}` with gemm::chain<S>.
/// \param mlp an `expert_mlp`. \param in rows, whose they are, matrices.
/// \param kept `saved_activations{...}`, which is written, or `recomputed{}`.
/// \param out `[rows, width]`. \param workspace none, or `expert_workspace_bytes(...)` bytes
/// aligned to 64. \param of_out whether out is replaced or added to.
template <class Executor, class Mlp, class Kept, class X = typename Executor::scalar,
          class W = typename Executor::scalar>
void expert_rows(const Executor& executor, const Mlp& mlp,
                 const expert_inputs<typename Executor::scalar, X, W>& in, const Kept& kept,
                 view<typename Executor::scalar, 2> out, view<std::byte> workspace = {},
                 update of_out = update::overwrite) {
  if constexpr (detail::check_mlp_type<Executor, Mlp, Kept, X, W>()) {
    detail::expert_job<Executor, Mlp, Kept, X, W> job{executor, mlp, in, kept};
    job.live = detail::check_expert_inputs(job);
    detail::check_row_major("out", out, in.rows.extent[0], job.width());
    const auto written = detail::with_kept("out", detail::range_of(out), kept);
    detail::check_written_apart(written.of, detail::expert_reads(in).of);
    detail::check_memory_apart(workspace, written);
    detail::check_memory_apart(workspace, detail::expert_reads(in));
    const std::int64_t bytes =
        expert_workspace_bytes(executor, mlp, in.rows.extent[0], job.inner());
    detail::check_workspace(workspace, bytes);
    if (job.live == 0) return;
    const detail::call_memory memory(workspace, bytes);
    job.forward(out, of_out, memory.part(0, bytes), bytes / job.parts() / 64 * 64);
  }
}

/// The gradients of sum(cotangent out).
/// \param kept as the forward pass wrote it, or `recomputed{}`.
/// \param cotangent `[rows, width]`. \param to where gradients go.
/// \param executor, mlp, in, workspace as in `expert_rows`.
template <class Executor, class Mlp, class Kept, class X = typename Executor::scalar,
          class W = typename Executor::scalar>
void expert_rows_backward(const Executor& executor, const Mlp& mlp,
                          const expert_inputs<typename Executor::scalar, X, W>& in,
                          const Kept& kept, view<const typename Executor::scalar, 2> cotangent,
                          const expert_gradients<typename Executor::scalar>& to,
                          view<std::byte> workspace = {}) {
  if constexpr (detail::check_mlp_type<Executor, Mlp, Kept, X, W>()) {
    detail::expert_job<Executor, Mlp, Kept, X, W> job{executor, mlp, in, kept};
    job.live = detail::check_expert_inputs(job);
    const std::int64_t rows = in.rows.extent[0];
    detail::check_row_major("cotangent", cotangent, rows, job.width());
    detail::check_expert_gradients(job, to);
    const detail::named_places<5> written{
        {{"gradients.rows", detail::range_of(to.rows)},
         {"gradients.row_weights", detail::range_of(to.row_weights)},
         {"gradients.gate", detail::range_of(to.gate)},
         {"gradients.up", detail::range_of(to.up)},
         {"gradients.down", detail::range_of(to.down)}}};
    detail::check_written_apart(written.of, detail::expert_reads(in).of);
    const auto read = detail::with_kept("cotangent", detail::range_of(cotangent), kept);
    detail::check_written_apart(written.of, read.of);
    detail::check_memory_apart(workspace, written);
    detail::check_memory_apart(workspace, read);
    detail::check_memory_apart(workspace, detail::expert_reads(in));
    const std::int64_t bytes = expert_workspace_bytes(executor, mlp, rows, job.inner());
    detail::check_workspace(workspace, bytes);
    const detail::call_memory memory(workspace, bytes);
    job.backward(cotangent, to, memory.part(0, bytes));
  }
}

}  // namespace moe

}  // namespace hence::inline v0
