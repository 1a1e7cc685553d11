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
  const std::int64_t* token = nullptr;  ///< `[rows]`: in.rows are tokens, and row i is token[i]
  std::int64_t live = 0;                ///< rows in segments

  HENCE_FN std::int64_t width() const { return in.up.extent[2]; }
  HENCE_FN std::int64_t inner() const { return in.up.extent[1]; }
  static HENCE_FN std::int64_t parts_of(std::int64_t rows) { return expert_parts<Executor>(rows); }
  HENCE_FN std::int64_t parts() const { return parts_of(in.rows.extent[0]); }
  HENCE_FN row_source<X> source() const { return {in.rows, token}; }

  template <class F> HENCE_FN void for_parts(F&& f) const {
    if constexpr (Executor::is_parallel) {
      if (parts() > 1) return executor.pool->parallel_for(parts(), f);
    }
    for (std::int64_t p = 0; p < parts(); ++p) f(p);
  }

  // ---- forward
  struct forward_memory {
    X* x;
    S *scratch, *gate, *up;
    /// \param copied the width of rows that are copied; 0: none are.
    HENCE_FN forward_memory(carver& c, std::int64_t rows, std::int64_t inner, std::int64_t copied)
        : x(c.take<X>(copied > 0 ? rows * padded_row(copied) : 0)),
          scratch(c.take<S>(gemm_t::scratch_floats)),
          gate(c.take<S>(gated ? rows * padded_row(inner) : 0)),
          up(c.take<S>(rows * padded_row(inner))) {}
  };

  void forward(const view<S, 2>& out, update of_out, std::byte* memory, std::int64_t bytes) const {
    for_parts([&](std::int64_t p) {
      carver c(memory + p * bytes);
      const forward_memory m(c, tile_rows_of(in.rows.extent[0]), inner(), copied());
      for_segments(in.segments, part_begin(live, p, parts()), part_begin(live, p + 1, parts()),
                   expert_tile, [&](std::int64_t e, std::int64_t first, std::int64_t n) {
                     forward_tile(e, first, n, m, rows_of(out, first, n), of_out);
                   });
    });
  }
  /// The rows of a part, at most a tile.
  static HENCE_FN std::int64_t tile_rows_of(std::int64_t rows) {
    const std::int64_t parts = parts_of(rows);
    const std::int64_t most = parts > 1 ? rows / parts + 1 : rows;
    return most < expert_tile ? most : expert_tile;
  }
  HENCE_FN std::int64_t copied() const { return token == nullptr ? 0 : width(); }

  void forward_tile(std::int64_t e, std::int64_t first, std::int64_t n, const forward_memory& m,
                    view<S, 2> out, update of_out) const {
    view<S, 2> g(m.gate, n, inner(), padded_row(inner())), u(m.up, n, inner(), g.stride[0]);
    const view<S, 2> h = u;
    if constexpr (is_saved<Kept>) {
      if constexpr (gated) g = rows_of(kept.gate, first, n);
      u = rows_of(kept.up, first, n);
    }
    const view<const W, 2> down = transposed(matrix_of(in.down, e));
    project(e, source().take(first, n, m.x), g, u, m.scratch, begin_of<gemm_t>(down));
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
    const std::int64_t next = expert_after(e, first + n);
    multiply<1>(mlp.product, view<const S, 2>(h), {down}, {out}, of_out, m.scratch,
                next < 0 ? line_walk()
                         : begin_of<gemm_t>(transposed(matrix_of(gated ? in.gate : in.up, next))));
  }
  /// The expert whose rows come after this row of expert e; -1: none.
  HENCE_FN std::int64_t expert_after(std::int64_t e, std::int64_t row) const {
    const auto& s = in.segments;
    if (row < s.first[e] + s.count[e]) return e;
    for (++e; e < s.count.extent[0]; ++e)
      if (s.count[e] > 0) return e;
    return -1;
  }

  /// gate x and up x of rows of one expert.
  void project(std::int64_t e, const view<const X, 2>& x, const view<S, 2>& g, const view<S, 2>& u,
               S* scratch, const line_walk& then) const {
    const view<const W, 2> up = transposed(matrix_of(in.up, e));
    if constexpr (gated)
      multiply<2>(mlp.product, x, {view<const W, 2>(transposed(matrix_of(in.gate, e))), up}, {g, u},
                  update::overwrite, scratch, then);
    else
      multiply<1>(mlp.product, x, {up}, {u}, update::overwrite, scratch, then);
  }

  // ---- backward
  /// Of a block of live rows: gradients of the projections, and the activations as `down` saw them.
  struct block_memory {
    std::int64_t begin, stride;
    X* x;
    S *cotangent, *gate, *up, *hidden;
    HENCE_FN block_memory(carver& c, std::int64_t rows, std::int64_t inner, std::int64_t copied)
        : begin(0),
          stride(padded_row(inner)),
          x(c.take<X>(copied > 0 ? rows * padded_row(copied) : 0)),
          cotangent(c.take<S>(copied > 0 ? rows * padded_row(copied) : 0)),
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
    block_memory block(shared, block_rows_of(in.rows.extent[0]), inner(), copied());
    per_part_scratch(shared, parts());
    if (to.of_matrices == update::overwrite) clear_unused(to);
    if constexpr (!Executor::is_parallel) {  // a tile's rows are in the cache for its matrices
      for_segments(in.segments, 0, live, expert_tile,
                   [&](std::int64_t e, std::int64_t first, std::int64_t n) {
                     backward_tile(e, first, n, 0, block, cotangent, to, scratch_of(memory, 0));
                     matrix_gradients(e, first, n, 0, block, cotangent, to, scratch_of(memory, 0));
                   });
      return;
    }
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
      if (!wants_matrices(to)) continue;
      for_parts([&](std::int64_t p) {
        // an expert belongs to the part in which its first row of this block lies
        const std::int64_t low = begin + part_begin(end - begin, p, parts());
        const std::int64_t high = begin + part_begin(end - begin, p + 1, parts());
        std::int64_t at = begin;
        for_segments(
            in.segments, begin, end, live, [&](std::int64_t e, std::int64_t first, std::int64_t n) {
              if (at >= low && at < high)
                matrix_gradients(e, first, n, at, block, cotangent, to, scratch_of(memory, p));
              at += n;
            });
      });
    }
  }

  HENCE_FN S* scratch_of(std::byte* memory, std::int64_t part) const {
    carver c(memory);
    block_memory(c, block_rows_of(in.rows.extent[0]), inner(), copied());
    per_part_scratch(c, part);
    return c.template take<S>(0);
  }
  static HENCE_FN void per_part_scratch(carver& c, std::int64_t parts) {
    for (std::int64_t p = 0; p < parts; ++p) c.take<S>(gemm_t::scratch_floats);
  }

  static HENCE_FN bool wants_matrices(const moe::expert_gradients<S>& to) {
    return to.gate.present() || to.up.present() || to.down.present();
  }
  /// Rows of x, and of the cotangent, from live row `at` on, copied if they are.
  HENCE_FN X* room_of_x(const block_memory& block, std::int64_t at) const {
    return block.x + (at - block.begin) * (token == nullptr ? 0 : padded_row(width()));
  }
  HENCE_FN S* room_of_cotangent(const block_memory& block, std::int64_t at) const {
    return block.cotangent + (at - block.begin) * (token == nullptr ? 0 : padded_row(width()));
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
    const view<const W, 2> down = matrix_of(in.down, e);
    if constexpr (is_saved<Kept>) {
      if (wants_matrices(to)) source().take(first, n, room_of_x(block, at));
      if constexpr (gated) from_g = rows_of(view<const S, 2>(kept.gate), first, n);
      from_u = rows_of(view<const S, 2>(kept.up), first, n);
    } else {
      project(e, source().take(first, n, room_of_x(block, at)), g, u, scratch,
              begin_of<gemm_t>(down));
    }
    const row_source<S> from_cotangent{cotangent, token};
    multiply<1>(mlp.product, from_cotangent.take(first, n, room_of_cotangent(block, at)), {down},
                {h}, update::overwrite, scratch,
                begin_of<gemm_t>(matrix_of(gated ? in.gate : in.up, e)));
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
    const view<const W, 2> up = matrix_of(in.up, e);
    if constexpr (gated)
      multiply<1>(mlp.product, view<const S, 2>(g), {matrix_of(in.gate, e)}, {x}, to.of_rows,
                  scratch, begin_of<gemm_t>(up));
    multiply<1>(mlp.product, view<const S, 2>(u), {up}, {x},
                gated ? update::accumulate : to.of_rows, scratch, {});
  }

  void matrix_gradients(std::int64_t e, std::int64_t first, std::int64_t n, std::int64_t at,
                        const block_memory& block, const view<const S, 2>& cotangent,
                        const moe::expert_gradients<S>& to, S* scratch) const {
    const std::int64_t skip = (at - block.begin) * block.stride;
    const view<const S, 2> g(block.gate + (gated ? skip : 0), n, inner(), block.stride),
        u(block.up + skip, n, inner(), block.stride),
        h(block.hidden + skip, n, inner(), block.stride);
    const update u_of = first == in.segments.first[e] ? to.of_matrices : update::accumulate;
    const view<const X, 2> x = source().rows(first, n, room_of_x(block, at));
    if constexpr (gated) {
      if (to.gate.present()) mlp.product(transposed(g), x, matrix_of(to.gate, e), u_of, scratch);
    }
    if (to.up.present()) mlp.product(transposed(u), x, matrix_of(to.up, e), u_of, scratch);
    if (!to.down.present()) return;
    const row_source<S> from_cotangent{cotangent, token};
    const std::int64_t next = expert_after(e, first + n);
    multiply<1>(mlp.product,
                transposed(from_cotangent.rows(first, n, room_of_cotangent(block, at))), {h},
                {matrix_of(to.down, e)}, u_of, scratch,
                next < 0 ? line_walk() : begin_of<gemm_t>(matrix_of(in.down, next)));
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
