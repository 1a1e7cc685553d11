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
template <class S, class X> struct layer_memory {
  X* x;
  S *out, *back, *row_weights, *grad_weights;
  HENCE_FN layer_memory(carver& c, std::int64_t rows, std::int64_t width, bool is_backward)
      : x(c.take<X>(rows * width)),
        out(c.take<S>(rows * width)),
        back(c.take<S>(is_backward ? rows * width : 0)),
        row_weights(c.take<S>(rows)),
        grad_weights(c.take<S>(is_backward ? rows : 0)) {}
};

template <class In> HENCE_FN std::int64_t layer_rows(const In& in) {
  return in.rows < 0 ? in.position.extent[0] * in.position.extent[1] : in.rows;
}

/// Arrays of tokens, and that slots and segments are of one permutation.
template <class In> [[gnu::always_inline]] inline void check_layer(const In& in) {
  const std::int64_t tokens = in.x.extent[0], k = in.position.extent[1];
  check_row_major("x", in.x, tokens, in.up.extent[2]);
  check_row_major("position", in.position, tokens, k);
  check_row_major("weights", in.weights, tokens, k);
  check_positions(in.position, layer_rows(in));
  std::int64_t filled = 0, live = 0;
  for (std::int64_t t = 0; t < tokens; ++t)
    for (std::int64_t j = 0; j < k; ++j) filled += in.position(t, j) >= 0;
  for (std::int64_t e = 0; e < in.segments.count.extent[0]; ++e) live += in.segments.count[e];
  if (filled != live)
    refuse(message() << "hence: segments hold " << live << " rows, expected the " << filled
                     << " filled slots of position");
}

/// The row form of a layer's inputs.
template <class S, class X, class W>
HENCE_FN moe::expert_inputs<S, X, W> rows_of_layer(const moe::layer_inputs<S, X, W>& in,
                                                   const layer_memory<S, X>& m, bool weighs) {
  moe::expert_inputs<S, X, W> r{};  // no constructor that differently compiled units would share
  const std::int64_t rows = layer_rows(in);
  r.rows = view<const X, 2>(m.x, rows, in.x.extent[1]);
  r.segments = in.segments;
  r.gate = in.gate, r.up = in.up, r.down = in.down;
  if (weighs) r.row_weights = view<const S>(m.row_weights, rows);
  return r;
}
template <class S, class X, class W>
HENCE_FN void place_weights(const moe::layer_inputs<S, X, W>& in, S* row_weights) {
  for (std::int64_t t = 0; t < in.position.extent[0]; ++t)
    for (std::int64_t j = 0; j < in.position.extent[1]; ++j)
      if (in.position(t, j) >= 0) row_weights[in.position(t, j)] = in.weights(t, j);
}

}  // namespace detail

namespace moe {

/// Bytes of workspace for `experts` and `experts_backward`: beside that of the rows, up to three
/// arrays `[rows, width]`.
template <class X, class Executor, class Mlp>
std::int64_t experts_workspace_bytes(const Executor& executor, const Mlp& mlp, std::int64_t rows,
                                     std::int64_t width, std::int64_t ff) {
  detail::carver c;
  detail::layer_memory<typename Executor::scalar, X>(c, rows, width, true);
  return c.used() + expert_workspace_bytes(executor, mlp, rows, ff);
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
    const detail::byte_range out = detail::range_of(y);
    detail::check_apart("y", out, "x", detail::range_of(in.x));
    detail::check_apart("y", out, "weights", detail::range_of(in.weights));
    detail::check_apart("y", out, "position", detail::range_of(in.position));
    const std::int64_t bytes =
        experts_workspace_bytes<X>(executor, mlp, rows, width, in.up.extent[1]);
    detail::check_workspace(workspace, bytes);
    const detail::call_memory memory(workspace, bytes);
    detail::carver c(memory.part(0, bytes));
    const detail::layer_memory<S, X> m(c, rows, width, false);
    const view<S, 2> from(m.out, rows, width);
    const auto row_inputs = detail::rows_of_layer(in, m, job::weighs);
    // what the rows refuse, before the first write
    detail::check_expert_inputs(job{executor, mlp, row_inputs, kept, 0});
    if constexpr (job::weighs) detail::place_weights(in, m.row_weights);
    gather(executor, in.x, in.position, view<X, 2>(m.x, rows, width));
    expert_rows(executor, mlp, row_inputs, kept, from,
                {memory.part(0, bytes) + c.used(), bytes - c.used()});
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
    if (to.x.present()) detail::check_row_major("gradients.x", to.x, tokens, width);
    if (to.weights.present()) detail::check_row_major("gradients.weights", to.weights, tokens, k);
    const detail::named_ranges<2> written{{"gradients.x", "gradients.weights"},
                                          {detail::range_of(to.x), detail::range_of(to.weights)}};
    const detail::named_ranges<10> others{
        {"x", "weights", "position", "cotangent", "gate", "up", "down", "gradients.gate",
         "gradients.up", "gradients.down"},
        {detail::range_of(in.x), detail::range_of(in.weights), detail::range_of(in.position),
         detail::range_of(cotangent), detail::range_of(in.gate), detail::range_of(in.up),
         detail::range_of(in.down), detail::range_of(to.gate), detail::range_of(to.up),
         detail::range_of(to.down)}};
    detail::check_all_apart(written, others);
    const std::int64_t bytes =
        experts_workspace_bytes<X>(executor, mlp, rows, width, in.up.extent[1]);
    detail::check_workspace(workspace, bytes);
    const detail::call_memory memory(workspace, bytes);
    detail::carver c(memory.part(0, bytes));
    const detail::layer_memory<S, X> m(c, rows, width, true);
    detail::place_weights(in, m.row_weights);
    gather(executor, in.x, in.position, view<X, 2>(m.x, rows, width));
    gather(executor, cotangent, in.position, view<S, 2>(m.out, rows, width));
    expert_gradients<S> g{};
    if (to.x.present()) g.rows = view<S, 2>(m.back, rows, width);
    if (to.weights.present()) g.row_weights = view<S>(m.grad_weights, rows);
    g.gate = to.gate, g.up = to.up, g.down = to.down, g.of_matrices = to.of_matrices;
    expert_rows_backward(executor, inner, detail::rows_of_layer(in, m, true), kept,
                         view<const S, 2>(m.out, rows, width), g,
                         {memory.part(0, bytes) + c.used(), bytes - c.used()});
    if (to.x.present())
      combine(executor, view<const S, 2>(m.back, rows, width), in.position, {}, to.x);
    for (std::int64_t t = 0; to.weights.present() && t < tokens; ++t)
      for (std::int64_t j = 0; j < k; ++j)
        to.weights(t, j) = in.position(t, j) < 0 ? S(0) : m.grad_weights[in.position(t, j)];
  }
}

}  // namespace moe

}  // namespace hence::inline v0
