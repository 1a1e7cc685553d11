/// \file
/// `moe::gather` and `moe::combine`: tokens to experts' rows and back, and the transposes of both.
///
///     gather     rows[p] = x[t]                        for slot (t, j) at position p
///     combine    y[t]    = sum_j w[t, j] rows[p]       in slot order
///
/// The gradient of `gather` is `combine` with weights 1, that of `combine` with respect to the rows
/// `spread` and with respect to the weights `dot_rows`. Each token is one sum in slot order: no
/// atomics, the same bits for any pool. Rows are fp32, bf16 or fp16; arithmetic is fp32, rounded
/// once.
#pragma once

#include <hence/moe/gate_checks.hpp>

namespace hence::inline v0 {

namespace moe {

/// Where the rows of a token's slots are: `permutation::position`, or `aligned_position`.
using slot_positions = view<const std::int64_t, 2>;  // [tokens, k], -1 = empty slot

}  // namespace moe

namespace detail {

template <class Isa = native_isa>
void check_positions(const moe::slot_positions& position, std::int64_t rows) {
  check_row_major("position", position, position.extent[0], position.extent[1]);
  for (std::int64_t t = 0; t < position.extent[0]; ++t)
    for (std::int64_t j = 0; j < position.extent[1]; ++j)
      if (position(t, j) < -1 || position(t, j) >= rows)
        refuse(message() << "hence: position[" << t << ", " << j << "] is " << position(t, j)
                         << ", expected -1 to " << rows - 1);
}

/// Asks for a row that will be written soon: rows lie scattered, so that the processor does not
/// foresee it.
template <class X> HENCE_FN void ask_to_write(X* row, std::int64_t n) {
  constexpr std::int64_t line = 64 / sizeof(X);
  for (std::int64_t i = 0; i < n; i += line) __builtin_prefetch(row + i, 1);
}

/// One lane's number.
template <class V> struct scalar_number {
  using type = V;
};
template <class T, class Isa> struct scalar_number<pack<T, Isa>> {
  using type = num<T, Isa>;
};
template <class V> using scalar_number_t = typename scalar_number<V>::type;

/// Calls f(V, i) with packs while they fit, then with scalars.
template <class V, class F> HENCE_FN void along_row(std::int64_t n, F f) {
  constexpr int L = lane_count<V>;
  std::int64_t i = 0;
  for (; i + L <= n; i += L) f(static_cast<V*>(nullptr), i);
  if constexpr (L > 1)
    for (; i < n; ++i) f(static_cast<scalar_number_t<V>*>(nullptr), i);
}
/// A sum over a row in sixteen chains in element order, added by halves: the same bits for any
/// register width. f(i, sum) returns the sum of a chain with the terms from element i on.
template <class V, class F> HENCE_FN typename V::scalar sum_in_chains(std::int64_t n, F f) {
  using S = typename V::scalar;
  using N = scalar_number_t<V>;
  constexpr int chains = 16, L = lane_count<V>;
  S part[chains] = {};
  V sum[static_cast<unsigned>(chains / L)];
  for (V& s : sum) s = V(S(0));
  std::int64_t i = 0;
  for (; i + chains <= n; i += chains)
    for (int c = 0; c < chains / L; ++c) sum[c] = f(i + c * L, sum[c]);
  for (int c = 0; c < chains / L; ++c) store_as(part + c * L, sum[c]);
  for (int c = 0; i < n; ++i, ++c) part[c] = f(i, N(part[c])).v;
  for (int half = chains / 2; half > 0; half /= 2)
    for (int c = 0; c < half; ++c) part[c] = (N(part[c]) + N(part[c + half])).v;
  return part[0];
}
/// Numbers of a row from their storage, and back, rounded once.
template <class V, class X> HENCE_FN V from_storage(const X* p) {
  if constexpr (std::same_as<X, typename V::scalar>) {
    return load_as<V>(p);
  } else {
    per_lane<V, typename V::scalar> wide;
    for (int l = 0; l < lane_count<V>; ++l) wide[l] = static_cast<typename V::scalar>(p[l]);
    return load_as<V>(wide);
  }
}
template <class V, class X> HENCE_FN void to_storage(X* p, V x) {
  if constexpr (std::same_as<X, typename V::scalar>) {
    store_as(p, x);
  } else {
    per_lane<V, typename V::scalar> wide;
    store_as(wide, x);
    for (int l = 0; l < lane_count<V>; ++l) p[l] = X(wide[l]);
  }
}

}  // namespace detail

namespace moe {

/// rows[position[t, j]] = x[t]: every token's row to the places of its slots. Rows that no slot
/// has, the padding of aligned positions, are left alone.
/// \param executor `cpu{}`, `cpu{pool}`, `reference<float>{}`, `reference<double>{}`.
/// \param x `[tokens, width]`. \param position where each slot's row goes. \param rows `[any,
/// width]`,
///   apart from x.
template <class Executor, class X>
void gather(const Executor& executor, view<const X, 2> x, slot_positions position,
            view<X, 2> rows) {
  const std::int64_t tokens = position.extent[0], width = x.extent[1];
  detail::check_row_major("x", x, tokens, width);
  detail::check_row_major("rows", rows, rows.extent[0], width);
  detail::check_positions(position, rows.extent[0]);
  detail::check_written_apart(
      {{"rows", detail::range_of(rows)}},
      {{"x", detail::range_of(x)}, {"position", detail::range_of(position)}});
  detail::for_row_parts(executor, tokens, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t)
      for (std::int64_t j = 0; j < position.extent[1]; ++j) {
        if (t + 1 < end && position(t + 1, j) >= 0)
          detail::ask_to_write(rows.data + position(t + 1, j) * rows.stride[0], width);
        if (position(t, j) >= 0)
          __builtin_memcpy(rows.data + position(t, j) * rows.stride[0], x.data + t * x.stride[0],
                           static_cast<std::size_t>(width) * sizeof(X));
      }
  });
}

