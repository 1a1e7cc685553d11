/// \file
/// What a matrix product is to hence: C = A B or C += A B on views of any strides, so that a
/// transposed matrix is a view with its strides exchanged. The backend is the caller's choice:
/// `gemm::ordered` has the same bits everywhere, libraries have their own speed and rounding.
#pragma once

#include <hence/core/gemm/fetch.hpp>
#include <hence/core/num.hpp>
#include <hence/core/view.hpp>

namespace hence::inline v0 {

/// Whether a product replaces C or is added to it.
enum class update : std::uint8_t { overwrite, accumulate };

/// The matrix with rows and columns exchanged.
template <class T> HENCE_FN constexpr view<T, 2> transposed(view<T, 2> m) {
  view<T, 2> t;
  t.data = m.data;
  t.extent[0] = m.extent[1], t.extent[1] = m.extent[0];
  t.stride[0] = m.stride[1], t.stride[1] = m.stride[0];
  return t;
}
/// Rows [begin, begin + count).
template <class T>
HENCE_FN constexpr view<T, 2> rows_of(view<T, 2> m, std::int64_t begin, std::int64_t count) {
  m.data += begin * m.stride[0];
  m.extent[0] = count;
  return m;
}

namespace gemm {

/// A backend: called with A `[m, k]`, B `[k, n]`, C `[m, n]` (its columns contiguous), and floats
/// of scratch memory, 64-byte aligned, `scratch_floats` of them.
template <class G>
concept backend = requires(const G& g, view<const float, 2> a, view<const float, 2> b,
                           view<float, 2> c, update u, float* scratch) {
  { G::scratch_floats } -> std::convertible_to<std::int64_t>;
  g(a, b, c, u, scratch);
};

}  // namespace gemm

namespace detail {

template <class Isa = native_isa>
void check_product(const std::int64_t (&a)[2], const std::int64_t (&b)[2],
                   const std::int64_t (&c)[2], std::int64_t column_stride) {
  if (a[1] != b[0] || a[0] != c[0] || b[1] != c[1])
    refuse(message() << "hence: gemm: A is [" << a[0] << ", " << a[1] << "], B [" << b[0] << ", "
                     << b[1] << "], C [" << c[0] << ", " << c[1]
                     << "], expected [m, k], [k, n], [m, n]");
  if (c[1] > 1 && column_stride != 1)
    refuse(message() << "hence: gemm: C has column stride " << column_stride << ", expected 1");
}

/// What a product by this backend reads of its B first, if it says so: what the product before it
/// may ask for.
template <class G, class B> HENCE_FN line_walk begin_of(const view<B, 2>& b) {
  if constexpr (requires { G::begin_of(b); })
    return G::begin_of(b);
  else
    return {};
}
/// Products of one A: by a backend's `share`, as `gemm::ordered` has it, or one after another.
/// \param then what is read after them.
template <int N, class G, class A, class B, class S>
void multiply(const G& g, const view<A, 2>& a, const view<B, 2> (&b)[static_cast<unsigned>(N)],
              const view<S, 2> (&c)[static_cast<unsigned>(N)], update u, S* scratch,
              const line_walk& then) {
  if constexpr (requires { g.template share<N>(a, b, c, u, scratch, then); })
    g.template share<N>(a, b, c, u, scratch, then);
  else
    for (int i = 0; i < N; ++i) g(a, b[i], c[i], u, scratch);
}

}  // namespace detail

namespace gemm {

/// The definition by plain loops in S: the bits of `gemm::ordered` for float; slow.
template <class S, class Isa = native_isa> struct chain {
  static constexpr std::int64_t scratch_floats = 0;

  template <class A, class B>
  void operator()(view<A, 2> a, view<B, 2> b, view<S, 2> c, update u, S*) const {
    detail::check_product(a.extent, b.extent, c.extent, c.stride[1]);
    using N = num<S, Isa>;
    for (std::int64_t i = 0; i < c.extent[0]; ++i)
      for (std::int64_t j = 0; j < c.extent[1]; ++j) {
        N sum = u == update::accumulate ? N(c(i, j)) : N(S(0));
        for (std::int64_t k = 0; k < a.extent[1]; ++k)
          sum = fma(N(static_cast<S>(a(i, k))), N(static_cast<S>(b(k, j))), sum);
        c(i, j) = sum.v;
      }
  }
};

}  // namespace gemm

}  // namespace hence::inline v0
