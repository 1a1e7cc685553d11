/// \file
/// How the expert MLPs walk over rows: a tile of one expert's rows is multiplied, activated in
/// place and multiplied back.
///
/// Backward, rows are taken in blocks: first every row's own gradients, then those of the matrices,
/// each element one chain over the expert's rows in their order, whatever the blocks.
#pragma once

#include <hence/moe/expert_arrays.hpp>

namespace hence::inline v0::detail {

template <class Executor, class Mlp, class Kept, class X, class W> struct expert_job {
  using S = typename Executor::scalar;
  using V = row_number_t<Executor>;
  using gemm_t = std::remove_cvref_t<decltype(Mlp::product)>;
  using activation_t = std::remove_cvref_t<decltype(Mlp::activation)>;
  static constexpr bool gated = gated_activation<activation_t, V>;
  static constexpr bool weighs = std::same_as<decltype(Mlp::weights), moe::before_down>;

  const Executor& executor;
  const Mlp& mlp;
  const moe::expert_inputs<S, X, W>& in;
  const Kept& kept;
  std::int64_t live;  ///< rows in segments

  HENCE_FN std::int64_t width() const { return in.up.extent[2]; }
  HENCE_FN std::int64_t inner() const { return in.up.extent[1]; }
  HENCE_FN std::int64_t parts() const { return expert_parts<Executor>(in.rows.extent[0]); }

  template <class F> HENCE_FN void for_parts(F&& f) const {
    if constexpr (Executor::is_parallel) {
      if (parts() > 1) return executor.pool->parallel_for(parts(), f);
    }
    for (std::int64_t p = 0; p < parts(); ++p) f(p);
  }

  // ---- forward
  struct forward_memory {
    S *scratch, *gate, *up;
    HENCE_FN forward_memory(carver& c, std::int64_t rows, std::int64_t inner)
        : scratch(c.take<S>(gemm_t::scratch_floats)),
          gate(c.take<S>(gated ? rows * padded_row(inner) : 0)),
          up(c.take<S>(rows * padded_row(inner))) {}
  };

  void forward(const view<S, 2>& out, update of_out, std::byte* memory, std::int64_t bytes) const {
    for_parts([&](std::int64_t p) {
      carver c(memory + p * bytes);
      const forward_memory m(c, tile_rows_of(in.rows.extent[0]), inner());
      for_segments(in.segments, part_begin(live, p, parts()), part_begin(live, p + 1, parts()),
                   expert_tile, [&](std::int64_t e, std::int64_t first, std::int64_t n) {
                     forward_tile(e, first, n, m, rows_of(out, first, n), of_out);
                   });
    });
  }
  static HENCE_FN std::int64_t tile_rows_of(std::int64_t rows) {
    return rows < expert_tile ? rows : expert_tile;
  }

  void forward_tile(std::int64_t e, std::int64_t first, std::int64_t n, const forward_memory& m,
                    view<S, 2> out, update of_out) const {
    view<S, 2> g(m.gate, n, inner(), padded_row(inner())), u(m.up, n, inner(), g.stride[0]);
    const view<S, 2> h = u;
    if constexpr (is_saved<Kept>) {
      if constexpr (gated) g = rows_of(kept.gate, first, n);
      u = rows_of(kept.up, first, n);
    }
    project(e, first, n, g, u, m.scratch);
    for (std::int64_t i = 0; i < n; ++i) {
      const S *gate = gated ? &g(i, 0) : nullptr, *up = &u(i, 0);
      S* const to = &h(i, 0);
      const S w = weighs ? in.row_weights[first + i] : S(1);
      along_row<V>(inner(), [&](auto* number, std::int64_t j) __attribute__((always_inline)) {
        using N = std::remove_pointer_t<decltype(number)>;
        N y;
        if constexpr (gated)
          y = mlp.activation(load_as<N>(gate + j), load_as<N>(up + j));
        else
          y = mlp.activation(load_as<N>(up + j));
        if constexpr (weighs) y = N(w) * y;
        store_as(to + j, y);
      });
    }
    mlp.product(view<const S, 2>(h), transposed(matrix_of(in.down, e)), out, of_out, m.scratch);
  }

  /// gate x and up x of rows of one expert.
  void project(std::int64_t e, std::int64_t first, std::int64_t n, const view<S, 2>& g,
               const view<S, 2>& u, S* scratch) const {
    const view<const X, 2> x = rows_of(in.rows, first, n);
    if constexpr (gated)
      mlp.product(x, transposed(matrix_of(in.gate, e)), g, update::overwrite, scratch);
    mlp.product(x, transposed(matrix_of(in.up, e)), u, update::overwrite, scratch);
  }

  // ---- backward
  /// Of a block of live rows: gradients of the projections, and the activations as `down` saw them.
  struct block_memory {
    std::int64_t begin, stride;
    S *gate, *up, *hidden;
    HENCE_FN block_memory(carver& c, std::int64_t rows, std::int64_t inner)
        : begin(0),
          stride(padded_row(inner)),
          gate(c.take<S>(gated ? rows * stride : 0)),
          up(c.take<S>(rows * stride)),
          hidden(c.take<S>(rows * stride)) {}
  };
  static HENCE_FN std::int64_t block_rows_of(std::int64_t rows) {
    return rows < expert_block<Executor>() ? rows : expert_block<Executor>();
  }

  void backward(const view<const S, 2>& cotangent, const moe::expert_gradients<S>& to,
                std::byte* memory) const {
    carver shared(memory);
    block_memory block(shared, block_rows_of(in.rows.extent[0]), inner());
    per_part_scratch(shared, parts());
    if (to.of_matrices == update::overwrite) clear_unused(to);
    for (std::int64_t begin = 0; begin < live; begin += expert_block<Executor>()) {
      const std::int64_t left = live - begin;
      const std::int64_t end =
          begin + (left < expert_block<Executor>() ? left : expert_block<Executor>());
      block.begin = begin;
      for_parts([&](std::int64_t p) {
        std::int64_t at = begin + part_begin(end - begin, p, parts());
        for_segments(in.segments, at, begin + part_begin(end - begin, p + 1, parts()), expert_tile,
                     [&](std::int64_t e, std::int64_t first, std::int64_t n) {
                       backward_tile(e, first, n, at, block, cotangent, to, scratch_of(memory, p));
                       at += n;
                     });
      });
      if (!to.gate.present() && !to.up.present() && !to.down.present()) continue;
      for_parts([&](std::int64_t p) {
        // an expert belongs to the part in which its first row of this block lies
        const std::int64_t low = begin + part_begin(end - begin, p, parts());
        const std::int64_t high = begin + part_begin(end - begin, p + 1, parts());
        std::int64_t at = begin;
        for_segments(in.segments, begin, end, end - begin,
                     [&](std::int64_t e, std::int64_t first, std::int64_t n) {
                       if (at >= low && at < high)
                         matrix_gradients(e, first, n, at, block, cotangent, to,
                                          scratch_of(memory, p));
                       at += n;
                     });
      });
    }
  }

  HENCE_FN S* scratch_of(std::byte* memory, std::int64_t part) const {
    carver c(memory);
    block_memory(c, block_rows_of(in.rows.extent[0]), inner());
    per_part_scratch(c, part);
    return c.template take<S>(0);
  }
  static HENCE_FN void per_part_scratch(carver& c, std::int64_t parts) {
    for (std::int64_t p = 0; p < parts; ++p) c.take<S>(gemm_t::scratch_floats);
  }

  /// \param at the live row that the tile begins with.
  void backward_tile(std::int64_t e, std::int64_t first, std::int64_t n, std::int64_t at,
                     const block_memory& block, const view<const S, 2>& cotangent,
                     const moe::expert_gradients<S>& to, S* scratch) const {
    const std::int64_t skip = (at - block.begin) * block.stride;
    const view<S, 2> g(block.gate + (gated ? skip : 0), n, inner(), block.stride),
        u(block.up + skip, n, inner(), block.stride),
        h(block.hidden + skip, n, inner(), block.stride);
    view<const S, 2> from_g = g, from_u = u;
    if constexpr (is_saved<Kept>) {
      if constexpr (gated) from_g = rows_of(view<const S, 2>(kept.gate), first, n);
      from_u = rows_of(view<const S, 2>(kept.up), first, n);
    } else {
      project(e, first, n, g, u, scratch);
    }
    mlp.product(rows_of(cotangent, first, n), matrix_of(in.down, e), h, update::overwrite, scratch);
    for (std::int64_t i = 0; i < n; ++i) {
      const S* const gate = gated ? &from_g(i, 0) : nullptr;
      const S* const up = &from_u(i, 0);
      S* const to_gate = gated ? &g(i, 0) : nullptr;
      S *const to_up = &u(i, 0), *const hidden = &h(i, 0);
      const S w = weighs ? in.row_weights[first + i] : S(1);
      const S dot =
          sum_in_chains<V>(inner(), [&](std::int64_t j, auto sum) __attribute__((always_inline)) {
            using N = decltype(sum);
            const N cot = load_as<N>(hidden + j);
            const activated<N> y = activate<N>(
                mlp.activation, gated ? load_as<N>(gate + j) : N(S(0)), load_as<N>(up + j));
            const N passed = weighs ? N(w) * cot : cot;
            if constexpr (gated) store_as(to_gate + j, passed * y.by_gate);
            store_as(to_up + j, passed * y.by_up);
            store_as(hidden + j, weighs ? N(w) * y.h : y.h);
            return weighs ? fma(cot, y.h, sum) : sum;
          });
      if constexpr (weighs) {
        if (to.row_weights.present()) to.row_weights[first + i] = dot;
      }
    }
    if (!to.rows.present()) return;
    const view<S, 2> x = rows_of(to.rows, first, n);
    if constexpr (gated)
      mlp.product(view<const S, 2>(g), matrix_of(in.gate, e), x, to.of_rows, scratch);
    mlp.product(view<const S, 2>(u), matrix_of(in.up, e), x,
                gated ? update::accumulate : to.of_rows, scratch);
  }

  void matrix_gradients(std::int64_t e, std::int64_t first, std::int64_t n, std::int64_t at,
                        const block_memory& block, const view<const S, 2>& cotangent,
                        const moe::expert_gradients<S>& to, S* scratch) const {
    const std::int64_t skip = (at - block.begin) * block.stride;
    const view<const S, 2> g(block.gate + (gated ? skip : 0), n, inner(), block.stride),
        u(block.up + skip, n, inner(), block.stride),
        h(block.hidden + skip, n, inner(), block.stride);
    const update u_of = first == in.segments.first[e] ? to.of_matrices : update::accumulate;
    const view<const X, 2> x = rows_of(in.rows, first, n);
    if constexpr (gated) {
      if (to.gate.present()) mlp.product(transposed(g), x, matrix_of(to.gate, e), u_of, scratch);
    }
    if (to.up.present()) mlp.product(transposed(u), x, matrix_of(to.up, e), u_of, scratch);
    if (to.down.present())
      mlp.product(transposed(rows_of(cotangent, first, n)), h, matrix_of(to.down, e), u_of,
                  scratch);
  }

  void clear_unused(const moe::expert_gradients<S>& to) const {
    const view<S, 3>* const all[] = {&to.gate, &to.up, &to.down};
    for (const view<S, 3>* m : all)
      for (std::int64_t e = 0; m->present() && e < m->extent[0]; ++e)
        for (std::int64_t i = 0; in.segments.count[e] == 0 && i < m->extent[1]; ++i)
          for (std::int64_t j = 0; j < m->extent[2]; ++j) matrix_of(*m, e)(i, j) = S(0);
  }
};

}  // namespace hence::inline v0::detail