/// y[t] = sum_j w[t, j] rows[position[t, j]], in slot order; 0 for a token without a slot.
/// \param executor `cpu{}`, `cpu{pool}`, `reference<float>{}`, `reference<double>{}`.
/// \param rows `[any, width]`. \param position where each slot's row is.
/// \param weights `[tokens, k]`, or absent: 1, which is the gradient of `gather`. Not read in empty
///   slots. Weight before or after the down projection: weigh the activations with `spread`, then
///   combine without weights; or combine with them.
/// \param y `[tokens, width]`; every entry is written.
template <class Executor, class X>
void combine(const Executor& executor, view<const X, 2> rows, slot_positions position,
             view<const typename Executor::scalar, 2> weights, view<X, 2> y) {
  using V = detail::row_number_t<Executor>;
  const std::int64_t tokens = position.extent[0], k = position.extent[1], width = y.extent[1];
  detail::check_row_major("rows", rows, rows.extent[0], width);
  detail::check_positions(position, rows.extent[0]);
  if (weights.given()) detail::check_row_major("weights", weights, tokens, k);
  detail::check_row_major("y", y, tokens, width);
  detail::check_written_apart({{"y", detail::range_of(y)}},
                              {{"rows", detail::range_of(rows)},
                               {"position", detail::range_of(position)},
                               {"weights", detail::range_of(weights)}});
  detail::for_row_parts(executor, tokens, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t)
      detail::along_row<V>(width, [&](auto* number, std::int64_t i) __attribute__((always_inline)) {
        using W = std::remove_pointer_t<decltype(number)>;
        W sum(typename W::scalar(0));
        for (std::int64_t j = 0; j < k; ++j) {
          if (position(t, j) < 0) continue;
          const W row = detail::from_storage<W>(rows.data + position(t, j) * rows.stride[0] + i);
          sum = weights.present() ? fma(W(weights(t, j)), row, sum) : sum + row;
        }
        detail::to_storage(y.data + t * y.stride[0] + i, sum);
      });
  });
}

/// rows[position[t, j]] = w[t, j] x[t]: the gradient of `combine` with respect to its rows, x its
/// cotangent; `gather` if weights is absent.
template <class Executor, class X>
void spread(const Executor& executor, view<const X, 2> x, slot_positions position,
            view<const typename Executor::scalar, 2> weights, view<X, 2> rows) {
  using V = detail::row_number_t<Executor>;
  if (!weights.given()) return gather(executor, x, position, rows);
  const std::int64_t tokens = position.extent[0], k = position.extent[1], width = x.extent[1];
  detail::check_row_major("x", x, tokens, width);
  detail::check_row_major("rows", rows, rows.extent[0], width);
  detail::check_positions(position, rows.extent[0]);
  detail::check_row_major("weights", weights, tokens, k);
  detail::check_written_apart({{"rows", detail::range_of(rows)}},
                              {{"x", detail::range_of(x)},
                               {"position", detail::range_of(position)},
                               {"weights", detail::range_of(weights)}});
  detail::for_row_parts(executor, tokens, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t)
      for (std::int64_t j = 0; j < k; ++j) {
        if (position(t, j) < 0) continue;
        detail::along_row<V>(width,
                             [&](auto* number, std::int64_t i) __attribute__((always_inline)) {
                               using W = std::remove_pointer_t<decltype(number)>;
                               const W from = detail::from_storage<W>(x.data + t * x.stride[0] + i);
                               detail::to_storage(rows.data + position(t, j) * rows.stride[0] + i,
                                                  W(weights(t, j)) * from);
                             });
      }
  });
}

/// out[t, j] = <x[t], rows[position[t, j]]>: the gradient of `combine` with respect to its weights,
/// x its cotangent; 0 in empty slots. Sixteen chains in element order, added by halves: the same
/// bits for any register width.
template <class Executor, class X>
void dot_rows(const Executor& executor, view<const X, 2> x, slot_positions position,
              view<const X, 2> rows, view<typename Executor::scalar, 2> out) {
  using V = detail::row_number_t<Executor>;
  const std::int64_t tokens = position.extent[0], k = position.extent[1], width = x.extent[1];
  detail::check_row_major("x", x, tokens, width);
  detail::check_row_major("rows", rows, rows.extent[0], width);
  detail::check_positions(position, rows.extent[0]);
  detail::check_row_major("out", out, tokens, k);
  detail::check_written_apart({{"out", detail::range_of(out)}},
                              {{"x", detail::range_of(x)},
                               {"rows", detail::range_of(rows)},
                               {"position", detail::range_of(position)}});
  detail::for_row_parts(executor, tokens, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    using S = typename Executor::scalar;
    for (std::int64_t t = begin; t < end; ++t)
      for (std::int64_t j = 0; j < k; ++j) {
        if (position(t, j) < 0) {
          out(t, j) = S(0);
          continue;
        }
        const X* a = x.data + t * x.stride[0];
        const X* b = rows.data + position(t, j) * rows.stride[0];
        out(t, j) = detail::sum_in_chains<V>(
            width, [&](std::int64_t i, auto sum) __attribute__((always_inline)) {
              using W = decltype(sum);
              return fma(detail::from_storage<W>(a + i), detail::from_storage<W>(b + i), sum);
            });
      }
  });
}

}  // namespace moe

}  // namespace hence::inline v0
