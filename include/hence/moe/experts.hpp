/// \file
/// `moe::experts`: tokens in, tokens out: gather, `expert_rows`, combine; and its gradient.
///
///     y[t] = sum_j w[t, j] down_e f(gate_e x[t], up_e x[t]),   e the expert of slot (t, j)
///
/// in slot order. DeepSeek-V3, arXiv:2412.19437, eq. 12, without the shared experts, which are
/// `expert_rows` of one expert that has all tokens, added to y. Empty slots are skipped and their
/// weights not read. The gradient of the weights is <down^T dy, f> for both places of the weights,
/// so neither pass keeps an array `[rows, width]`.
///
/// Bits: those of the three blocks.
#pragma once

#include <hence/moe/expert_rows.hpp>

namespace hence::inline v0 {

namespace moe {

/// What the layer reads. \tparam S, X, W as in `expert_inputs`.
template <class S = float, class X = S, class W = S> struct layer_inputs {
  view<const X, 2> x;        ///< `[tokens, width]`
  view<const S, 2> weights;  ///< `[tokens, k]`, not read in empty slots
  slot_positions position;   ///< `[tokens, k]`, as `permute` wrote them
  expert_segments segments;  ///< the same permutation's
  view<const W, 3> gate{};   ///< `[experts, ff, width]`; absent for a plain activation
  view<const W, 3> up;       ///< `[experts, ff, width]`
  view<const W, 3> down;     ///< `[experts, width, ff]`
  std::int64_t rows = -1;    ///< of the layout, at most; -1: tokens k
};

/// Where gradients go; each may be absent.
template <class S = float> struct layer_gradients {
  view<S, 2> x{};                          ///< `[tokens, width]`
  view<S, 2> weights{};                    ///< `[tokens, k]`, 0 in empty slots
  view<S, 3> gate{};                       ///< `[experts, ff, width]`
  view<S, 3> up{};                         ///< `[experts, ff, width]`
  view<S, 3> down{};                       ///< `[experts, width, ff]`
  update of_matrices = update::overwrite;  ///< as in `expert_gradients`
};

}  // namespace moe

namespace detail {

/// The rows of a layer, cut from its workspace.
template <class S> struct layer_memory {
  std::int64_t* token;
  S *out, *row_weights, *grad_weights;  // out: the experts' rows, or their gradient
  HENCE_FN layer_memory(carver& c, std::int64_t rows, std::int64_t width)
      : token(c.take<std::int64_t>(rows)),
        out(c.take<S>(rows * width)),
        row_weights(c.take<S>(rows)),
        grad_weights(c.take<S>(rows)) {}
};

template <class In> HENCE_FN std::int64_t layer_rows(const In& in) {
  return in.rows < 0 ? in.position.extent[0] * in.position.extent[1] : in.rows;
}

/// Arrays of tokens, and that slots and segments are of one permutation.
template <class In> [[gnu::always_inline]] inline void check_layer(const In& in) {
  const std::int64_t tokens = in.x.extent[0], k = in.position.extent[1];
  if (in.rows < -1)
    refuse(message() << "hence: rows is " << in.rows << ", expected 0 or more, or -1");
  check_row_major("x", in.x, tokens, in.up.extent[2]);
  check_row_major("position", in.position, tokens, k);
  check_row_major("weights", in.weights, tokens, k);
  check_positions(in.position, layer_rows(in));
  check_segments(in.segments, in.up.extent[0], layer_rows(in));
  std::int64_t filled = 0, live = 0;
  for (std::int64_t t = 0; t < tokens; ++t)
    for (std::int64_t j = 0; j < k; ++j) filled += in.position(t, j) >= 0;
  for (std::int64_t e = 0; e < in.segments.count.extent[0]; ++e) live += in.segments.count[e];
  if (filled != live)
    refuse(message() << "hence: segments hold " << live << " rows, expected the " << filled
                     << " filled slots of position");
}

/// The row form of a layer's inputs; the rows are the tokens', of whom `place_slots` tells.
template <class S, class X, class W>
HENCE_FN moe::expert_inputs<S, X, W> rows_of_layer(const moe::layer_inputs<S, X, W>& in,
                                                   const layer_memory<S>& m, bool weighs) {
  moe::expert_inputs<S, X, W> r{};  // no constructor that differently compiled units would share
  const std::int64_t rows = layer_rows(in);
  r.rows = in.x;
  r.rows.extent[0] = rows;
  r.segments = in.segments;
  r.gate = in.gate, r.up = in.up, r.down = in.down;
  if (weighs) r.row_weights = view<const S>(m.row_weights, rows);
  return r;
}
/// Each row's token and weight.
template <class S, class X, class W>
HENCE_FN void place_slots(const moe::layer_inputs<S, X, W>& in, const layer_memory<S>& m) {
  for (std::int64_t i = 0; i < layer_rows(in); ++i) m.token[i] = -1;
  for (std::int64_t t = 0; t < in.position.extent[0]; ++t)
    for (std::int64_t j = 0; j < in.position.extent[1]; ++j)
      if (const std::int64_t i = in.position(t, j); i >= 0)
        m.token[i] = t, m.row_weights[i] = in.weights(t, j);
  for (std::int64_t e = 0; e < in.segments.count.extent[0]; ++e)
    for (std::int64_t i = in.segments.first[e]; i < in.segments.first[e] + in.segments.count[e];
         ++i)
      if (m.token[i] < 0)
        refuse(message() << "hence: position names no slot of row " << i << " of expert " << e
                         << ", expected one for each row of the segments");
}
template <class In> HENCE_FN named_places<8> layer_reads(const In& in) {
  return {{{"x", range_of(in.x)},
           {"weights", range_of(in.weights)},
           {"position", range_of(in.position)},
           {"gate", range_of(in.gate)},
           {"up", range_of(in.up)},
           {"down", range_of(in.down)},
           {"segments.first", range_of(in.segments.first)},
           {"segments.count", range_of(in.segments.count)}}};
}

}  // namespace detail

namespace moe {

/// Bytes of workspace for `experts` and `experts_backward`: beside that of the rows, one array
/// `[rows, width]` and the tokens of a tile.
template <class X, class Executor, class Mlp>
std::int64_t experts_workspace_bytes(const Executor&, const Mlp&, std::int64_t rows,
                                     std::int64_t width, std::int64_t ff) {
  using S = typename Executor::scalar;
  detail::check_count("rows", rows);
  detail::check_count("width", width);
  detail::check_count("ff", ff);
  detail::carver c;
  detail::layer_memory<S>(c, rows, width);
  return c.used() +
         detail::job_bytes<detail::expert_job<Executor, Mlp, recomputed, X, S>>(rows, ff, width);
}

/// y = the layer's output. \param executor, mlp, kept as in `expert_rows`; saved arrays have
/// `in.rows` rows. \param in tokens, weights, their permutation, matrices. \param y `[tokens,
/// width]`; 0 for a token without a slot. \param workspace none, or `experts_workspace_bytes<X>(
/// ...)` bytes aligned to 64.
template <class Executor, class Mlp, class Kept, class X = typename Executor::scalar,
          class W = typename Executor::scalar>
void experts(const Executor& executor, const Mlp& mlp,
             const layer_inputs<typename Executor::scalar, X, W>& in, const Kept& kept,
             view<typename Executor::scalar, 2> y, view<std::byte> workspace = {}) {
  using S = typename Executor::scalar;
  if constexpr (detail::check_mlp_type<Executor, Mlp, Kept, X, W>()) {
    using job = detail::expert_job<Executor, Mlp, Kept, X, W>;
    const std::int64_t rows = detail::layer_rows(in), width = in.x.extent[1];
    detail::check_layer(in);
    detail::check_row_major("y", y, in.x.extent[0], width);
    const auto written = detail::with_kept("y", detail::range_of(y), kept);
    detail::check_written_apart(written.of, detail::layer_reads(in).of);
    detail::check_memory_apart(workspace, written);
    detail::check_memory_apart(workspace, detail::layer_reads(in));
    const std::int64_t bytes =
        experts_workspace_bytes<X>(executor, mlp, rows, width, in.up.extent[1]);
    detail::check_workspace(workspace, bytes);
    const detail::call_memory memory(workspace, bytes);
    detail::carver c(memory.part(0, bytes));
    const detail::layer_memory<S> m(c, rows, width);
    const view<S, 2> from(m.out, rows, width);
    const auto row_inputs = detail::rows_of_layer(in, m, job::weighs);
    job all{executor, mlp, row_inputs, kept, m.token};
    all.live = detail::check_expert_inputs(all);
    detail::place_slots(in, m);
    all.forward(from, update::overwrite, memory.part(0, bytes) + c.used(),
                (bytes - c.used()) / all.parts() / 64 * 64);
    combine(executor, view<const S, 2>(from), in.position,
            job::weighs ? view<const S, 2>() : in.weights, y);
  }
}

/// The gradients of sum(cotangent y).
template <class Executor, class Mlp, class Kept, class X = typename Executor::scalar,
          class W = typename Executor::scalar>
void experts_backward(const Executor& executor, const Mlp& mlp,
                      const layer_inputs<typename Executor::scalar, X, W>& in, const Kept& kept,
                      view<const typename Executor::scalar, 2> cotangent,
                      const layer_gradients<typename Executor::scalar>& to,
                      view<std::byte> workspace = {}) {
  using S = typename Executor::scalar;
  if constexpr (detail::check_mlp_type<Executor, Mlp, Kept, X, W>()) {
    const expert_mlp inner{mlp.product, mlp.activation, before_down{}};
    const std::int64_t tokens = in.x.extent[0], k = in.position.extent[1];
    const std::int64_t rows = detail::layer_rows(in), width = in.x.extent[1];
    detail::check_layer(in);
    detail::check_row_major("cotangent", cotangent, tokens, width);
    if (to.x.given()) detail::check_row_major("gradients.x", to.x, tokens, width);
    if (to.weights.given()) detail::check_row_major("gradients.weights", to.weights, tokens, k);
    const detail::named_places<5> written{{{"gradients.x", detail::range_of(to.x)},
                                           {"gradients.weights", detail::range_of(to.weights)},
                                           {"gradients.gate", detail::range_of(to.gate)},
                                           {"gradients.up", detail::range_of(to.up)},
                                           {"gradients.down", detail::range_of(to.down)}}};
    detail::check_written_apart(written.of, detail::layer_reads(in).of);
    const auto read = detail::with_kept("cotangent", detail::range_of(cotangent), kept);
    detail::check_written_apart(written.of, read.of);
    detail::check_memory_apart(workspace, written);
    detail::check_memory_apart(workspace, read);
    detail::check_memory_apart(workspace, detail::layer_reads(in));
    const std::int64_t bytes =
        experts_workspace_bytes<X>(executor, mlp, rows, width, in.up.extent[1]);
    detail::check_workspace(workspace, bytes);
    const detail::call_memory memory(workspace, bytes);
    detail::carver c(memory.part(0, bytes));
    const detail::layer_memory<S> m(c, rows, width);
    const auto row_inputs = detail::rows_of_layer(in, m, true);
    detail::expert_job<Executor, std::remove_const_t<decltype(inner)>, Kept, X, W> job{
        executor, inner, row_inputs, kept, m.token};
    job.live = detail::check_expert_inputs(job);
    expert_gradients<S> g{};
    if (to.x.present()) g.rows = view<S, 2>(m.out, rows, width);
    if (to.weights.present()) g.row_weights = view<S>(m.grad_weights, rows);
    g.gate = to.gate, g.up = to.up, g.down = to.down, g.of_matrices = to.of_matrices;
    detail::check_expert_gradients(job, g);
    detail::place_slots(in, m);
    job.backward(cotangent, g, memory.part(0, bytes) + c.used());
    if (to.x.present())
      combine(executor, view<const S, 2>(m.out, rows, width), in.position, {}, to.x);
    for (std::int64_t t = 0; to.weights.present() && t < tokens; ++t)
      for (std::int64_t j = 0; j < k; ++j)
        to.weights(t, j) = in.position(t, j) < 0 ? S(0) : m.grad_weights[in.position(t, j)];
  }
}

}  // namespace moe

}  // namespace hence::inline v0
